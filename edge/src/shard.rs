//! The way to one Redis server: connections that come back by themselves, deadlines, the circuit breaker, and
//! what an answer to a write promises (durability). It doesn't know what the commands mean, and never
//! retries one: whether to ask again is the caller's.
//! Next: the module (redis-module/src/) answers.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use anyhow::Context;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Cmd, Pipeline, Value, cmd};
use slot_core::ids::ProductId;
use slot_core::wire::Wire;
use tokio::sync::Mutex;

use crate::breaker::Breaker;
use crate::config::{Durability, Serve};
use crate::metrics::WorkerMetrics;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// What goes over one connection in order. Acquires have their own, so that a batch waits for nobody; a
/// durable write holds its connection until it is confirmed, so reads have theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lane {
    Acquires,
    Writes,
    Reads,
}

/// Why there is no usable reply.
#[derive(Debug, Clone)]
pub(crate) enum Trouble {
    /// Too many wait already; nothing was sent.
    Shed,
    /// The server can't be reached; nothing was sent, or only a read was.
    Unreachable,
    /// It was sent, and what came of it is not known, or not as durable as promised.
    NotConfirmed,
    /// The server or the module answered an error; nothing changed.
    Refused(String),
    /// The reply is of another shape than the contract's.
    Misshapen(String),
}

pub(crate) struct Shard {
    client: Client,
    acquires: Line,
    writes: Line,
    reads: Line,
    breaker: Breaker,
    durability: Durability,
    replicas: u32,
    timeout: Duration,
    metrics: WorkerMetrics,
}

/// A client that has not connected yet, if the URL can be understood.
pub(crate) fn check_url(url: &str) -> anyhow::Result<Client> {
    Client::open(url).context("--redis-url must be a URL such as redis://127.0.0.1:6379")
}

/// One connection, made when it is first needed and again after it broke.
#[derive(Default)]
struct Line {
    open: RefCell<Option<Open>>,
    /// One at a time connects; the others wait for its result.
    connecting: Mutex<()>,
    made: Cell<u64>,
}

#[derive(Clone)]
struct Open {
    connection: MultiplexedConnection,
    /// Which connection of this line it is, so that a late error doesn't close its successor.
    number: u64,
    has_waitaof: bool,
}

impl Shard {
    pub(crate) fn new(config: &Serve, metrics: WorkerMetrics) -> anyhow::Result<Self> {
        let client = check_url(&config.redis_url)?;
        Ok(Self {
            client,
            acquires: Line::default(),
            writes: Line::default(),
            reads: Line::default(),
            breaker: Breaker::new(config.redis_timeout.saturating_add(CONNECT_TIMEOUT)),
            durability: config.durability,
            replicas: config.replicas,
            timeout: config.redis_timeout,
            metrics,
        })
    }

    /// Asks one thing that changes nothing.
    pub(crate) async fn read<T: Wire>(&self, command: Cmd) -> Result<T, Trouble> {
        let mut pipeline = Pipeline::with_capacity(1);
        pipeline.add_command(command);
        let mut replies = self.read_all(&pipeline).await?;
        typed(replies.pop().unwrap_or(Value::Nil))
    }

    /// Asks several things that change nothing, in one round trip.
    pub(crate) async fn read_all(&self, pipeline: &Pipeline) -> Result<Vec<Value>, Trouble> {
        let (replies, _) =
            self.exchange(Lane::Reads, pipeline).await.map_err(|trouble| match trouble {
                // Nothing can have happened, so there is nothing to confirm.
                Trouble::NotConfirmed => Trouble::Unreachable,
                other => other,
            })?;
        Ok(replies)
    }

    /// Changes one sale; the answer is as durable as promised.
    pub(crate) async fn write<T: Wire>(
        &self,
        product: ProductId,
        command: Cmd,
    ) -> Result<T, Trouble> {
        let mut pipeline = Pipeline::with_capacity(3);
        pipeline.add_command(command);
        let mut replies = self.write_all(Lane::Writes, pipeline, &[product]).await?;
        let (reply, confirmed) = replies.pop().ok_or(Trouble::NotConfirmed)?;
        if !confirmed && !says_no_sale(&reply) {
            return Err(Trouble::NotConfirmed);
        }
        typed(reply)
    }

    /// Sends a batch, one command per product, and ends it as the durability asks for. Each reply comes with
    /// whether it is confirmed.
    pub(crate) async fn write_all(
        &self,
        lane: Lane,
        mut pipeline: Pipeline,
        products: &[ProductId],
    ) -> Result<Vec<(Value, bool)>, Trouble> {
        let commands = products.len();
        if self.durability != Durability::Memory {
            // WAIT answers for what its own connection did before it. A batch that wrote nothing (everyone
            // HELD) must be confirmed too, so each sale gets a small write: then it doesn't matter whether a
            // server counts every command (Redis 7.0 does) or only writes.
            for product in products {
                pipeline.add_command(fence(*product));
            }
            let patience = u64::try_from(self.timeout.as_millis() / 2).unwrap_or(1_000);
            pipeline.add_command(match self.durability {
                Durability::Disk => cmd("WAITAOF").arg(1).arg(0).arg(patience).to_owned(),
                _ => cmd("WAIT").arg(self.replicas).arg(patience).to_owned(),
            });
        }
        let (mut replies, has_waitaof) = self.exchange(lane, &pipeline).await?;
        let sealed = match self.durability {
            Durability::Memory => vec![true; commands],
            _ => self.sealed(replies.get(commands..).unwrap_or_default(), has_waitaof),
        };
        replies.truncate(commands);
        if replies.len() != commands || sealed.len() != commands {
            return Err(Trouble::NotConfirmed);
        }
        Ok(replies.into_iter().zip(sealed).collect())
    }

    /// For each sale of a batch, whether its end is confirmed.
    fn sealed(&self, tail: &[Value], has_waitaof: bool) -> Vec<bool> {
        let Some((waited, fences)) = tail.split_last() else { return Vec::new() };
        let enough = match (self.durability, waited) {
            (Durability::Replica, Value::Int(n)) => {
                u32::try_from(*n).is_ok_and(|n| n >= self.replicas)
            }
            (Durability::Disk, Value::Array(counts)) => {
                matches!(counts.first(), Some(Value::Int(local)) if *local >= 1)
            }
            // A server without WAITAOF; appendfsync always was checked when the connection was made.
            (Durability::Disk, _) => !has_waitaof,
            _ => false,
        };
        let fenced =
            |fence: &Value| !matches!(fence, Value::ServerError(_)) && !says_no_sale(fence);
        fences.iter().map(|fence| enough && fenced(fence)).collect()
    }

    /// One command outside any sale, such as a key of the edge's own.
    pub(crate) async fn plain(&self, command: Cmd) -> Result<Value, Trouble> {
        let mut pipeline = Pipeline::with_capacity(1);
        pipeline.add_command(command);
        let (mut replies, _) = self.exchange(Lane::Writes, &pipeline).await?;
        match replies.pop().unwrap_or(Value::Nil) {
            Value::ServerError(error) => Err(refused(&error)),
            value => Ok(value),
        }
    }

    async fn exchange(
        &self,
        lane: Lane,
        pipeline: &Pipeline,
    ) -> Result<(Vec<Value>, bool), Trouble> {
        let now = Instant::now();
        if !self.breaker.allows(now) {
            return Err(Trouble::Unreachable);
        }
        let line = match lane {
            Lane::Acquires => &self.acquires,
            Lane::Writes => &self.writes,
            Lane::Reads => &self.reads,
        };
        let mut open = match self.open(line).await {
            Ok(open) => open,
            Err(error) => {
                self.failed("cannot connect to Redis", &format!("{error:#}"));
                return Err(Trouble::Unreachable);
            }
        };
        match open.connection.send_packed_commands(pipeline, 0, pipeline.len()).await {
            Ok(replies) => {
                self.breaker.succeeded();
                self.metrics.breaker(self.breaker.state(now));
                Ok((replies, open.has_waitaof))
            }
            Err(error) => {
                line.forget(open.number);
                self.failed("lost Redis during a command", &error.to_string());
                Err(Trouble::NotConfirmed)
            }
        }
    }

    fn failed(&self, what: &'static str, cause: &str) {
        let now = Instant::now();
        let before = self.breaker.state(now);
        self.breaker.failed(now);
        let after = self.breaker.state(now);
        self.metrics.breaker(after);
        self.metrics.redis_failed();
        // One line when it begins, not one per request while it lasts.
        if before != after {
            tracing::warn!(event = "REDIS_UNREACHABLE", what, cause, "the circuit breaker opened");
        }
    }

    async fn open(&self, line: &Line) -> anyhow::Result<Open> {
        if let Some(open) = line.current() {
            return Ok(open);
        }
        let _only_one = line.connecting.lock().await;
        if let Some(open) = line.current() {
            return Ok(open);
        }
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(self.timeout));
        let mut connection =
            self.client.get_multiplexed_async_connection_with_config(&config).await?;
        let has_waitaof = match self.durability {
            Durability::Disk => check_disk(&mut connection).await?,
            Durability::Memory | Durability::Replica => false,
        };
        let number = line.made.get().wrapping_add(1);
        line.made.set(number);
        let open = Open { connection, number, has_waitaof };
        line.open.replace(Some(open.clone()));
        Ok(open)
    }
}

impl Line {
    fn current(&self) -> Option<Open> {
        self.open.borrow().clone()
    }

    fn forget(&self, number: u64) {
        let mut open = self.open.borrow_mut();
        if open.as_ref().is_some_and(|open| open.number == number) {
            *open = None;
        }
    }
}

/// `disk` is sound only with appendfsync always; says whether the server has WAITAOF.
async fn check_disk(connection: &mut MultiplexedConnection) -> anyhow::Result<bool> {
    for (setting, wanted) in [("appendonly", "yes"), ("appendfsync", "always")] {
        let (_, value): (String, String) =
            cmd("CONFIG").arg("GET").arg(setting).query_async(connection).await.with_context(
                || format!("--durability disk must read Redis's setting {setting}"),
            )?;
        anyhow::ensure!(
            value == wanted,
            "--durability disk needs {setting} {wanted} in Redis, it is {value}"
        );
    }
    let info: Value = cmd("COMMAND").arg("INFO").arg("WAITAOF").query_async(connection).await?;
    Ok(matches!(info, Value::Array(commands) if matches!(commands.first(), Some(Value::Array(_)))))
}

fn fence(product: ProductId) -> Cmd {
    let mut fence = cmd("SLOT.FENCE");
    fence.arg(product.sale_key()).arg(product.stream_key());
    fence
}

fn says_no_sale(reply: &Value) -> bool {
    match reply {
        Value::Array(items) => items.first().is_some_and(says_no_sale),
        Value::BulkString(word) => word == b"NO_SALE",
        Value::SimpleString(word) => word == "NO_SALE",
        _ => false,
    }
}

fn refused(error: &redis::ServerError) -> Trouble {
    Trouble::Refused(format!("{} {}", error.code(), error.details().unwrap_or_default()))
}

/// A reply as what it should be.
pub(crate) fn typed<T: Wire>(reply: Value) -> Result<T, Trouble> {
    if let Value::ServerError(error) = &reply {
        return Err(refused(error));
    }
    T::from_value(reply.into()).map_err(|error| Trouble::Misshapen(error.to_string()))
}
