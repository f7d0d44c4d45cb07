//! What Prometheus sees, and the small HTTP server that shows it with the process's health.
//!
//! `/metrics`, `/health/live`, `/health/ready`: ready once every sink has connected and its marks are read.
//! Next: health.rs.

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus::{
    Encoder, GaugeVec, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, TextEncoder,
};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

use crate::failure::Failure;
use crate::health::Health;

/// All figures of this process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Events read from Redis, by sink.
    pub received: IntCounterVec,
    /// Events committed, by sink.
    pub committed: IntCounterVec,
    /// Events that Redis has and the sink has not, by sink.
    pub lag_events: IntGaugeVec,
    /// How old the last committed event was when it was committed, in seconds, by sink; 0 with nothing left to do.
    pub lag_seconds: GaugeVec,
    /// Events in a transaction, by sink.
    pub batch_events: HistogramVec,
    /// How long a transaction took, in seconds, by sink.
    pub commit_seconds: HistogramVec,
    /// Tries that failed and were made again, by part.
    pub retries: IntCounterVec,
    /// Events that could not be decoded, by sink.
    pub quarantined: IntCounterVec,
    /// Sales that stand still because their history forked, by sink.
    pub forked_sales: IntGaugeVec,
    /// Entries below which streams were trimmed.
    pub trimmed: IntCounter,
    /// Charges by what was done: asked, refused, consumed, declined, failed, misused.
    pub charges: IntCounterVec,
    /// Charges without an outcome in Postgres.
    pub charges_open: IntGauge,
}

impl Metrics {
    /// New figures, all zero.
    ///
    /// # Errors
    /// [`Failure::Unavailable`] where two figures share a name.
    pub fn new() -> Result<Self, Failure> {
        Self::build().map_err(|error| Failure::Unavailable(format!("metrics: {error}")))
    }

    fn build() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let opts = |name: &str, help: &str| Opts::new(format!("slot_persister_{name}"), help);
        macro_rules! figure {
            ($type:ident, $name:literal, $help:literal) => {{
                let figure = $type::with_opts(opts($name, $help))?;
                registry.register(Box::new(figure.clone()))?;
                figure
            }};
            ($type:ident, $name:literal, $help:literal, $label:literal) => {{
                let figure = $type::new(opts($name, $help), &[$label])?;
                registry.register(Box::new(figure.clone()))?;
                figure
            }};
        }
        let sizes = HistogramOpts::from(opts("batch_events", "Events in a transaction."))
            .buckets(prometheus::exponential_buckets(1.0, 4.0, 9)?);
        let batch_events = HistogramVec::new(sizes, &["sink"])?;
        registry.register(Box::new(batch_events.clone()))?;
        let times = HistogramOpts::from(opts("commit_seconds", "How long a transaction took."))
            .buckets(prometheus::exponential_buckets(0.001, 2.0, 14)?);
        let commit_seconds = HistogramVec::new(times, &["sink"])?;
        registry.register(Box::new(commit_seconds.clone()))?;
        Ok(Self {
            received: figure!(IntCounterVec, "received_events_total", "Events read.", "sink"),
            committed: figure!(
                IntCounterVec,
                "committed_events_total",
                "Events committed.",
                "sink"
            ),
            lag_events: figure!(IntGaugeVec, "lag_events", "Events not yet in the sink.", "sink"),
            lag_seconds: figure!(
                GaugeVec,
                "lag_seconds",
                "Age of the newest event in the sink while behind.",
                "sink"
            ),
            batch_events,
            commit_seconds,
            retries: figure!(IntCounterVec, "retries_total", "Tries that failed.", "part"),
            quarantined: figure!(
                IntCounterVec,
                "quarantined_events_total",
                "Events not decoded.",
                "sink"
            ),
            forked_sales: figure!(
                IntGaugeVec,
                "forked_sales",
                "Sales standing still after a fork.",
                "sink"
            ),
            trimmed: figure!(IntCounter, "trims_total", "Streams trimmed."),
            charges: figure!(IntCounterVec, "charges_total", "Charges by what was done.", "what"),
            charges_open: figure!(IntGauge, "charges_open", "Charges without an outcome."),
            registry,
        })
    }

    /// The figures as Prometheus reads them.
    #[must_use]
    pub fn text(&self) -> Vec<u8> {
        let mut text = Vec::new();
        // Writing into a Vec can't fail; a figure that can't be encoded would leave the rest out.
        if let Err(error) = TextEncoder::new().encode(&self.registry.gather(), &mut text) {
            tracing::error!(%error, "metrics can't be encoded");
        }
        text
    }
}

/// Serves metrics and health for as long as the process lives.
///
/// # Errors
/// [`Failure::Unavailable`] where the listener fails.
pub async fn serve(
    listener: TcpListener,
    metrics: Arc<Metrics>,
    health: Arc<Health>,
) -> Result<(), Failure> {
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of file descriptors, say; the listener itself is still there.
                tracing::warn!(%error, "metrics: can't accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (metrics, health) = (Arc::clone(&metrics), Arc::clone(&health));
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let response = respond(&request, &metrics, &health);
                async move { Ok::<_, Infallible>(response) }
            });
            // A client that goes away in the middle is its own affair.
            let _gone = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(Duration::from_secs(5))
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

fn respond(
    request: &Request<Incoming>,
    metrics: &Metrics,
    health: &Health,
) -> Response<Full<Bytes>> {
    let (status, body) = match (request.method(), request.uri().path()) {
        (&Method::GET, "/metrics") => (StatusCode::OK, metrics.text()),
        (&Method::GET, "/health/live") => (StatusCode::OK, b"{\"status\":\"UP\"}".to_vec()),
        (&Method::GET, "/health/ready") if health.ready() => {
            (StatusCode::OK, health.json().into_bytes())
        }
        (&Method::GET, "/health/ready") => {
            (StatusCode::SERVICE_UNAVAILABLE, health.json().into_bytes())
        }
        _ => (StatusCode::NOT_FOUND, b"try /metrics, /health/live or /health/ready".to_vec()),
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response
}
