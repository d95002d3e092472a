//! Small pictures beside numbers: a whole divided among its parts, one bar for each of several values, and bars on an axis of
//! time. All are SVG with lengths as attributes, so that no page needs a style of its own.
//!
//! Each has its figures as text beside it or as its label; none needs a colour to be read.

use std::time::Duration;

use maud::{Markup, html};

use super::badge::Tone;
use super::figure;

/// Bars of a strip at most.
pub(super) const BARS: usize = 60;

/// Heights in a strip are logarithmic: from a tenth of a millisecond to ten seconds.
const LOWEST: f64 = 1e-4;
const DECADES: f64 = 5.0;

/// Marks of an axis: the ends and the quarters.
const MARKS: u32 = 4;

/// A stretch that is shorter than this part of its axis, in percent, is drawn so long that it can be seen.
const THINNEST: f64 = 0.4;

/// One part of a whole.
pub(super) struct Part {
    pub(super) name: &'static str,
    pub(super) tone: Tone,
    pub(super) count: u64,
}

/// A bar that is divided among its parts; nothing where all of them are zero.
pub(super) fn shares(parts: &[Part]) -> Markup {
    let whole: u64 = parts.iter().map(|part| part.count).sum();
    let label: Vec<_> = parts.iter().map(|part| format!("{} {}", figure::count(part.count), part.name)).collect();
    // Slivers are drawn wider than they are, so all are narrowed until they fit.
    let widths: Vec<_> = parts.iter().map(|part| percent(part.count, whole)).collect();
    let scale = 100.0 / widths.iter().sum::<f64>();
    let places = widths.iter().scan(0.0, |left, width| Some((std::mem::replace(left, *left + width * scale), width * scale)));
    html! {
        @if whole > 0 {
            svg.shares role="img" aria-label=(label.join(", ")) {
                @for ((part, words), (left, width)) in parts.iter().zip(&label).zip(places).filter(|((part, _), _)| part.count > 0) {
                    rect.(part.tone.class()) x=(format!("{left:.2}%")) width=(format!("{width:.2}%")) height="100%" { title { (words) } }
                }
            }
        }
    }
}

/// A bar as long as a value among others of which `most` is the largest.
pub(super) fn meter(value: u64, most: u64, tone: Tone) -> Markup {
    html! { svg.meter aria-hidden="true" { rect.(tone.class()) width=(format!("{:.2}%", percent(value, most))) height="100%" {} } }
}

/// What is there at all can be seen.
#[expect(clippy::cast_precision_loss, reason = "a length on a page has no use for the digits that are lost")]
fn percent(part: u64, whole: u64) -> f64 {
    match part.min(whole) {
        0 => 0.0,
        part => (part as f64 / whole as f64 * 100.0).max(THINNEST),
    }
}

/// One value of a strip.
pub(super) struct Bar {
    pub(super) duration: Duration,
    pub(super) tone: Tone,
    pub(super) title: String,
}

/// A bar for each duration, from left to right, at most [`BARS`].
pub(super) fn strip(bars: &[Bar], label: &str) -> Markup {
    const WIDTH: usize = 6;
    const HEIGHT: f64 = 40.0;
    let shown = &bars[..bars.len().min(BARS)];
    html! {
        @if !shown.is_empty() {
            svg.strip viewBox=(format!("0 0 {} {HEIGHT}", BARS * WIDTH)) preserveAspectRatio="none" role="img" aria-label=(label) {
                @for (index, bar) in shown.iter().enumerate() {
                    @let height = HEIGHT * height(bar.duration);
                    rect.(bar.tone.class()) x=(index * WIDTH) width=(WIDTH - 2) y=(format!("{:.1}", HEIGHT - height)) height=(format!("{height:.1}")) {
                        title { (bar.title) }
                    }
                }
            }
        }
    }
}

/// From a sliver to 1: every bar can be seen.
fn height(duration: Duration) -> f64 {
    ((duration.as_secs_f64().max(LOWEST) / LOWEST).log10() / DECADES).clamp(0.06, 1.0)
}

/// The marks of an axis of time that is `whole` long.
pub(super) fn axis(whole: Duration) -> Markup {
    let anchor = |mark| match mark {
        0 => "start",
        MARKS => "end",
        _ => "middle",
    };
    html! {
        svg.axis aria-hidden="true" {
            @for mark in 0..=MARKS {
                text x=(format!("{}%", mark * 100 / MARKS)) y="75%" text-anchor=(anchor(mark)) { @if mark == 0 { "0" } @else { (figure::duration(whole * mark / MARKS)) } }
            }
        }
    }
}

/// Something that was under way, from and to in time since its axis begins.
pub(super) struct Stretch {
    pub(super) from: Duration,
    pub(super) to: Duration,
    pub(super) class: String,
    pub(super) title: String,
}

/// A line of an axis that is `whole` long.
pub(super) fn track(stretches: &[Stretch], whole: Duration) -> Markup {
    html! {
        svg.track aria-hidden="true" {
            @for stretch in stretches {
                @let (left, width) = extent(stretch, whole);
                rect.(stretch.class) x=(format!("{left:.2}%")) width=(format!("{width:.2}%")) y="20%" height="60%" { title { (stretch.title) } }
            }
        }
    }
}

/// Where a stretch begins and how wide it is, in percent: never outside of its axis.
fn extent(stretch: &Stretch, whole: Duration) -> (f64, f64) {
    let percent = |at: Duration| if whole.is_zero() { 0.0 } else { (at.as_secs_f64() / whole.as_secs_f64() * 100.0).min(100.0) };
    let left = percent(stretch.from).min(100.0 - THINNEST);
    (left, (percent(stretch.to) - left).max(THINNEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_has_its_figures_as_text_and_no_part_for_nothing() {
        let part = |name, tone, count| Part { name, tone, count };
        let parts = [part("committed", Tone::Good, 3), part("parked", Tone::Bad, 0), part("open", Tone::Busy, 1)];
        let bar = shares(&parts).into_string();
        assert!(bar.contains(r#"aria-label="3 committed, 0 parked, 1 open""#) && !bar.contains("bad"), "{bar}");
        assert!(bar.contains(r#"<rect class="good" x="0.00%" width="75.00%""#), "{bar}");
        assert!(bar.contains(r#"<rect class="busy" x="75.00%" width="25.00%""#), "{bar}");
        assert_eq!(shares(&[]).into_string(), "");
    }

    #[test]
    fn one_parked_transaction_among_a_million_can_be_seen() {
        let part = |tone, count| Part { name: "", tone, count };
        let bar = shares(&[part(Tone::Good, 1_000_000), part(Tone::Bad, 1)]).into_string();
        assert!(bar.contains(r#"<rect class="bad" x="99.60%" width="0.40%""#), "{bar}");
    }

    #[test]
    fn a_strip_is_bounded_and_no_bar_leaves_it() {
        let bar = |micros| Bar { duration: Duration::from_micros(micros), tone: Tone::Good, title: String::new() };
        let bars: Vec<_> = (0..BARS as u64 * 2).map(|n| bar(10_u64.pow(n as u32 % 12))).collect();
        assert_eq!(strip(&bars, "x").into_string().matches("<rect").count(), BARS);
        assert!(bars.iter().all(|bar| (0.06..=1.0).contains(&height(bar.duration))));
    }

    #[test]
    fn a_meter_of_nothing_is_empty_and_a_little_can_be_seen() {
        assert!(meter(0, 0, Tone::Good).into_string().contains(r#"width="0.00%""#));
        assert!(meter(1, 1_000_000, Tone::Good).into_string().contains(r#"width="0.40%""#));
        assert!(meter(u64::MAX, 1, Tone::Good).into_string().contains(r#"width="100.00%""#));
    }

    #[test]
    fn no_stretch_leaves_its_axis_whatever_clocks_said() {
        let seconds = Duration::from_secs;
        for (from, to, whole, expected) in
            [(1, 2, 4, "25.00 25.00"), (9, 12, 4, "99.60 0.40"), (3, 2, 4, "75.00 0.40"), (0, 0, 0, "0.00 0.40")]
        {
            let stretch = Stretch { from: seconds(from), to: seconds(to), class: String::new(), title: String::new() };
            let (left, width) = extent(&stretch, seconds(whole));
            assert_eq!(format!("{left:.2} {width:.2}"), expected, "{from} to {to} of {whole}");
        }
    }
}
