//! Trims the streams below the lower of the sinks' marks, so that Redis holds only what a sink still has to get.
//!
//! The entry at the lower mark stays: every reader compares it with its mark. A sale is trimmed when it has 1,000 events
//! more below its mark than at its last trim, or where it has any after a while (`--trim-after-ms`), so that a quiet
//! sale's last events can be looked at. Next: source.rs.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use slot_core::ids::ProductId;

use crate::marks::Mark;
use crate::shared::Shared;
use crate::source::{Source, SourceError};

const LOOK_EVERY: Duration = Duration::from_millis(200);
const ENOUGH: u64 = 1000;
/// The most streams trimmed in one round trip.
const AT_ONCE: usize = 256;

/// A sale's last trim; before the first, when the sale was first seen here.
struct Last {
    number: u64,
    at: Instant,
}

/// Trims until the process shall end.
pub async fn run(shared: &Shared) {
    let mut source: Option<Source> = None;
    let mut last = HashMap::new();
    while !shared.stopping() {
        shared.pause(LOOK_EVERY).await;
        if let Err(error) = round(shared, &mut source, &mut last).await {
            shared.metrics.retries.with_label_values(&["trim"]).inc();
            tracing::warn!(%error, "streams could not be trimmed; trying again");
            source = None;
        }
    }
}

async fn round(
    shared: &Shared,
    source: &mut Option<Source>,
    last: &mut HashMap<ProductId, Last>,
) -> Result<(), SourceError> {
    let at_latest = Duration::from_millis(shared.args.trim_after_ms);
    let mut due = shared.committed.lower();
    due.retain(|(product, mark)| {
        let last = last.entry(*product).or_insert_with(|| Last { number: 1, at: Instant::now() });
        !shared.halted.contains(product) && is_due(last, mark, at_latest)
    });
    for marks in due.chunks(AT_ONCE) {
        let source = match source {
            Some(source) => source,
            None => source.insert(Source::connect(&shared.args.redis_url).await?),
        };
        for ((product, mark), done) in marks.iter().zip(source.trim(marks).await?) {
            // Noted in either case: a refusal is not asked for again until there is more to trim.
            last.insert(*product, Last { number: mark.number.0, at: Instant::now() });
            match done {
                Ok(()) => shared.metrics.trimmed.inc(),
                Err(why) => {
                    tracing::warn!(product = %product, mark = %mark.number, why, "trim refused");
                }
            }
        }
    }
    Ok(())
}

fn is_due(last: &Last, mark: &Mark, at_latest: Duration) -> bool {
    let more = mark.number.0.saturating_sub(last.number);
    more >= ENOUGH || (more > 0 && last.at.elapsed() >= at_latest)
}
