//! What Prometheus sees of the edge, and the handles through which each worker counts.
//!
//! Outcomes are the problems' codes, or what happened in one word; labels never come from a request.
//! Next: routes/metrics.rs shows them.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder,
};

use crate::breaker::State;

/// The process's counters.
pub(crate) struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    seconds: HistogramVec,
    batches: Histogram,
    queued: IntGaugeVec,
    shed: IntCounter,
    breaker: IntGaugeVec,
    redis_failures: IntCounter,
    pub(crate) connections: IntGauge,
    pub(crate) connections_refused: IntCounter,
    pub(crate) unlogged: IntCounter,
}

impl Metrics {
    pub(crate) fn new() -> Result<Arc<Self>, prometheus::Error> {
        let registry = Registry::new();
        let latency =
            vec![0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0];
        let sizes = vec![1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];
        let metrics = Self {
            requests: IntCounterVec::new(
                Opts::new("slot_edge_requests_total", "Answers by route, status and outcome"),
                &["method", "route", "status", "outcome"],
            )?,
            seconds: HistogramVec::new(
                HistogramOpts::new("slot_edge_request_seconds", "From headers read to answer made")
                    .buckets(latency),
                &["method", "route"],
            )?,
            batches: Histogram::with_opts(
                HistogramOpts::new("slot_edge_batch_size", "Acquires in one SLOT.MACQUIRE")
                    .buckets(sizes),
            )?,
            queued: IntGaugeVec::new(
                Opts::new("slot_edge_queue_depth", "Acquires left waiting when a batch went out"),
                &["worker"],
            )?,
            shed: IntCounter::new(
                "slot_edge_shed_total",
                "Acquires refused because too many waited",
            )?,
            breaker: IntGaugeVec::new(
                Opts::new("slot_edge_breaker_state", "0 closed, 1 half-open, 2 open"),
                &["worker"],
            )?,
            redis_failures: IntCounter::new(
                "slot_edge_redis_failures_total",
                "Connections lost and commands without a reply",
            )?,
            connections: IntGauge::new("slot_edge_connections", "Open HTTP connections")?,
            connections_refused: IntCounter::new(
                "slot_edge_connections_refused_total",
                "Connections over --max-connections",
            )?,
            unlogged: IntCounter::new(
                "slot_edge_requests_unlogged_total",
                "SLOT_REQUESTED lines left out by --log-requests",
            )?,
            registry,
        };
        metrics.register()?;
        Ok(Arc::new(metrics))
    }

    fn register(&self) -> Result<(), prometheus::Error> {
        let all: [Box<dyn prometheus::core::Collector>; 10] = [
            Box::new(self.requests.clone()),
            Box::new(self.seconds.clone()),
            Box::new(self.batches.clone()),
            Box::new(self.queued.clone()),
            Box::new(self.shed.clone()),
            Box::new(self.breaker.clone()),
            Box::new(self.redis_failures.clone()),
            Box::new(self.connections.clone()),
            Box::new(self.connections_refused.clone()),
            Box::new(self.unlogged.clone()),
        ];
        all.into_iter().try_for_each(|collector| self.registry.register(collector))
    }

    /// Everything in Prometheus's text format.
    pub(crate) fn text(&self) -> Result<String, prometheus::Error> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}

/// One worker's handles, looked up once so that counting costs no label lookup.
#[derive(Clone)]
pub(crate) struct WorkerMetrics {
    pub(crate) shared: Arc<Metrics>,
    queued: IntGauge,
    breaker: IntGauge,
    seen: Rc<RefCell<Seen>>,
}

/// A method and a path's pattern; never a text from a request.
pub(crate) type Route = (&'static str, &'static str);

#[derive(Default)]
struct Seen {
    requests: HashMap<(Route, u16, &'static str), IntCounter>,
    seconds: HashMap<Route, Histogram>,
}

impl WorkerMetrics {
    pub(crate) fn new(shared: Arc<Metrics>, worker: &str) -> Self {
        let queued = shared.queued.with_label_values(&[worker]);
        let breaker = shared.breaker.with_label_values(&[worker]);
        Self { shared, queued, breaker, seen: Rc::default() }
    }

    pub(crate) fn answered(
        &self,
        route: Route,
        status: u16,
        outcome: &'static str,
        took: Duration,
    ) {
        let mut seen = self.seen.borrow_mut();
        seen.requests
            .entry((route, status, outcome))
            .or_insert_with(|| {
                let status = status.to_string();
                self.shared.requests.with_label_values(&[route.0, route.1, &status, outcome])
            })
            .inc();
        seen.seconds
            .entry(route)
            .or_insert_with(|| self.shared.seconds.with_label_values(&[route.0, route.1]))
            .observe(took.as_secs_f64());
    }

    pub(crate) fn batch(&self, size: usize) {
        self.shared.batches.observe(u32::try_from(size).map_or(f64::INFINITY, f64::from));
    }

    pub(crate) fn queued(&self, depth: usize) {
        self.queued.set(i64::try_from(depth).unwrap_or(i64::MAX));
    }

    pub(crate) fn shed(&self) {
        self.shared.shed.inc();
    }

    pub(crate) fn redis_failed(&self) {
        self.shared.redis_failures.inc();
    }

    pub(crate) fn breaker(&self, state: State) {
        self.breaker.set(match state {
            State::Closed => 0,
            State::HalfOpen => 1,
            State::Open => 2,
        });
    }
}
