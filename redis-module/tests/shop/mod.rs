//! A sale on a real server, as the tests see it: its keys, its commands, its history. Every test file uses a part of
//! this.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file is a program of its own and uses a part"
)]

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use redis::aio::{ConnectionLike, MultiplexedConnection};
use slot_core::ids::ProductId;
use slot_core::units::UnixMillis;
use slot_core::wire::{AcquireReply, AuditView, PayReply, SaleReply, Value, Wire};
use slot_loadtest::stack::{RedisServer, target_folder, until};

/// Long enough for anything that shall happen, on a busy machine.
pub const SOON: Duration = Duration::from_secs(20);

/// A product id that no other test of this process has.
pub fn new_product() -> ProductId {
    static MADE: AtomicU64 = AtomicU64::new(1);
    ProductId::new(UnixMillis(1_763_827_200_000), MADE.fetch_add(1, Ordering::Relaxed) << 30)
}

/// One sale, by one connection.
#[derive(Clone)]
pub struct Sale {
    pub connection: MultiplexedConnection,
    pub product: ProductId,
}

impl Sale {
    /// A name for a sale that is perhaps not there yet.
    pub async fn at(server: &RedisServer, product: ProductId) -> Result<Self> {
        Ok(Self { connection: server.connect().await?, product })
    }

    /// Puts a product on sale, open since 1970. `options` as in `TTL 1000 LIMIT 2`.
    pub async fn open(server: &RedisServer, stock: u32, options: &str) -> Result<Self> {
        let mut sale = Self::at(server, new_product()).await?;
        let stock = stock.to_string();
        let mut words = vec!["STOCK", &stock, "SALEDATE", "0", "NAME", "Blue shoe"];
        words.extend(["DESCRIPTION", "Left and right"]);
        words.extend(options.split_whitespace());
        let reply = sale.write("SLOT.CREATE", &words).await?;
        ensure!(matches!(SaleReply::from_value(reply)?, SaleReply::Sale(_)));
        Ok(sale)
    }

    /// A command that takes both keys.
    pub async fn write(&mut self, command: &str, words: &[&str]) -> Result<Value> {
        let mut cmd = redis::cmd(command);
        cmd.arg(self.product.sale_key()).arg(self.product.stream_key()).arg(words);
        // `query_async` makes an error of one item an error of the whole batch.
        match self.connection.req_packed_command(&cmd).await? {
            redis::Value::ServerError(error) => Err(redis::RedisError::from(error).into()),
            value => Ok(value.into()),
        }
    }

    /// A command that takes the sale's key.
    pub async fn read(&mut self, command: &str, words: &[&str]) -> Result<Value> {
        let mut cmd = redis::cmd(command);
        cmd.arg(self.product.sale_key()).arg(words);
        Ok(cmd.query_async::<redis::Value>(&mut self.connection).await?.into())
    }

    pub async fn acquire(&mut self, user: &str) -> Result<AcquireReply> {
        Ok(AcquireReply::from_value(self.write("SLOT.ACQUIRE", &[user]).await?)?)
    }

    pub async fn pay(&mut self, arrival: u32, user: &str, key: &str) -> Result<PayReply> {
        let slot = self.slot(arrival);
        let words = [slot.as_str(), user, key, "100", "KRW", "CARD"];
        Ok(PayReply::from_value(self.write("SLOT.PAY", &words).await?)?)
    }

    /// The audit, if the sale is there (yet); an error where it finds a rule broken.
    pub async fn audited(&mut self) -> Result<Option<AuditView>> {
        let audit: Option<AuditView> = Wire::from_value(self.read("SLOT.AUDIT", &[]).await?)?;
        if let Some(audit) = &audit {
            ensure!(audit.violations.is_empty(), "{:?}", audit.violations);
        }
        Ok(audit)
    }

    pub async fn audit(&mut self) -> Result<AuditView> {
        self.audited().await?.context("there is no sale")
    }

    pub fn slot(&self, arrival: u32) -> String {
        self.product.slot(slot_core::units::ArrivalNumber(arrival)).to_string()
    }

    /// The stream, byte for byte: ids, fields, values.
    pub async fn stream(&mut self) -> Result<redis::Value> {
        let mut cmd = redis::cmd("XRANGE");
        cmd.arg(self.product.stream_key()).arg("-").arg("+");
        Ok(cmd.query_async(&mut self.connection).await?)
    }

    /// The lines of all events after number `after`.
    pub async fn lines(&mut self, after: u64) -> Result<Vec<String>> {
        let mut cmd = redis::cmd("XRANGE");
        cmd.arg(self.product.stream_key()).arg(format!("({after}-0")).arg("+");
        let entries: Vec<(String, Vec<String>)> = cmd.query_async(&mut self.connection).await?;
        Ok(entries.into_iter().filter_map(|(_, fields)| fields.into_iter().nth(1)).collect())
    }

    /// A history with something of everything in it: grants, a queue, payments paid, declined, pending and unknown,
    /// a slot given back, a pause.
    pub async fn live(&mut self) -> Result<()> {
        for user in ["ana", "ben", "cyn", "dan"] {
            self.acquire(user).await?;
        }
        self.write("SLOT.ACQUIRE", &["eve", "WAIT", "ARRIVED", "1763827200123", "TRACE", "t-5"])
            .await?;
        self.write("SLOT.MACQUIRE", &["2", "fay", "1", "0", "", "gil", "0", "7", "t.7"]).await?;
        for (arrival, user) in [(1, "ana"), (2, "ben"), (3, "cyn")] {
            let PayReply::Payment(payment, _) = self.pay(arrival, user, "k1").await? else {
                anyhow::bail!("{user} can't pay");
            };
            let charge = payment.charge.to_string();
            match user {
                "ana" => drop(self.write("SLOT.CONSUME", &[&charge, "gw-1"]).await?),
                "ben" => drop(self.write("SLOT.DECLINE", &[&charge, "no money"]).await?),
                _ => {}
            }
        }
        let unknown = format!("{}.00000000000000ff", self.slot(1).replace("0100", "0109"));
        self.write("SLOT.CONSUME", &[&unknown, "gw-2"]).await?;
        let slot = self.slot(4);
        self.write("SLOT.RELEASE", &[&slot, "dan"]).await?;
        self.write("SLOT.PAUSE", &["REASON", "a break, 100%", "BY", "root"]).await?;
        Ok(())
    }
}

/// A server whose time is what the file says, and on which nothing expires by itself.
pub async fn server_with_clock(start: u64) -> Result<(RedisServer, PathBuf)> {
    static MADE: AtomicU64 = AtomicU64::new(1);
    let number = MADE.fetch_add(1, Ordering::Relaxed);
    let name = format!("slot-test-clock-{}-{number}", std::process::id());
    let clock = std::env::temp_dir().join(name);
    std::fs::write(&clock, start.to_string())?;
    let module = match std::env::var_os("SLOT_MODULE") {
        Some(path) => PathBuf::from(path),
        None => target_folder()?.join("libslot_module.so"),
    };
    let [module, file] = [&module, &clock].map(|path| path.to_string_lossy().into_owned());
    let builder = RedisServer::builder().without_module();
    let server = builder.option("loadmodule", &[&module, "TESTCLOCK", &file]).start().await?;
    Ok((server, clock))
}

/// Waits until a sale's audit is as wanted.
pub async fn until_audit(
    sale: &Sale,
    what: &str,
    wanted: impl Fn(&AuditView) -> bool,
) -> Result<AuditView> {
    until(what, SOON, async || Ok(sale.clone().audited().await?.filter(&wanted))).await
}

/// A command that is no sale's.
pub async fn command(
    connection: &mut MultiplexedConnection,
    words: &[&str],
) -> Result<redis::Value> {
    let (name, words) = words.split_first().context("no command")?;
    Ok(redis::cmd(name).arg(words).query_async(connection).await?)
}

/// A field of INFO.
pub async fn info(connection: &mut MultiplexedConnection, field: &str) -> Result<String> {
    let info: String = redis::cmd("INFO").arg("everything").query_async(connection).await?;
    let prefix = format!("{field}:");
    let line = info.lines().find_map(|line| line.strip_prefix(&prefix));
    Ok(line.with_context(|| format!("INFO has no {field}"))?.to_owned())
}
