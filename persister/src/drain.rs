//! The drain: which sales changed → their streams from the mark on → checked → the sink, for one sink.
//!
//! Each sink has a drain of its own with its own connection and cursor, so that a dead sink never stops the other;
//! the price is that each event is read twice. A sale whose history forked stands still, the others go on. Nothing here
//! knows what a sink does with a batch. Next: postgres/sink.rs, kafka/sink.rs.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use slot_core::ids::ProductId;
use slot_core::wire::ChangedSale;

use crate::failure::Failure;
use crate::health::now_ms;
use crate::history::{Recorded, continue_from};
use crate::marks::{Mark, Marks};
use crate::metrics::Metrics;
use crate::retry::Backoff;
use crate::shared::Shared;
use crate::sink::{Batch, SaleBatch, Sink, SinkError};
use crate::source::{Range, Source, SourceError};

/// The cursor before any answer: all sales are listed.
const FROM_THE_BEGINNING: &str = "0";
const PAGE: u32 = 1000;
const SHORTEST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);
/// A sink that nothing goes to is asked whether it is there, so that its health is true.
const CHECK_EVERY: Duration = Duration::from_secs(3);
/// An opening, a look or a commit that takes longer is given up, and the marks are read again.
const SINK_TIMEOUT: Duration = Duration::from_secs(60);

/// One sink's drain.
pub struct Drain<S> {
    sink: S,
    shared: Arc<Shared>,
    marks: Marks,
    /// What Redis has of the sales that are ahead of the sink.
    ahead: HashMap<ProductId, u64>,
    /// The sales in `ahead`, the longest waiting first.
    queue: VecDeque<ProductId>,
    cursor: String,
}

enum Trouble {
    Source(SourceError),
    Sink(SinkError),
}

impl From<SourceError> for Trouble {
    fn from(error: SourceError) -> Self {
        Self::Source(error)
    }
}

impl From<SinkError> for Trouble {
    fn from(error: SinkError) -> Self {
        Self::Sink(error)
    }
}

impl<S: Sink> Drain<S> {
    /// A drain into this sink.
    #[must_use]
    pub fn new(sink: S, shared: Arc<Shared>) -> Self {
        Self {
            sink,
            shared,
            marks: Marks::new(),
            ahead: HashMap::new(),
            queue: VecDeque::new(),
            cursor: FROM_THE_BEGINNING.to_owned(),
        }
    }

    /// Drains until the process shall end.
    ///
    /// # Errors
    /// [`Failure::Fenced`] where another process has taken this one's place.
    pub async fn run(mut self) -> Result<(), Failure> {
        let mut backoff = Backoff::sink();
        let mut source: Option<Source> = None;
        let mut open = false;
        while !self.shared.stopping() {
            match self.session(&mut open, &mut source, &mut backoff).await {
                Ok(()) => return Ok(()),
                Err(Trouble::Sink(SinkError::Fenced(why))) => {
                    tracing::error!(sink = S::NAME.word(), why, "fenced by another writer");
                    return Err(Failure::Fenced(why));
                }
                Err(Trouble::Sink(error)) => {
                    open = false;
                    self.shared.health.set(S::NAME, false);
                    self.wait_after(S::NAME.word(), &error.to_string(), &mut backoff).await;
                }
                Err(Trouble::Source(error)) => {
                    source = None;
                    self.wait_after("redis", &error.to_string(), &mut backoff).await;
                }
            }
        }
        Ok(())
    }

    async fn wait_after(&self, part: &str, error: &str, backoff: &mut Backoff) {
        let wait = backoff.wait();
        self.shared.metrics.retries.with_label_values(&[part]).inc();
        tracing::warn!(
            sink = S::NAME.word(),
            part,
            error,
            tries = backoff.tries(),
            again_in_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
            "trying again"
        );
        self.shared.pause(wait).await;
    }

    async fn session(
        &mut self,
        open: &mut bool,
        source: &mut Option<Source>,
        backoff: &mut Backoff,
    ) -> Result<(), Trouble> {
        if !*open {
            self.marks = within("opening", self.sink.open()).await?;
            tracing::info!(
                sink = S::NAME.word(),
                sales = self.marks.len(),
                "sink open, marks read"
            );
            let known = self.marks.iter().map(|(product, mark)| (*product, *mark));
            self.shared.committed.note(S::NAME, known);
            *open = true;
        }
        self.start_over();
        let source = match source {
            Some(source) => source,
            None => {
                let args = &self.shared.args;
                source.insert(Source::connect_for(&args.redis_url, args.durability).await?)
            }
        };
        let mut pause = SHORTEST_PAUSE;
        let mut heard = Instant::now();
        while !self.shared.stopping() {
            self.look(source).await?;
            let batch = self.read(source).await?;
            if batch.is_empty() {
                self.shared.health.set(S::NAME, true);
                self.shared.pause(pause).await;
                pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
                if heard.elapsed() > CHECK_EVERY {
                    within("the look whether it is there", self.sink.check()).await?;
                    heard = Instant::now();
                }
            } else {
                self.commit(source, batch).await?;
                self.shared.health.set(S::NAME, true);
                backoff.reset();
                pause = SHORTEST_PAUSE;
                heard = Instant::now();
            }
        }
        Ok(())
    }

    /// On a new connection or with new marks every sale is compared again, changed or not.
    fn start_over(&mut self) {
        FROM_THE_BEGINNING.clone_into(&mut self.cursor);
        self.ahead.clear();
        self.queue.clear();
    }

    /// Asks which sales changed, and compares their heads with the marks.
    async fn look(&mut self, source: &mut Source) -> Result<(), SourceError> {
        loop {
            let reply = source.changed(&self.cursor, PAGE).await?;
            let count = u32::try_from(reply.sales.len()).unwrap_or(u32::MAX);
            self.cursor = reply.cursor;
            for sale in reply.sales {
                if self.shared.share.owns(&sale.product) {
                    self.compare(source, &sale).await;
                }
            }
            if count < PAGE {
                self.report_lag();
                return Ok(());
            }
        }
    }

    async fn compare(&mut self, source: &mut Source, sale: &ChangedSale) {
        let mark = self.mark(&sale.product);
        if sale.events < mark.number {
            let why = format!(
                "redis has {} events, the sink has {}: redis lost what it had told",
                sale.events, mark.number
            );
            self.halt(source, sale.product, &why).await;
        } else if sale.events == mark.number {
            if sale.head != mark.hash {
                let why = format!(
                    "event {} has hash {} in redis and {} in the sink",
                    sale.events, sale.head, mark.hash
                );
                self.halt(source, sale.product, &why).await;
            }
        } else if self.ahead.insert(sale.product, sale.events.0).is_none() {
            self.queue.push_back(sale.product);
        }
    }

    fn mark(&self, product: &ProductId) -> Mark {
        self.marks.get(product).copied().unwrap_or_else(|| Mark::origin(product))
    }

    /// Reads what fits into one transaction.
    async fn read(&mut self, source: &mut Source) -> Result<Batch, SourceError> {
        let ranges = self.plan();
        let mut batch = Batch::default();
        if ranges.is_empty() {
            return Ok(batch);
        }
        let parts = source.read(&ranges).await?;
        for (range, entries) in ranges.into_iter().zip(parts) {
            let events = match entries {
                // The stream is away, as during a migration; it stays in the queue and shows as lag.
                Ok(entries) if entries.is_empty() => continue,
                Ok(entries) => continue_from(&range.product, range.mark, entries)
                    .map_err(|fork| fork.to_string()),
                Err(why) => Err(why),
            };
            match events {
                Ok(events) => batch.sales.extend(sale_batch(&range, events)),
                Err(why) => self.halt(source, range.product, &why).await,
            }
        }
        let count = u64::try_from(batch.len()).unwrap_or_default();
        self.shared.metrics.received.with_label_values(&[S::NAME.word()]).inc_by(count);
        if let Some(sale) = batch.sales.first() {
            let args = &self.shared.args;
            source.confirm(&sale.product, args.durability, args.replicas).await?;
        }
        Ok(batch)
    }

    /// Which parts of which streams to read: the longest waiting sales first, each moved to the queue's end.
    fn plan(&mut self) -> Vec<Range> {
        let mut room = u64::from(self.shared.args.batch);
        let mut ranges = Vec::new();
        for _ in 0..self.queue.len() {
            if room == 0 {
                break;
            }
            let Some(product) = self.queue.pop_front() else { break };
            let Some(&head) = self.ahead.get(&product) else { continue };
            if self.shared.halted.contains(&product) {
                self.ahead.remove(&product);
                continue;
            }
            self.queue.push_back(product);
            let mark = self.mark(&product);
            let to = head.min(mark.number.0.saturating_add(room));
            room = room.saturating_sub(to.saturating_sub(mark.number.0));
            ranges.push(Range { product, mark, to });
        }
        ranges
    }

    async fn commit(&mut self, source: &mut Source, batch: Batch) -> Result<(), Trouble> {
        let moved: Vec<_> = batch.sales.iter().map(|sale| (sale.product, sale.after)).collect();
        let figures = Figures::of(&batch);
        let started = Instant::now();
        match within("the commit", self.sink.commit(batch)).await {
            Ok(()) => {}
            Err(SinkError::Contradicted(products, why)) => {
                for product in products {
                    self.halt(source, product, &why).await;
                }
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        }
        figures.show(&self.shared.metrics, S::NAME.word(), started.elapsed());
        for (product, mark) in &moved {
            self.marks.insert(*product, *mark);
            if self.ahead.get(product).is_some_and(|head| *head <= mark.number.0) {
                self.ahead.remove(product);
            }
        }
        self.queue.retain(|product| self.ahead.contains_key(product));
        self.shared.committed.note(S::NAME, moved);
        Ok(())
    }

    /// Stops a sale for sinks and charges, tells whoever watches, and stops its grants where that is possible.
    async fn halt(&mut self, source: &mut Source, product: ProductId, why: &str) {
        self.ahead.remove(&product);
        let (new, count) = self.shared.halted.insert(product);
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        self.shared.metrics.forked_sales.with_label_values(&[S::NAME.word()]).set(count);
        if !new {
            return;
        }
        tracing::error!(
            sink = S::NAME.word(), product = %product, why,
            "the sale's history forked: its sinks and charges stand still until it is repaired and \
             the persister is started again; other sales go on"
        );
        if let Err(error) = source.pause(&product).await {
            tracing::warn!(product = %product, %error, "the forked sale could not be paused");
        }
    }

    fn report_lag(&self) {
        let lag: u64 = self
            .ahead
            .iter()
            .map(|(product, head)| head.saturating_sub(self.mark(product).number.0))
            .sum();
        let name = [S::NAME.word()];
        let metrics = &self.shared.metrics;
        metrics.lag_events.with_label_values(&name).set(i64::try_from(lag).unwrap_or(i64::MAX));
        if lag == 0 {
            metrics.lag_seconds.with_label_values(&name).set(0.0);
        }
    }
}

/// What the sink answers, or that it took too long.
async fn within<T>(
    what: &str,
    work: impl Future<Output = Result<T, SinkError>>,
) -> Result<T, SinkError> {
    tokio::time::timeout(SINK_TIMEOUT, work).await.unwrap_or_else(|_| {
        Err(SinkError::Retry(format!("{what} took more than {} s", SINK_TIMEOUT.as_secs())))
    })
}

fn sale_batch(range: &Range, events: Vec<Recorded>) -> Option<SaleBatch> {
    let after = events.last()?.mark;
    Some(SaleBatch { product: range.product, before: range.mark, after, events })
}

/// What a batch adds to the figures once it is committed.
struct Figures {
    events: u64,
    quarantined: u64,
    newest_ms: u64,
}

impl Figures {
    fn of(batch: &Batch) -> Self {
        let mut figures = Self { events: 0, quarantined: 0, newest_ms: 0 };
        for (_, recorded) in batch.events() {
            figures.events = figures.events.saturating_add(1);
            match &recorded.event {
                Ok(event) => figures.newest_ms = figures.newest_ms.max(event.at.0),
                Err(_) => figures.quarantined = figures.quarantined.saturating_add(1),
            }
        }
        figures
    }

    #[expect(clippy::cast_precision_loss, reason = "counts and ages far below 2^52")]
    fn show(&self, metrics: &Metrics, sink: &str, took: Duration) {
        let name = [sink];
        metrics.committed.with_label_values(&name).inc_by(self.events);
        metrics.quarantined.with_label_values(&name).inc_by(self.quarantined);
        metrics.batch_events.with_label_values(&name).observe(self.events as f64);
        metrics.commit_seconds.with_label_values(&name).observe(took.as_secs_f64());
        let age = now_ms().saturating_sub(self.newest_ms);
        metrics.lag_seconds.with_label_values(&name).set(age as f64 / 1000.0);
    }
}
