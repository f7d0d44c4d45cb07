//! Trims the streams below the lower of the sinks' marks, so that Redis holds only what a sink still has to get.
//!
//! The entry at the lower mark stays: every reader compares it with its mark. A sale is trimmed when it has 1,000 events
//! more below its mark than at its last trim, or after a second where it has any. Next: source.rs.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use slot_core::ids::ProductId;

use crate::marks::Mark;
use crate::shared::Shared;
use crate::source::{Source, SourceError};

const LOOK_EVERY: Duration = Duration::from_millis(200);
const AT_LATEST: Duration = Duration::from_secs(1);
const ENOUGH: u64 = 1000;
/// The most streams trimmed in one round trip.
const AT_ONCE: usize = 256;

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
    let due: Vec<_> = shared
        .committed
        .lower()
        .into_iter()
        .filter(|(product, mark)| !shared.halted.contains(product) && is_due(last, product, mark))
        .collect();
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

fn is_due(last: &HashMap<ProductId, Last>, product: &ProductId, mark: &Mark) -> bool {
    match last.get(product) {
        None => mark.number.0 > 1,
        Some(last) => {
            let more = mark.number.0.saturating_sub(last.number);
            more >= ENOUGH || (more > 0 && last.at.elapsed() >= AT_LATEST)
        }
    }
}
