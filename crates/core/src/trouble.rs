//! When to speak of something that lasts, such as a disk without room: when it begins, when it ends, and now and then in between.
//!
//! Whoever meets it again and again asks here whether to say so once more, and writes the line itself.

use std::time::Duration;

use crate::Instant;

/// The time after which a trouble that lasts is spoken of again: somebody who comes to the log later finds it, and it does not bury the rest.
const SAY_AGAIN: Duration = Duration::from_secs(60);

/// Something that may be wrong for long.
///
/// ```
/// use settee_core::{Instant, trouble::Trouble};
///
/// let (mut trouble, now) = (Trouble::default(), Instant::now());
/// assert!(trouble.met(now), "it begins");
/// assert!(!trouble.met(now), "it lasts");
/// assert!(trouble.is_over(), "it ends, and that is worth a line");
/// assert!(!trouble.is_over());
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Trouble {
    /// When it was last spoken of, while it lasts.
    said: Option<Instant>,
}

impl Trouble {
    /// Takes note that it is there. Whether to say so: when it begins, and then once a minute.
    pub fn met(&mut self, now: Instant) -> bool {
        let is_due = self.said.is_none_or(|said| now.duration_since(said) >= SAY_AGAIN);
        if is_due {
            self.said = Some(now);
        }
        is_due
    }

    /// Takes note that it is not there. Whether to say so: it was there before.
    pub fn is_over(&mut self) -> bool {
        self.said.take().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trouble_that_lasts_for_an_hour_does_not_bury_the_rest_of_the_log_and_is_never_forgotten() {
        let (mut trouble, start) = (Trouble::default(), Instant::now());
        let said = (0..3_600).filter(|second| trouble.met(start + Duration::from_secs(*second))).collect::<Vec<_>>();
        assert_eq!((said.len(), &said[..3]), (60, &[0, 60, 120][..]));
        assert!(trouble.is_over() && !trouble.is_over());
        assert!(trouble.met(start), "a new one begins");
    }
}
