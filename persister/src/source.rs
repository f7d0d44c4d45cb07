//! Every call to Redis, in one place: which sales changed, what their streams hold, and the few commands that
//! the persister writes.
//!
//! A stream's entry n has the id `n-0`, so ranges are known beforehand and a long one is read as several short commands,
//! between which Redis serves others. No BLOCK and no consumer groups (DESIGN §7). Next: drain.rs.

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, RedisError, RedisResult, Value, cmd, pipe};
use std::time::Duration;

use slot_core::ids::{ChargeId, PaymentId, ProductId};
use slot_core::wire::{AuditView, ChangedReply, GetReply, PayReply, PaymentView, Wire};

use crate::config::Durability;
use crate::history::Entry;
use crate::marks::Mark;

/// The most entries that one command reads.
const CHUNK: u64 = 512;
/// How long a reply may take; a busy or saving server is slow, a dead one is noticed by this.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long replicas or the disk may take to confirm what was read.
const CONFIRM_MS: u64 = 1000;

/// Why a call to Redis failed.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The connection or the server.
    #[error("redis: {0}")]
    Redis(#[from] RedisError),
    /// The module answered what this version does not understand.
    #[error("{0}")]
    Shape(String),
    /// Replicas or disk have not confirmed in time.
    #[error("redis: {0}")]
    NotConfirmed(String),
    /// Redis is not set up for the durability that was asked for.
    #[error("redis: {0}")]
    Settings(String),
}

impl SourceError {
    /// Whether it is about this one command or reply: the connection is good, and other commands may do.
    #[must_use]
    pub fn is_about_one(&self) -> bool {
        match self {
            Self::Redis(error) => {
                matches!(error.code(), Some("ERR" | "WRONGTYPE" | "TRYAGAIN" | "DIVERGED"))
            }
            Self::Shape(_) => true,
            Self::NotConfirmed(_) | Self::Settings(_) => false,
        }
    }
}

/// A part of a stream to read: from the mark (the entry at the mark included, for comparison) up to a number.
#[derive(Debug, Clone, Copy)]
pub struct Range {
    /// The sale.
    pub product: ProductId,
    /// What the sink has.
    pub mark: Mark,
    /// The last number to read.
    pub to: u64,
}

/// A connection to Redis.
#[derive(Clone)]
pub struct Source {
    connection: MultiplexedConnection,
    /// Redis before 7.2 has no WAITAOF; with appendfsync always its replies come after the fsync anyway.
    has_waitaof: bool,
}

impl Source {
    /// Connects.
    ///
    /// # Errors
    /// Where the URL is none, or nobody answers there.
    pub async fn connect(url: &str) -> Result<Self, SourceError> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(RESPONSE_TIMEOUT));
        let client = redis::Client::open(url)?;
        let connection = client.get_multiplexed_async_connection_with_config(&config).await?;
        Ok(Self { connection, has_waitaof: true })
    }

    /// Connects, and makes sure that Redis can keep what this durability promises: `disk` is sound only with an
    /// append-only file that is synced before each reply.
    ///
    /// # Errors
    /// As [`Source::connect`]; [`SourceError::Settings`] where Redis is set up otherwise.
    pub async fn connect_for(url: &str, durability: Durability) -> Result<Self, SourceError> {
        let mut source = Self::connect(url).await?;
        if durability == Durability::Disk {
            for (setting, wanted) in [
                ("appendonly", "yes"),
                ("appendfsync", "always"),
                ("no-appendfsync-on-rewrite", "no"),
            ] {
                let (_, value): (String, String) = cmd("CONFIG")
                    .arg("GET")
                    .arg(setting)
                    .query_async(&mut source.connection)
                    .await?;
                if value != wanted {
                    return Err(SourceError::Settings(format!(
                        "--durability disk needs {setting} {wanted}, it is {value}"
                    )));
                }
            }
            let info: Value = cmd("COMMAND")
                .arg("INFO")
                .arg("WAITAOF")
                .query_async(&mut source.connection)
                .await?;
            source.has_waitaof = matches!(&info, Value::Array(commands)
                if matches!(commands.first(), Some(Value::Array(_))));
        }
        Ok(source)
    }

    async fn ask<T: Wire>(&mut self, command: &redis::Cmd) -> Result<T, SourceError> {
        let value: Value = command.query_async(&mut self.connection).await?;
        T::from_value(value.into()).map_err(|error| SourceError::Shape(error.to_string()))
    }

    /// The sales of this node that changed since the cursor.
    ///
    /// # Errors
    /// As all calls here: connection, server, or shape.
    pub async fn changed(&mut self, cursor: &str, count: u32) -> Result<ChangedReply, SourceError> {
        self.ask(cmd("SLOT.CHANGED").arg(cursor).arg("COUNT").arg(count)).await
    }

    /// Reads parts of streams, in one round trip; for each, its entries, or why this one can't be read. A stream that is
    /// gone gives no entries.
    ///
    /// # Errors
    /// As all calls here, also where a server that is busy, loading or moving answers so; what is wrong with one
    /// stream itself is no error.
    pub async fn read(
        &mut self,
        ranges: &[Range],
    ) -> Result<Vec<Result<Vec<Entry>, String>>, SourceError> {
        let mut pipeline = pipe();
        let mut commands = Vec::with_capacity(ranges.len());
        for range in ranges {
            let key = range.product.stream_key();
            let mut from = range.mark.number.0.max(1);
            let mut count = 0_usize;
            while from <= range.to {
                let last = range.to.min(from.saturating_add(CHUNK).saturating_sub(1));
                pipeline.cmd("XRANGE").arg(&key).arg(id(from)).arg(id(last));
                from = last.saturating_add(1);
                count = count.saturating_add(1);
            }
            commands.push(count);
        }
        let replies: Vec<RedisResult<Value>> =
            pipeline.ignore_errors().query_async(&mut self.connection).await?;
        let mut replies = replies.into_iter();
        commands.into_iter().map(|count| read_entries(replies.by_ref().take(count))).collect()
    }

    /// Makes sure that what was read before on this connection would survive: a small write, then the wait, on the same
    /// connection (WAIT counts the connection's last write).
    ///
    /// # Errors
    /// [`SourceError::NotConfirmed`] where the wait falls short.
    pub async fn confirm(
        &mut self,
        product: &ProductId,
        durability: Durability,
        replicas: u32,
    ) -> Result<(), SourceError> {
        let wait = match durability {
            Durability::Memory => return Ok(()),
            Durability::Disk if !self.has_waitaof => return Ok(()),
            Durability::Replica => cmd("WAIT").arg(replicas).arg(CONFIRM_MS).to_owned(),
            Durability::Disk => cmd("WAITAOF").arg(1).arg(0).arg(CONFIRM_MS).to_owned(),
        };
        let mut pipeline = pipe();
        pipeline.cmd("SLOT.FENCE").arg(product.sale_key()).arg(product.stream_key());
        pipeline.add_command(wait);
        let values: Vec<Value> = pipeline.query_async(&mut self.connection).await?;
        let got = match values.get(1) {
            Some(Value::Int(replicas)) => *replicas,
            Some(Value::Array(local)) => match local.first() {
                Some(Value::Int(local)) => *local,
                _ => 0,
            },
            _ => 0,
        };
        let needed = if durability == Durability::Replica { i64::from(replicas) } else { 1 };
        if got >= needed {
            Ok(())
        } else {
            Err(SourceError::NotConfirmed(format!(
                "{got} of {needed} confirmed within {CONFIRM_MS} ms; nothing is committed until they do"
            )))
        }
    }

    /// Trims streams below their marks, keeping the entries at the marks. Answers in the order of the marks: whether
    /// it was done, or why not.
    ///
    /// # Errors
    /// As all calls here; a single refusal is no error.
    pub async fn trim(
        &mut self,
        marks: &[(ProductId, Mark)],
    ) -> Result<Vec<Result<(), String>>, SourceError> {
        let mut pipeline = pipe();
        for (product, mark) in marks {
            pipeline
                .cmd("SLOT.TRIM")
                .arg(product.sale_key())
                .arg(product.stream_key())
                .arg(mark.number.0)
                .arg(mark.hash.to_string());
        }
        let replies: Vec<RedisResult<Value>> =
            pipeline.ignore_errors().query_async(&mut self.connection).await?;
        Ok(replies.into_iter().map(|reply| reply.map(drop).map_err(|e| e.to_string())).collect())
    }

    /// Stops a sale's grants.
    ///
    /// # Errors
    /// As all calls here; also where the module has no such command.
    pub async fn pause(&mut self, product: &ProductId) -> Result<(), SourceError> {
        let mut command = cmd("SLOT.PAUSE");
        command.arg(product.sale_key()).arg(product.stream_key());
        let _: Value = command.query_async(&mut self.connection).await?;
        Ok(())
    }

    /// A payment as of now; none where the sale knows none by this id.
    ///
    /// # Errors
    /// As all calls here.
    pub async fn payment(&mut self, id: PaymentId) -> Result<Option<PaymentView>, SourceError> {
        let mut command = cmd("SLOT.GET");
        command.arg(id.slot.product.sale_key()).arg(id.to_string());
        match self.ask::<Option<GetReply>>(&command).await? {
            Some(GetReply::Payment(payment)) => Ok(Some(*payment)),
            Some(GetReply::Slot(_)) | None => Ok(None),
        }
    }

    /// Tells the sale that a charge succeeded (`word` is `SLOT.CONSUME`, `about` the gateway's reference) or failed
    /// (`SLOT.DECLINE`, the reason).
    ///
    /// # Errors
    /// As all calls here.
    pub async fn settle(
        &mut self,
        word: &str,
        charge: &ChargeId,
        about: &str,
        trace: Option<&str>,
    ) -> Result<PayReply, SourceError> {
        let product = charge.payment.slot.product;
        let mut command = cmd(word);
        command
            .arg(product.sale_key())
            .arg(product.stream_key())
            .arg(charge.to_string())
            .arg(about);
        if let Some(trace) = trace {
            command.arg("TRACE").arg(trace);
        }
        self.ask(&command).await
    }

    /// The sale recounted from its slots; none where there is no such sale.
    ///
    /// # Errors
    /// As all calls here.
    pub async fn audit(&mut self, product: &ProductId) -> Result<Option<AuditView>, SourceError> {
        self.ask(cmd("SLOT.AUDIT").arg(product.sale_key())).await
    }

    /// Sets a key that vanishes by itself.
    ///
    /// # Errors
    /// As all calls here.
    pub async fn set_for(&mut self, key: &str, text: &str, ms: u64) -> Result<(), SourceError> {
        let mut command = cmd("SET");
        command.arg(key).arg(text).arg("PX").arg(ms);
        let _: Value = command.query_async(&mut self.connection).await?;
        Ok(())
    }
}

fn id(number: u64) -> String {
    format!("{number}-0")
}

/// The entries, or what is wrong with the stream itself. Any other answer of the server says nothing about
/// the stream and will pass.
fn read_entries(
    replies: impl Iterator<Item = RedisResult<Value>>,
) -> Result<Result<Vec<Entry>, String>, SourceError> {
    let mut entries = Vec::new();
    // Every reply is taken, also after a bad one: the next stream's replies follow.
    let mut trouble = None;
    for reply in replies {
        match reply {
            Ok(Value::Array(items)) => {
                entries.reserve(items.len());
                for item in items {
                    match read_entry(item) {
                        Some(entry) => entries.push(entry),
                        None => {
                            trouble =
                                Some("an entry is not n-0 with the fields e and c".to_owned());
                        }
                    }
                }
            }
            Ok(other) => trouble = Some(format!("XRANGE answered {other:?}")),
            Err(error) if error.code() == Some("WRONGTYPE") => trouble = Some(error.to_string()),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(trouble.map_or(Ok(entries), Err))
}

fn read_entry(item: Value) -> Option<Entry> {
    let Value::Array(parts) = item else { return None };
    let [Value::BulkString(id), Value::Array(fields)] = <[Value; 2]>::try_from(parts).ok()? else {
        return None;
    };
    let number = std::str::from_utf8(&id).ok()?.strip_suffix("-0")?.parse().ok()?;
    let [
        Value::BulkString(e),
        Value::BulkString(line),
        Value::BulkString(c),
        Value::BulkString(hash),
    ] = <[Value; 4]>::try_from(fields).ok()?
    else {
        return None;
    };
    (e == b"e" && c == b"c").then_some(Entry { number, line, hash })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.into())
    }

    #[test]
    fn an_entry_is_its_number_line_and_hash() {
        let fields = |e, c| Value::Array(vec![bulk(e), bulk("a line"), bulk(c), bulk("00ff")]);
        let item = |id, fields| Value::Array(vec![bulk(id), fields]);
        let entry = Entry { number: 7, line: "a line".into(), hash: "00ff".into() };
        assert_eq!(read_entry(item("7-0", fields("e", "c"))), Some(entry));
        assert_eq!(read_entry(item("7-1", fields("e", "c"))), None);
        assert_eq!(read_entry(item("7-0", fields("c", "e"))), None);
        assert_eq!(read_entry(item("7-0", Value::Array(vec![bulk("e")]))), None);
        assert_eq!(read_entry(Value::Nil), None);
    }

    fn server_error(line: &str) -> RedisError {
        let reply = redis::parse_redis_value(format!("-{line}\r\n").as_bytes()).unwrap();
        reply.extract_error().unwrap_err()
    }

    #[test]
    fn only_a_stream_that_is_none_or_of_another_shape_is_a_fork() {
        let wrong = "WRONGTYPE Operation against a key holding the wrong kind of value";
        let read = |reply| read_entries([reply].into_iter());
        assert!(read(Ok(Value::Array(vec![]))).unwrap().unwrap().is_empty());
        for fork in [Err(server_error(wrong)), Ok(Value::Nil), Ok(Value::Array(vec![Value::Nil]))] {
            assert!(read(fork).unwrap().is_err());
        }
        for passing in [
            "BUSY Redis is busy running a script.",
            "LOADING Redis is loading the dataset in memory",
            "MASTERDOWN Link with MASTER is down",
            "MOVED 3999 127.0.0.1:6381",
            "ASK 3999 127.0.0.1:6381",
            "TRYAGAIN Multiple keys request during rehashing of slot",
            "CLUSTERDOWN The cluster is down",
            "NOAUTH Authentication required.",
            "ERR something new",
        ] {
            assert!(read(Err(server_error(passing))).is_err(), "{passing}");
        }
    }

    #[test]
    fn a_command_that_was_misused_leaves_the_connection_good() {
        let about_one = |line| SourceError::from(server_error(line)).is_about_one();
        assert!(about_one("ERR the gateway's reference must be 1 to 255 bytes"));
        assert!(about_one("DIVERGED the stream ends at 7, the sale at 8"));
        assert!(!about_one("LOADING Redis is loading the dataset in memory"));
        assert!(!about_one("READONLY You can't write against a read only replica."));
    }
}
