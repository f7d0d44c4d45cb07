//! The node's clock. It starts at the wall clock, advances with the monotonic clock and slews towards the
//! wall so slowly that a wall-clock step of an hour moves no 30-minute deadline by more than 0.2 s (R4,
//! T12). A sale's own time is the later of this and its last event; core sees to that.
//!
//! For tests the module takes the arguments `TESTCLOCK file`: time then is the number in the file, and the
//! sweeper rests.

use slot_core::units::UnixMillis;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// At most this share of the time that passes goes into catching up with the wall: 1/10,000.
const SLEW: i64 = 10_000;

/// How often the clock looks at the wall: often enough, and not in every command.
const LOOK: i64 = 1_000_000;

/// When the clock last looked at the wall, and its own time then.
struct Clock {
    looked: Instant,
    nanos: i64,
}

static CLOCK: Mutex<Option<Clock>> = Mutex::new(None);

static TEST_CLOCK: OnceLock<PathBuf> = OnceLock::new();

/// Takes the time from a file from now on.
pub(crate) fn follow(file: PathBuf) {
    // Set once, while the module loads.
    let _ = TEST_CLOCK.set(file);
}

/// Whether time is what a test says.
pub(crate) fn is_followed() -> bool {
    TEST_CLOCK.get().is_some()
}

/// The time of this command, tick or answer: read it once for each.
pub(crate) fn now() -> UnixMillis {
    if let Some(file) = TEST_CLOCK.get() {
        return told(file);
    }
    let read = Instant::now();
    let mut clock = CLOCK.lock().unwrap_or_else(PoisonError::into_inner);
    let clock = clock.get_or_insert_with(|| Clock { looked: read, nanos: wall_nanos() });
    let passed = saturated(read.saturating_duration_since(clock.looked).as_nanos());
    let mut nanos = clock.nanos.saturating_add(passed);
    if passed >= LOOK {
        nanos = slewed(nanos, passed, wall_nanos());
        *clock = Clock { looked: read, nanos };
    }
    UnixMillis(u64::try_from(nanos.div_euclid(1_000_000)).unwrap_or(0))
}

/// A file without a number is how a test sees that no panic gets past the border.
#[expect(clippy::panic, reason = "in tests only, and on purpose")]
fn told(file: &Path) -> UnixMillis {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    match text.trim().parse() {
        Ok(millis) => UnixMillis(millis),
        Err(why) => panic!("the test's clock says {text:?}: {why}"),
    }
}

fn slewed(nanos: i64, passed: i64, wall: i64) -> i64 {
    let most = passed.div_euclid(SLEW);
    nanos.saturating_add(wall.saturating_sub(nanos).clamp(most.saturating_neg(), most))
}

fn wall_nanos() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| saturated(since.as_nanos()))
}

fn saturated(nanos: u128) -> i64 {
    i64::try_from(nanos).unwrap_or(i64::MAX)
}
