//! Waiting for a condition with a deadline: the one place of the stack that polls.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// Asks `probe` until it has an answer, for at most `limit`.
///
/// `probe` answers `Some` when the condition holds, `None` when it does not hold yet, and an error
/// when it never will. `what` completes the sentence "gave up after 5 s waiting for …".
///
/// # Errors
/// The probe's own error at once; or that the time is over.
pub async fn until<T, P>(what: &str, limit: Duration, mut probe: P) -> Result<T>
where
    P: AsyncFnMut() -> Result<Option<T>>,
{
    let end = Instant::now() + limit;
    let mut pause = FIRST_PAUSE;
    loop {
        if let Some(answer) = probe().await? {
            return Ok(answer);
        }
        if Instant::now() >= end {
            bail!("gave up after {limit:?} waiting for {what}");
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
