//! The libc guard: `getrandom` and `clock_gettime` of this binary, answered from a thread-local seed and clock while armed.
//!
//! Libraries read entropy and time behind our back: `HashMap` keys, `uuid`, the base of tokio's paused clock. A symbol of the
//! executable wins over the one of the C library, so these two reach them all. A thread that is not armed falls through to the
//! system call. Both clocks are virtual: the wall clock is that of the running node, and the monotonic one moves only with the
//! paused runtime, so a stray `Instant` measures virtual time. The clocks of CPU time stay real.
//!
//! The only unsafe code of the tree. Linux only: elsewhere `getrandom` is not how entropy is read.
#![allow(unsafe_code, reason = "the symbols of the C library have C signatures")]

use std::cell::Cell;
use std::time::Duration;

use libc::{c_int, c_uint, c_void, clockid_t, size_t, ssize_t, timespec};
use settee_core::Timestamp;

/// Where the virtual monotonic clock starts: above zero, so that code may subtract a little from "now".
const MONOTONIC_START: Duration = Duration::from_secs(1_000);

/// 2026-01-01T00:00:00Z, where the virtual wall clock starts.
pub(crate) const WALL_START: Timestamp = Timestamp::from_millis(1_767_225_600_000);

#[derive(Clone, Copy)]
struct Armed {
    random: u64,
    monotonic: Duration,
    wall: Timestamp,
}

thread_local! {
    // `const` and without a destructor: safe to read from inside the C library, also while a thread starts or ends.
    static ARMED: Cell<Option<Armed>> = const { Cell::new(None) };
}

/// Makes entropy and clocks of this thread follow from `seed`, for as long as the thread lives.
pub(crate) fn arm(seed: u64) {
    ARMED.set(Some(Armed { random: seed, monotonic: MONOTONIC_START, wall: WALL_START }));
}

/// Whether this thread is simulated.
pub(crate) fn is_armed() -> bool {
    ARMED.get().is_some()
}

/// Moves the clocks of this thread: virtual time since the start, and the running node's wall clock.
pub(crate) fn set_clocks(elapsed: Duration, wall: Timestamp) {
    if let Some(armed) = ARMED.get() {
        ARMED.set(Some(Armed { monotonic: MONOTONIC_START + elapsed, wall, ..armed }));
    }
}

/// The next 64 bits of SplitMix64: tiny, stateless beyond one word, and good enough for hash keys.
fn next_random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn virtual_time(armed: Armed, clock: clockid_t) -> Option<timespec> {
    let since = match clock {
        libc::CLOCK_REALTIME | libc::CLOCK_REALTIME_COARSE => Duration::from_micros(armed.wall.micros().max(0).unsigned_abs()),
        libc::CLOCK_MONOTONIC | libc::CLOCK_MONOTONIC_COARSE | libc::CLOCK_MONOTONIC_RAW | libc::CLOCK_BOOTTIME => {
            armed.monotonic
        }
        _ => return None,
    };
    let tv_sec = libc::time_t::try_from(since.as_secs()).unwrap_or(libc::time_t::MAX);
    Some(timespec { tv_sec, tv_nsec: libc::c_long::from(since.subsec_nanos()) })
}

/// As in the C library: fills `buffer`, and says how many bytes it filled.
///
/// # Safety
/// `buffer` must be writable for `length` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn getrandom(buffer: *mut c_void, length: size_t, flags: c_uint) -> ssize_t {
    let Some(mut armed) = ARMED.get() else {
        // SAFETY: the arguments of our caller, who promised the kernel's own contract, are passed on unchanged.
        let filled = unsafe { libc::syscall(libc::SYS_getrandom, buffer, length, flags) };
        return ssize_t::try_from(filled).unwrap_or(-1);
    };
    let mut filled = 0;
    while filled < length {
        let word = next_random(&mut armed.random).to_ne_bytes();
        let count = word.len().min(length - filled);
        // SAFETY: `filled + count <= length`, and the caller promised `length` writable bytes; a local array never overlaps them.
        unsafe { std::ptr::copy_nonoverlapping(word.as_ptr(), buffer.cast::<u8>().add(filled), count) };
        filled += count;
    }
    ARMED.set(Some(armed));
    ssize_t::try_from(length).unwrap_or(ssize_t::MAX)
}

/// As in the C library: the time of `clock`.
///
/// # Safety
/// `time` must be null or writable.
#[unsafe(no_mangle)]
unsafe extern "C" fn clock_gettime(clock: clockid_t, time: *mut timespec) -> c_int {
    match ARMED.get().and_then(|armed| virtual_time(armed, clock)) {
        Some(now) if !time.is_null() => {
            // SAFETY: not null, and the caller promised that it is writable.
            unsafe { time.write(now) };
            0
        }
        // SAFETY: the arguments of our caller, who promised the kernel's own contract, are passed on unchanged.
        _ => c_int::try_from(unsafe { libc::syscall(libc::SYS_clock_gettime, clock, time) }).unwrap_or(-1),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::hash_map::RandomState;
    use std::hash::BuildHasher;

    use super::*;

    #[expect(
        clippy::disallowed_methods,
        clippy::disallowed_types,
        reason = "what libraries do behind our back is what is tested"
    )]
    fn what_libraries_read(seed: u64) -> (u64, u64, Duration, Duration) {
        std::thread::spawn(move || {
            arm(seed);
            let started = std::time::Instant::now();
            set_clocks(Duration::from_millis(1_500), WALL_START.after(Duration::from_secs(7)));
            let wall = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
            (RandomState::new().hash_one(1), settee_core::env::random_u64(), started.elapsed(), wall)
        })
        .join()
        .unwrap()
    }

    #[test]
    fn entropy_and_clocks_of_libraries_follow_the_seed() {
        let first = what_libraries_read(7);
        assert_eq!(first, what_libraries_read(7));
        assert_ne!(first.0, what_libraries_read(8).0, "hash keys come from getrandom");
        assert_ne!(first.1, what_libraries_read(8).1, "so does the getrandom crate");
        assert_eq!(first.2, Duration::from_millis(1_500));
        assert_eq!(first.3, Duration::from_millis(1_767_225_607_000));
    }

    #[test]
    #[expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "the real clock is what is tested")]
    fn a_thread_that_is_not_armed_sees_the_real_world() {
        assert_ne!(settee_core::env::random_u64(), settee_core::env::random_u64());
        let now = std::time::SystemTime::now();
        assert_ne!(now, std::time::UNIX_EPOCH + Duration::from_micros(WALL_START.micros().unsigned_abs()));
        assert!(std::time::Instant::now() >= std::time::Instant::now() - Duration::from_secs(1));
    }
}
