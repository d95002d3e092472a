//! Account numbers as logs may show them.

/// Characters shown at each end.
const SHOWN: usize = 4;

/// The first four characters and the last four; of a number too short for that, nothing.
pub(crate) fn mask(account: &str) -> String {
    let length = account.chars().count();
    if length <= 2 * SHOWN {
        return "…".to_owned();
    }
    let first: String = account.chars().take(SHOWN).collect();
    let last: String = account.chars().skip(length - SHOWN).collect();
    format!("{first}…{last}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_never_shows_a_whole_account_number() {
        assert_eq!(mask("DE68700901004224967103"), "DE68…7103");
        for short in ["", "1234", "12345678"] {
            assert_eq!(mask(short), "…");
        }
        assert_eq!(mask("äöüß56789"), "äöüß…6789");
    }
}
