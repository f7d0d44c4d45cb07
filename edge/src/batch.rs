//! Acquires on their way to the module: all that wait when the connection is free go out together, one
//! SLOT.MACQUIRE per sale; nothing waits for a timer. It keeps the order in which they came, and decides
//! nothing.
//!
//! The queue is bounded: past it a request is refused at once, and one that has waited longer than Redis may
//! take to answer is refused before it is sent.
//! Next: redis-module/src/ (SLOT.MACQUIRE) decides.

use std::rc::Rc;
use std::time::{Duration, Instant};

use redis::{Cmd, Pipeline, Value, cmd};
use slot_core::ids::{ProductId, TraceId, UserId};
use slot_core::units::UnixMillis;
use slot_core::wire::AcquireReply;
use tokio::sync::{mpsc, oneshot};
use tokio::task::spawn_local;

use crate::metrics::WorkerMetrics;
use crate::shard::{Lane, Shard, Trouble, typed};

/// The module's limit for one SLOT.MACQUIRE.
const BATCH: usize = 256;
/// The most that go out in one round trip, over all sales.
const ROUND: usize = 1_024;

/// One buyer's request.
pub(crate) struct Wish {
    pub(crate) product: ProductId,
    pub(crate) user: UserId,
    /// Whether to join the waitlist if stock is gone (R6).
    pub(crate) wait: bool,
    pub(crate) arrived: UnixMillis,
    pub(crate) trace: TraceId,
}

struct Ask {
    wish: Wish,
    since: Instant,
    answer: oneshot::Sender<Result<AcquireReply, Trouble>>,
}

/// The handle to a worker's queue of acquires.
pub(crate) struct Acquires {
    queue: mpsc::Sender<Ask>,
    metrics: WorkerMetrics,
}

impl Acquires {
    /// Starts the worker's batch loop; it ends when the handle is dropped.
    pub(crate) fn start(
        shard: Rc<Shard>,
        metrics: WorkerMetrics,
        capacity: usize,
        patience: Duration,
    ) -> Self {
        let (queue, asks) = mpsc::channel(capacity);
        spawn_local(run(asks, shard, metrics.clone(), patience));
        Self { queue, metrics }
    }

    /// Sends a wish with the next batch and waits for its answer.
    pub(crate) async fn ask(&self, wish: Wish) -> Result<AcquireReply, Trouble> {
        let (answer, outcome) = oneshot::channel();
        let ask = Ask { wish, since: Instant::now(), answer };
        if self.queue.try_send(ask).is_err() {
            self.metrics.shed();
            return Err(Trouble::Shed);
        }
        outcome.await.unwrap_or(Err(Trouble::NotConfirmed))
    }
}

async fn run(
    mut queue: mpsc::Receiver<Ask>,
    shard: Rc<Shard>,
    metrics: WorkerMetrics,
    patience: Duration,
) {
    let mut asks = Vec::with_capacity(ROUND);
    while queue.recv_many(&mut asks, ROUND).await > 0 {
        metrics.queued(queue.len());
        let mut round = Vec::with_capacity(asks.len());
        for ask in asks.drain(..) {
            if ask.answer.is_closed() {
                // The caller has gone; nobody would know of the slot.
            } else if ask.since.elapsed() > patience {
                metrics.shed();
                let _ = ask.answer.send(Err(Trouble::Shed));
            } else {
                round.push(ask);
            }
        }
        send(&shard, &metrics, round).await;
    }
}

async fn send(shard: &Shard, metrics: &WorkerMetrics, mut round: Vec<Ask>) {
    if round.is_empty() {
        return;
    }
    // Stable: within a sale the order of arrival stays.
    round.sort_by_key(|ask| ask.wish.product);
    let mut pipeline = Pipeline::new();
    let mut products = Vec::new();
    let mut sizes = Vec::new();
    let sales = round.chunk_by(|a, b| a.wish.product == b.wish.product);
    for batch in sales.flat_map(|sale| sale.chunks(BATCH)) {
        if let Some(first) = batch.first() {
            metrics.batch(batch.len());
            pipeline.add_command(command(first.wish.product, batch));
            products.push(first.wish.product);
            sizes.push(batch.len());
        }
    }
    let outcome = shard.write_all(Lane::Acquires, pipeline, &products).await;
    let mut asks = round.into_iter();
    match outcome {
        Ok(replies) => {
            for ((reply, confirmed), size) in replies.into_iter().zip(sizes) {
                deliver(asks.by_ref().take(size), reply, confirmed);
            }
        }
        Err(trouble) => asks.for_each(|ask| drop(ask.answer.send(Err(trouble.clone())))),
    }
}

fn command(product: ProductId, batch: &[Ask]) -> Cmd {
    let mut command = cmd("SLOT.MACQUIRE");
    command.arg(product.sale_key()).arg(product.stream_key()).arg(batch.len());
    for Ask { wish, .. } in batch {
        command
            .arg(wish.user.as_str())
            .arg(if wish.wait { "1" } else { "0" })
            .arg(wish.arrived.0)
            .arg(wish.trace.as_str());
    }
    command
}

/// Gives each of a batch its own reply.
fn deliver(asks: impl ExactSizeIterator<Item = Ask>, reply: Value, confirmed: bool) {
    let replies = match reply {
        Value::Array(replies) if replies.len() == asks.len() => replies,
        whole => {
            // An error for the whole command, or not what the contract says: the same for everyone.
            let trouble = typed::<AcquireReply>(whole).map_or_else(
                |trouble| trouble,
                |_| Trouble::Misshapen("one reply for a batch".into()),
            );
            asks.for_each(|ask| drop(ask.answer.send(Err(trouble.clone()))));
            return;
        }
    };
    for (ask, reply) in asks.zip(replies) {
        let outcome = typed::<AcquireReply>(reply).and_then(|reply| {
            // Where there is no sale, there is nothing to confirm.
            if confirmed || reply == AcquireReply::NoSale {
                Ok(reply)
            } else {
                Err(Trouble::NotConfirmed)
            }
        });
        // A caller that has gone meanwhile asks again and hears HELD.
        let _ = ask.answer.send(outcome);
    }
}
