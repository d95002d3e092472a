//! Numbers, durations and moments as people read them.

use std::time::Duration;

use maud::{Markup, html};
use settee_core::Timestamp;

/// What is closer than this is now: clocks of several machines and the way of a page to its reader are not more exact.
const NOW: Duration = Duration::from_secs(1);

/// A number with its thousands apart: `1,234,567`.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// The same for a length.
pub(super) fn length(number: usize) -> String {
    count(u64::try_from(number).unwrap_or(u64::MAX))
}

/// A number and what it counts: `1 instance`, `2 instances`, `0 branches`.
pub(super) fn counted(number: u64, what: &str) -> String {
    let ending = match what {
        _ if number == 1 => "",
        _ if what.ends_with("ch") || what.ends_with('s') => "es",
        _ => "s",
    };
    format!("{} {what}{ending}", count(number))
}

/// A duration in the two largest units that say something: `850 µs`, `12.3 ms`, `1.24 s`, `3 min 5 s`, `2 d 4 h`.
pub(super) fn duration(duration: Duration) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    let (micros, seconds) = (duration.as_micros(), duration.as_secs());
    match seconds {
        _ if micros < 1_000 => format!("{micros} µs"),
        _ if micros < 100_000 => format!("{:.1} ms", duration.as_secs_f64() * 1e3),
        0 => format!("{} ms", duration.as_millis()),
        1..=9 => format!("{:.2} s", duration.as_secs_f64()),
        10..=59 => format!("{seconds} s"),
        _ => {
            let first = UNITS.iter().position(|(unit, _)| seconds >= *unit).unwrap_or(UNITS.len() - 1);
            let part = |(unit, name): (u64, &str), of: u64| (of / unit > 0).then(|| format!("{} {name}", of / unit));
            let (major, minor) = (UNITS[first], UNITS[(first + 1).min(UNITS.len() - 1)]);
            [part(major, seconds), part(minor, seconds % major.0)].into_iter().flatten().collect::<Vec<_>>().join(" ")
        }
    }
}

/// A moment to the second, in UTC: `2026-11-24 15:41:22 UTC`.
pub(super) fn second(at: Timestamp) -> String {
    let text = Timestamp::from_millis(at.micros().div_euclid(1_000_000).saturating_mul(1_000)).to_string();
    text.replace('T', " ").replace('Z', " UTC")
}

/// A moment as `5 s ago`, `in 3 h`, `now`; the whole moment as the title.
pub(super) fn moment(at: Timestamp, now: Timestamp) -> Markup {
    html! { time datetime=(at) title=(at) { (ago(at, now)) } }
}

/// The same where there may be none.
pub(super) fn maybe_moment(at: Option<Timestamp>, now: Timestamp) -> Markup {
    html! { @match at { Some(at) => (moment(at, now)), None => span.none { "–" } } }
}

fn ago(at: Timestamp, now: Timestamp) -> String {
    if at.since(now).max(now.since(at)) < NOW {
        return "now".to_owned();
    }
    if at < now { format!("{} ago", coarse(now.since(at))) } else { format!("in {}", coarse(at.since(now))) }
}

/// A span of time in whole seconds: nobody reads hundredths of an age.
pub(super) fn coarse(span: Duration) -> String {
    match span.as_secs() {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds => duration(Duration::from_secs(seconds)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_number_cannot_be_misread_by_a_factor_of_a_thousand() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (12_345, "12,345"), (1_234_567, "1,234,567")] {
            assert_eq!(count(number), text);
        }
        assert_eq!([counted(1, "branch"), counted(2, "branch"), counted(0, "run")], ["1 branch", "2 branches", "0 runs"]);
    }

    #[test]
    fn a_duration_always_carries_its_unit() {
        for (micros, text) in [
            (0, "0 µs"),
            (850, "850 µs"),
            (12_345, "12.3 ms"),
            (450_000, "450 ms"),
            (1_240_000, "1.24 s"),
            (42_000_000, "42 s"),
            (185_000_000, "3 min 5 s"),
            (3_600_000_000, "1 h"),
            (187_200_000_000, "2 d 4 h"),
        ] {
            assert_eq!(duration(Duration::from_micros(micros)), text);
        }
    }

    #[test]
    fn past_and_future_are_told_apart_and_the_moment_itself_is_there() {
        let now = Timestamp::from_millis(1_000_000);
        for (millis, expected) in [
            (1_000_400, "now"),
            (997_000, "3 s ago"),
            (700_000, "5 min ago"),
            (1_000_000 + 3 * 3_600_000, "in 3 h"),
            (i64::MIN, "106751991 d 4 h ago"),
        ] {
            assert_eq!(ago(Timestamp::from_millis(millis), now), expected);
        }
        assert_eq!(second(Timestamp::from_millis(700_999)), "1970-01-01 00:11:40 UTC");
        let shown = moment(Timestamp::from_millis(700_000), now).into_string();
        assert_eq!(shown, r#"<time datetime="1970-01-01T00:11:40Z" title="1970-01-01T00:11:40Z">5 min ago</time>"#);
    }
}
