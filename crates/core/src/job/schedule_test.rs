//! Calendars as people fear them: the two nights of daylight saving time, month ends, leap days.

use super::*;

fn moment(text: &str) -> Timestamp {
    Timestamp::from_micros(text.parse::<jiff::Timestamp>().unwrap().as_microsecond())
}

fn dues(schedule: &Schedule, after: &str, count: usize) -> Vec<String> {
    let timetable = schedule.timetable().unwrap();
    let mut due = moment(after);
    (0..count).map_while(|_| timetable.next_after(due).inspect(|next| due = *next)).map(|due| due.to_string()).collect()
}

fn zurich(expression: &str, gap: GapPolicy, fold: FoldPolicy) -> Schedule {
    Schedule::Cron { expression: expression.into(), zone: "Europe/Zurich".into(), gap, fold }
}

#[test]
fn expressions_mean_what_people_expect_of_cron() {
    let table: [(&str, &str, &[&str]); 10] = [
        ("0 0 2 * * *", "2026-01-01T02:00:00Z", &["2026-01-02T02:00:00Z"]),
        ("*/15 * * * *", "2026-01-01T00:07:00Z", &["2026-01-01T00:15:00Z", "2026-01-01T00:30:00Z"]),
        ("0 0 L * *", "2026-01-31T00:00:00Z", &["2026-02-28T00:00:00Z", "2026-03-31T00:00:00Z"]),
        ("0 0 31 * *", "2026-01-31T00:00:00Z", &["2026-03-31T00:00:00Z", "2026-05-31T00:00:00Z"]),
        ("0 0 29 2 *", "2026-01-01T00:00:00Z", &["2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"]),
        ("0 8-10 * * MON-FRI", "2026-01-02T10:00:00Z", &["2026-01-05T08:00:00Z", "2026-01-05T09:00:00Z"]),
        ("0 12 * * FRI#L", "2026-01-01T00:00:00Z", &["2026-01-30T12:00:00Z"]),
        ("0 12 15W * *", "2026-08-01T00:00:00Z", &["2026-08-14T12:00:00Z"]),
        ("0 0 0 1 1 * 2030", "2026-01-01T00:00:00Z", &["2030-01-01T00:00:00Z"]),
        ("@daily", "2026-01-01T00:00:00Z", &["2026-01-02T00:00:00Z"]),
    ];
    for (expression, after, expected) in table {
        assert_eq!(dues(&Schedule::cron(expression, "UTC"), after, expected.len()), expected, "{expression}");
    }
}

#[test]
fn a_schedule_that_is_over_or_never_comes_ends() {
    for expression in ["0 0 30 2 *", "0 0 0 1 1 * 2020"] {
        assert_eq!(dues(&Schedule::cron(expression, "Europe/Zurich"), "2026-01-01T00:00:00Z", 1), [""; 0], "{expression}");
    }
    let once = Schedule::Once { due: moment("2026-05-01T00:00:00Z") };
    assert_eq!(dues(&once, "2026-01-01T00:00:00Z", 3), ["2026-05-01T00:00:00Z"]);
    assert_eq!(dues(&Schedule::OnDemand, "2026-01-01T00:00:00Z", 1), [""; 0]);
}

#[test]
fn the_hour_that_does_not_exist_does_what_the_policy_says() {
    // 2026-03-29: 02:00 CET becomes 03:00 CEST at 01:00Z.
    let (before, next_day) = ("2026-03-28T12:00:00Z", "2026-03-30T00:30:00Z");
    let table: [(&str, GapPolicy, &[&str]); 7] = [
        ("0 30 2 * * *", GapPolicy::Skip, &[next_day]),
        ("0 30 2 * * *", GapPolicy::RunAtTransition, &["2026-03-29T01:00:00Z", next_day]),
        ("0 30 2 * * *", GapPolicy::Shift, &["2026-03-29T01:30:00Z", next_day]),
        ("0 0 2 * * *", GapPolicy::RunAtTransition, &["2026-03-29T01:00:00Z", "2026-03-30T00:00:00Z"]),
        ("0 0 3 * * *", GapPolicy::RunAtTransition, &["2026-03-29T01:00:00Z", "2026-03-30T01:00:00Z"]),
        ("0 0,20,40 2-3 * * *", GapPolicy::RunAtTransition, &["2026-03-29T01:00:00Z", "2026-03-29T01:20:00Z"]),
        ("0 10 2-3 * * *", GapPolicy::Shift, &["2026-03-29T01:10:00Z", "2026-03-30T00:10:00Z"]),
    ];
    for (expression, gap, expected) in table {
        let schedule = zurich(expression, gap, FoldPolicy::First);
        assert_eq!(dues(&schedule, before, expected.len()), expected, "{expression} {gap:?}");
    }
}

#[test]
fn the_hour_that_comes_twice_does_what_the_policy_says() {
    // 2026-10-25: 03:00 CEST becomes 02:00 CET at 01:00Z.
    let table: [(FoldPolicy, &[&str]); 3] = [
        (FoldPolicy::First, &["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]),
        (FoldPolicy::Last, &["2026-10-25T01:30:00Z", "2026-10-26T01:30:00Z"]),
        (FoldPolicy::Both, &["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-26T01:30:00Z"]),
    ];
    for (fold, expected) in table {
        let schedule = zurich("0 30 2 * * *", GapPolicy::Skip, fold);
        assert_eq!(dues(&schedule, "2026-10-24T12:00:00Z", expected.len()), expected, "{fold:?}");
    }
    let steady = zurich("0 */30 * * * *", GapPolicy::Skip, FoldPolicy::Both);
    let half_hours = ["2026-10-25T00:30:00Z", "2026-10-25T01:00:00Z", "2026-10-25T01:30:00Z", "2026-10-25T02:00:00Z"];
    assert_eq!(dues(&steady, "2026-10-25T00:00:00Z", 4), half_hours);
}

#[test]
fn due_times_only_ever_grow_through_a_whole_year_of_every_policy() {
    for gap in [GapPolicy::Skip, GapPolicy::RunAtTransition, GapPolicy::Shift] {
        for fold in [FoldPolicy::First, FoldPolicy::Last, FoldPolicy::Both] {
            let timetable = zurich("0 */20 1-3 * * *", gap, fold).timetable().unwrap();
            let mut due = moment("2026-01-01T00:00:00Z");
            while due < moment("2027-01-01T00:00:00Z") {
                let next = timetable.next_after(due).unwrap();
                assert!(
                    next > due && timetable.next_after(next.before(Duration::from_micros(1))) == Some(next),
                    "{gap:?} {fold:?} {next}"
                );
                due = next;
            }
        }
    }
}

#[test]
fn what_cannot_be_read_is_named() {
    let cron = |expression: &str| Schedule::cron(expression, "UTC");
    let table = [
        (cron("0 0 25 * * *"), "hour \"25\""),
        (cron("61 * * * *"), "minute \"61\""),
        (cron("0 0 0 32 * *"), "day of month \"32\""),
        (cron("0 0 * 13 *"), "month \"13\""),
        (cron("0 0 * * NEVER"), "day of week"),
        (cron("* * *"), "3 fields, 5 to 7"),
        (cron(""), "0 fields"),
        (Schedule::cron("@daily", "Europe/Zuerich"), "zone \"Europe/Zuerich\""),
        (Schedule::Every { period: Duration::from_millis(1), first: Timestamp::EPOCH }, "period 1ms"),
    ];
    for (schedule, expected) in table {
        let error = schedule.timetable().unwrap_err();
        assert_eq!(error.code(), &codes::BAD_SCHEDULE);
        assert!(error.message().contains(expected), "{error}");
    }
}

#[test]
fn a_period_keeps_its_phase_over_any_span() {
    let every = Schedule::Every { period: Duration::from_secs(90), first: moment("2026-01-01T00:00:10Z") };
    assert_eq!(dues(&every, "2025-01-01T00:00:00Z", 2), ["2026-01-01T00:00:10Z", "2026-01-01T00:01:40Z"]);
    let timetable = every.timetable().unwrap();
    let latest = timetable.latest_between(moment("2026-01-01T00:00:10Z"), moment("2026-03-01T00:00:00Z")).unwrap();
    assert_eq!(latest.to_string(), "2026-02-28T23:58:40Z");
    assert_eq!(timetable.latest_between(latest, moment("2026-03-01T00:00:00Z")), None);
}
