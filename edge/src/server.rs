//! Listening, accepting and stopping: one thread, runtime, listener and set of Redis connections per worker,
//! sharing nothing on the path of a request but the catalogue and counters.
//!
//! Stopping loses no request: a worker takes in what the kernel has accepted already, closes its listener, and
//! serves its connections on, telling each that the next answer is its last; after a while idle ones are closed,
//! and requests in flight get their time.
//! Next: router.rs answers a request.

use std::net::{SocketAddr, TcpListener as StdListener};
use std::rc::Rc;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use futures_util::FutureExt;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{LocalSet, spawn_local};
use tokio::time::{sleep, timeout};

use crate::catalogue::{self, Catalogue};
use crate::config::{Serve, jwt_secret, webhook_secrets};
use crate::door::{Door, Parts};
use crate::farewell;
use crate::journal;
use crate::limits;
use crate::metrics::{Metrics, WorkerMetrics};
use crate::router;
use crate::shard::{self, Shard};

/// The least that hyper takes, and enough for a trace id and a token with room to spare.
const HEADER_BYTES: usize = 8 * 1024;
const BACKLOG: i32 = 4_096;
const GLANCE: Duration = Duration::from_millis(10);

/// How far the process is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    Serving,
    /// No new connections; the open ones are served on.
    Draining,
    /// Idle connections are closed.
    Closing,
}

/// Serves until SIGTERM or SIGINT.
pub(crate) fn serve(config: &Serve) -> Result<()> {
    let jwt_secret = jwt_secret(&config.jwt_hs256_secret_file)?;
    let webhook_secrets = webhook_secrets(&config.webhook_secret_file)?;
    let listeners = listeners(config)?;
    let address = listeners.first().context("no worker")?.local_addr()?;
    let metrics = Metrics::new()?;
    let (phase, seen_phase) = watch::channel(Phase::Serving);
    let parts = Parts {
        config: Arc::new(config.clone()),
        jwt_secret: jwt_secret.into(),
        webhook_secrets: webhook_secrets.into(),
        catalogue: Arc::default(),
        phase: seen_phase,
    };
    // Whatever is wrong with the configuration is told on standard error, before the log begins.
    shard::check_url(&config.redis_url)?;
    let _log = journal::start();
    limits::raise(config.max_connections);
    let workers: Vec<_> = listeners
        .into_iter()
        .enumerate()
        .map(|(number, listener)| {
            let (parts, metrics) = (parts.clone(), Arc::clone(&metrics));
            thread::Builder::new()
                .name(format!("worker-{number}"))
                .spawn(move || worker(number, listener, parts, metrics))
        })
        .collect::<Result<_, _>>()?;
    tracing::info!(event = "LISTENING", address = %address, workers = workers.len());

    let catalogue = Arc::clone(&parts.catalogue);
    drop(parts);
    watch_over(config, metrics, catalogue, &phase)?;
    for worker in workers {
        worker.join().map_err(|_| anyhow!("a worker ended by a panic"))??;
    }
    tracing::info!(event = "STOPPED");
    Ok(())
}

/// The main thread: keeps the catalogue, waits for the signal, and leads the workers through stopping.
fn watch_over(
    config: &Serve,
    metrics: Arc<Metrics>,
    catalogue: Arc<Catalogue>,
    phase: &watch::Sender<Phase>,
) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let tasks = LocalSet::new();
    tasks.block_on(&runtime, async {
        let shard = Shard::new(config, WorkerMetrics::new(metrics, "catalogue"))?;
        spawn_local(catalogue::keep(catalogue, shard));
        let signal = stop_signal(phase).await?;
        tracing::info!(event = "STOPPING", signal);
        phase.send_replace(Phase::Draining);
        // Workers whose last connection has gone don't wait for the linger to pass.
        let _ = timeout(config.linger, phase.closed()).await;
        phase.send_replace(Phase::Closing);
        Ok(())
    })
}

/// Waits for SIGTERM or SIGINT, or for all workers to have ended by themselves.
async fn stop_signal(phase: &watch::Sender<Phase>) -> Result<&'static str> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
        () = phase.closed() => "none: every worker has ended",
    })
}

/// One listener per worker on one address; the kernel spreads connections over them.
fn listeners(config: &Serve) -> Result<Vec<StdListener>> {
    let mut address = config.listen;
    let mut listeners = Vec::with_capacity(config.workers.get());
    for _ in 0..config.workers.get() {
        let listener =
            listener(address).with_context(|| format!("cannot listen on {}", config.listen))?;
        // Port 0 is one free port for all.
        address = listener.local_addr()?;
        listeners.push(listener);
    }
    Ok(listeners)
}

fn listener(address: SocketAddr) -> Result<StdListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn worker(number: usize, listener: StdListener, parts: Parts, metrics: Arc<Metrics>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let tasks = LocalSet::new();
    tasks.block_on(&runtime, async move {
        let listener = TcpListener::from_std(listener)?;
        let door = Door::open(parts, WorkerMetrics::new(metrics, &number.to_string()))?;
        accept(&door, listener).await;
        drain(&door).await;
        Ok(())
    })
}

async fn accept(door: &Rc<Door>, listener: TcpListener) {
    let mut phase = door.phase.clone();
    loop {
        tokio::select! {
            biased;
            _ = phase.wait_for(|phase| *phase > Phase::Serving) => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => take(door, stream),
                Err(error) => {
                    // Mostly out of file descriptors: let some connections end.
                    tracing::warn!(event = "ACCEPT_FAILED", cause = %error);
                    sleep(GLANCE).await;
                }
            }
        }
    }
    // Closing the listener would reset those whom the kernel has accepted already.
    while let Some(Ok((stream, _))) = listener.accept().now_or_never() {
        take(door, stream);
    }
}

async fn drain(door: &Rc<Door>) {
    let mut phase = door.phase.clone();
    let mut closing_since = None;
    while door.connections.get() > 0 {
        if *phase.borrow_and_update() == Phase::Closing {
            let since = *closing_since.get_or_insert_with(tokio::time::Instant::now);
            if since.elapsed() > door.config.drain_timeout {
                tracing::warn!(event = "DRAIN_CUT_SHORT", connections = door.connections.get());
                return;
            }
        }
        sleep(GLANCE).await;
    }
}

fn take(door: &Rc<Door>, stream: TcpStream) {
    let shared = &door.metrics.shared;
    let open = usize::try_from(shared.connections.get()).unwrap_or(0);
    if open >= door.config.max_connections {
        shared.connections_refused.inc();
        if let Ok(permit) = Arc::clone(&door.farewells).try_acquire_owned() {
            spawn_local(async move {
                farewell::say(stream).await;
                drop(permit);
            });
        }
        return;
    }
    shared.connections.inc();
    door.connections.set(door.connections.get().saturating_add(1));
    let door = Rc::clone(door);
    spawn_local(async move {
        let _counted = Counted(Rc::clone(&door));
        let _ = stream.set_nodelay(true);
        connection(door, stream).await;
    });
}

/// Counts a connection as gone however its task ends.
struct Counted(Rc<Door>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.metrics.shared.connections.dec();
        self.0.connections.set(self.0.connections.get().saturating_sub(1));
    }
}

async fn connection(door: Rc<Door>, stream: TcpStream) {
    let mut phase = door.phase.clone();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(door.config.header_timeout)
        .max_buf_size(HEADER_BYTES);
    let service = service_fn(move |request| router::handle(Rc::clone(&door), request));
    let connection = http.serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    // How a connection ends is its client's business; what we answered is counted by the router.
    tokio::select! {
        _ = connection.as_mut() => {}
        _ = phase.wait_for(|phase| *phase == Phase::Closing) => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}
