use super::*;

fn options() -> BreakerOptions {
    BreakerOptions { min_calls: 4, successes: 2, probes: 1, ..BreakerOptions::default() }
}

fn failing(breaker: &mut Breaker, calls: u32, now: Instant) {
    for _ in 0..calls {
        if let Ok(admission) = breaker.admit(now) {
            breaker.ended(admission, false, now);
        }
    }
}

fn opened() -> (Breaker, Instant) {
    let now = Instant::now();
    let mut breaker = Breaker::new(options(), now);
    failing(&mut breaker, 4, now);
    assert_eq!(breaker.state(), BreakerState::Open);
    (breaker, now)
}

#[test]
fn a_few_failures_do_not_open_it_and_many_do() {
    let now = Instant::now();
    let mut breaker = Breaker::new(options(), now);
    failing(&mut breaker, 3, now);
    assert_eq!(breaker.state(), BreakerState::Closed);
    failing(&mut breaker, 1, now);
    assert_eq!(breaker.admit(now), Err(Duration::from_secs(5)));
}

#[test]
fn old_failures_age_out() {
    let now = Instant::now();
    let mut breaker = Breaker::new(options(), now);
    failing(&mut breaker, 3, now);
    failing(&mut breaker, 3, now + Duration::from_secs(11));
    assert_eq!(breaker.state(), BreakerState::Closed);
}

#[test]
fn it_closes_after_enough_probes() {
    let (mut breaker, now) = opened();
    let later = now + Duration::from_secs(5);
    for _ in 0..2 {
        let probe = breaker.admit(later).unwrap();
        assert!(breaker.admit(later).is_err(), "one probe at a time");
        breaker.ended(probe, true, later);
    }
    assert_eq!(breaker.state(), BreakerState::Closed);
}

#[test]
fn a_probe_that_never_reports_back_does_not_leave_it_half_open_for_ever() {
    let (mut breaker, now) = opened();
    let later = now + Duration::from_secs(5);
    let _lost = breaker.admit(later).unwrap();
    let much_later = later + Duration::from_secs(3);
    assert_eq!(breaker.admit(much_later), Err(Duration::from_secs(10)), "open again, twice as long");
    assert!(breaker.admit(much_later + Duration::from_secs(10)).is_ok(), "and it probes again");
}

#[test]
fn a_probe_that_was_lost_long_ago_turns_nobody_away_today() {
    let (mut breaker, now) = opened();
    let _lost = breaker.admit(now + Duration::from_secs(5)).unwrap();
    let probe = breaker.admit(now + Duration::from_secs(60)).unwrap();
    breaker.ended(probe, true, now + Duration::from_secs(60));
    assert!(breaker.admit(now + Duration::from_secs(61)).is_ok());
}

#[test]
fn a_late_report_of_an_earlier_round_changes_nothing() {
    let now = Instant::now();
    let mut breaker = Breaker::new(options(), now);
    let early = breaker.admit(now).unwrap();
    failing(&mut breaker, 4, now);
    let later = now + Duration::from_secs(5);
    let probe = breaker.admit(later).unwrap();
    breaker.ended(early, false, later);
    breaker.ended(probe, true, later);
    assert_eq!(breaker.state(), BreakerState::HalfOpen);
}
