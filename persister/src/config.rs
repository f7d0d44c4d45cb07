//! The command line, each flag also as an environment variable SLOT_PERSISTER_…. What a value must look like is
//! checked here, before anything starts. Next: run.rs, audit.rs.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use slot_core::ids::ProductId;

use crate::failure::Failure;

/// Carries every event of every sale from Redis to Postgres and Kafka, exactly once in each.
#[derive(Debug, Parser)]
#[command(name = "slot-persister", version)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What slot-persister can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Drains the sales' streams into the sinks and asks the gateway for charges, until told to stop.
    Run(Box<RunArgs>),
    /// Folds the log in Postgres again, checks it, and compares it with the live sales.
    Audit(AuditArgs),
    /// Brings the Postgres schema up to date and ends; `run` does so by itself.
    Migrate(MigrateArgs),
}

/// Flags of `run`.
#[derive(Debug, Clone, Args)]
pub struct RunArgs {
    /// Redis, as redis://user:password@host:port/db.
    #[arg(long, env = "SLOT_PERSISTER_REDIS_URL")]
    pub redis_url: String,
    /// Postgres, as postgres://user:password@host:port/database.
    #[arg(long, env = "SLOT_PERSISTER_POSTGRES_URL")]
    pub postgres_url: String,
    /// Kafka's bootstrap servers, as host:port,host:port….
    #[arg(long, env = "SLOT_PERSISTER_KAFKA_BOOTSTRAP", required_unless_present = "no_kafka")]
    pub kafka_bootstrap: Option<String>,
    /// Run without Kafka: Postgres is the only sink, and trimming follows it alone.
    #[arg(long, env = "SLOT_PERSISTER_NO_KAFKA", conflicts_with = "kafka_bootstrap")]
    pub no_kafka: bool,
    /// Partitions of topics that have to be created.
    #[arg(long, env = "SLOT_PERSISTER_KAFKA_PARTITIONS", default_value_t = 6,
          value_parser = clap::value_parser!(i32).range(1..=10_000))]
    pub kafka_partitions: i32,
    /// Copies of topics that have to be created.
    #[arg(long, env = "SLOT_PERSISTER_KAFKA_REPLICATION", default_value_t = 1,
          value_parser = clap::value_parser!(i32).range(1..=100))]
    pub kafka_replication: i32,
    /// Where /metrics and /health are served.
    #[arg(long, env = "SLOT_PERSISTER_METRICS_LISTEN", default_value = "127.0.0.1:9465")]
    pub metrics_listen: SocketAddr,
    /// The payment gateway.
    #[command(flatten)]
    pub gateway: GatewayArgs,
    /// What Redis must have made sure of before an event goes into a sink.
    #[arg(long, env = "SLOT_PERSISTER_DURABILITY", value_enum, default_value_t = Durability::Memory)]
    pub durability: Durability,
    /// With --durability replica: how many replicas must have it.
    #[arg(long, env = "SLOT_PERSISTER_REPLICAS", default_value_t = 1)]
    pub replicas: u32,
    /// Which writer this is, from 0; it owns the sales whose hash slot modulo --writers is this.
    #[arg(long, env = "SLOT_PERSISTER_WRITER", default_value_t = 0)]
    pub writer: u32,
    /// How many writers share the sales.
    #[arg(long, env = "SLOT_PERSISTER_WRITERS", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..=16_384))]
    pub writers: u32,
    /// The most events in one transaction.
    #[arg(long, env = "SLOT_PERSISTER_BATCH", default_value_t = 8192,
          value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub batch: u32,
    /// How long an event stays in its stream, for people to look at, after both sinks have it, in ms. A sale with
    /// 1,000 such events is trimmed at once.
    #[arg(long, env = "SLOT_PERSISTER_TRIM_AFTER_MS", default_value_t = 60_000,
          value_parser = clap::value_parser!(u64).range(0..=86_400_000))]
    pub trim_after_ms: u64,
    /// Never trim the streams; they then grow for ever.
    #[arg(long, env = "SLOT_PERSISTER_KEEP_STREAMS")]
    pub keep_streams: bool,
}

/// Flags that say which gateway moves the money, and how.
#[derive(Debug, Clone, Args)]
pub struct GatewayArgs {
    /// Who moves the money: nobody, a gateway over HTTP, or a stand-in for local use.
    #[arg(long, env = "SLOT_PERSISTER_GATEWAY", value_enum, default_value_t = GatewayKind::None)]
    pub gateway: GatewayKind,
    /// The HTTP gateway's base URL, as http://host:port/path.
    #[arg(long, env = "SLOT_PERSISTER_GATEWAY_URL", required_if_eq("gateway", "http"))]
    pub gateway_url: Option<String>,
    /// The edge's webhook route, which the stub calls and the HTTP gateway is told of.
    #[arg(long, env = "SLOT_PERSISTER_GATEWAY_WEBHOOK_URL",
          required_if_eq_any([("gateway", "stub"), ("gateway", "http")]))]
    pub gateway_webhook_url: Option<String>,
    /// A file whose first line is the secret that signs the stub's webhooks.
    #[arg(long, env = "SLOT_PERSISTER_WEBHOOK_SECRET_FILE", required_if_eq("gateway", "stub"))]
    pub webhook_secret_file: Option<PathBuf>,
    /// How long after a charge to ask the gateway for its outcome, in ms; doubles up to sixteen times.
    #[arg(long, env = "SLOT_PERSISTER_GATEWAY_ASK_AFTER_MS", default_value_t = 2000,
          value_parser = clap::value_parser!(u64).range(10..=600_000))]
    pub gateway_ask_after_ms: u64,
    /// How many charges are under way at once.
    #[arg(long, env = "SLOT_PERSISTER_GATEWAY_CONCURRENCY", default_value_t = 256,
          value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub gateway_concurrency: u32,
    /// Stub: how long a charge takes, in ms.
    #[arg(long, env = "SLOT_PERSISTER_STUB_LATENCY_MS", default_value_t = 50)]
    pub stub_latency_ms: u64,
    /// Stub: which part of the charges succeeds, 0 to 1.
    #[arg(long, env = "SLOT_PERSISTER_STUB_SUCCESS_RATE", default_value_t = 1.0, value_parser = rate)]
    pub stub_success_rate: f64,
    /// Stub: which part of the outcomes is never told by webhook, 0 to 1.
    #[arg(long, env = "SLOT_PERSISTER_STUB_LOST_WEBHOOK_RATE", default_value_t = 0.0, value_parser = rate)]
    pub stub_lost_webhook_rate: f64,
    /// Stub: which part of the charges gets no answer, though it takes place, 0 to 1.
    #[arg(long, env = "SLOT_PERSISTER_STUB_TIMEOUT_RATE", default_value_t = 0.0, value_parser = rate)]
    pub stub_timeout_rate: f64,
}

/// Flags of `audit`.
#[derive(Debug, Clone, Args)]
pub struct AuditArgs {
    /// Postgres, as postgres://user:password@host:port/database.
    #[arg(long, env = "SLOT_PERSISTER_POSTGRES_URL")]
    pub postgres_url: String,
    /// Redis, as redis://user:password@host:port/db; without it the live sales are not compared.
    #[arg(long, env = "SLOT_PERSISTER_REDIS_URL")]
    pub redis_url: Option<String>,
    /// Only this sale.
    #[arg(long, value_parser = product)]
    pub product: Option<ProductId>,
    /// How long to wait for Postgres to catch up with a live sale, in seconds.
    #[arg(long, default_value_t = 10)]
    pub wait_secs: u64,
    /// Print the report as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Flags of `migrate`.
#[derive(Debug, Clone, Args)]
pub struct MigrateArgs {
    /// Postgres, as postgres://user:password@host:port/database.
    #[arg(long, env = "SLOT_PERSISTER_POSTGRES_URL")]
    pub postgres_url: String,
}

/// What an event must have survived before a sink may know it (DESIGN §6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Durability {
    /// Redis has answered.
    Memory,
    /// The replicas have it (WAIT).
    Replica,
    /// It is on disk (WAITAOF, with appendfsync always).
    Disk,
}

/// The gateways.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum GatewayKind {
    /// A stand-in that charges nobody, for local use.
    Stub,
    /// Nobody is charged; payments stay PENDING until something else settles them.
    None,
    /// A gateway over HTTP.
    Http,
}

fn rate(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|rate| (0.0..=1.0).contains(rate))
        .ok_or_else(|| format!("must be a number from 0 to 1, got {text}"))
}

fn product(text: &str) -> Result<ProductId, String> {
    ProductId::parse(text).map_err(|error| error.to_string())
}

impl RunArgs {
    /// What clap can't check by itself.
    ///
    /// # Errors
    /// [`Failure::Usage`] where flags don't fit together.
    pub fn check(&self) -> Result<(), Failure> {
        if self.writer >= self.writers {
            return Err(Failure::Usage(format!(
                "--writer must be below --writers ({}), got {}",
                self.writers, self.writer
            )));
        }
        if self.durability == Durability::Replica && self.replicas == 0 {
            return Err(Failure::Usage("--replicas must be at least 1, got 0".into()));
        }
        let urls = [
            ("--gateway-url", &self.gateway.gateway_url),
            ("--gateway-webhook-url", &self.gateway.gateway_webhook_url),
        ];
        for (flag, url) in urls {
            if url.as_deref().is_some_and(|url| !url.starts_with("http://")) {
                return Err(Failure::Usage(format!("{flag} must begin with http://")));
            }
        }
        Ok(())
    }
}

impl GatewayArgs {
    /// How long after a charge its outcome is asked for.
    #[must_use]
    pub const fn ask_after(&self) -> Duration {
        Duration::from_millis(self.gateway_ask_after_ms)
    }
}

/// Reads the first line of a secret's file.
///
/// # Errors
/// [`Failure::Usage`] where the file can't be read or its first line has less than 16 bytes.
pub fn read_secret(path: &Path) -> Result<String, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Failure::Usage(format!("can't read --webhook-secret-file {}: {error}", path.display()))
    })?;
    let secret = text.lines().next().unwrap_or_default().trim();
    if secret.len() < 16 {
        return Err(Failure::Usage(format!(
            "the first line of {} must be a secret of at least 16 bytes, got {}",
            path.display(),
            secret.len()
        )));
    }
    Ok(secret.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    const RUN: [&str; 6] =
        ["slot-persister", "run", "--redis-url", "redis://r", "--postgres-url", "postgres://p"];

    fn run(more: &[&str]) -> Result<RunArgs, String> {
        let cli = Cli::try_parse_from(RUN.iter().chain(more)).map_err(|e| e.to_string())?;
        match cli.command {
            Command::Run(args) => args.check().map(|()| *args).map_err(|e| e.to_string()),
            _ => Err("another command".into()),
        }
    }

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn bad_flags_are_refused_with_what_to_do() {
        for (flags, says) in [
            (&["--kafka-bootstrap", "k:9"][..], None),
            (&["--no-kafka"], None),
            (&[], Some("--kafka-bootstrap")),
            (&["--no-kafka", "--writer", "1"], Some("--writer must be below --writers (1), got 1")),
            (&["--no-kafka", "--stub-success-rate", "2"], Some("from 0 to 1, got 2")),
            (&["--no-kafka", "--gateway", "stub"], Some("--gateway-webhook-url")),
            (
                &["--no-kafka", "--gateway", "http", "--gateway-webhook-url", "http://e"],
                Some("--gateway-url"),
            ),
            (
                &["--no-kafka", "--gateway-url", "https://g"],
                Some("--gateway-url must begin with http://"),
            ),
            (&["--no-kafka", "--batch", "0"], Some("--batch")),
        ] {
            match (run(flags), says) {
                (Ok(_), None) => {}
                (Err(error), Some(says)) => assert!(error.contains(says), "{flags:?}: {error}"),
                (got, _) => panic!("{flags:?}: {got:?}"),
            }
        }
    }

    #[test]
    fn a_secret_is_the_first_line_and_long_enough() {
        let path = std::env::temp_dir().join(format!("slot-secret-{}", std::process::id()));
        std::fs::write(&path, "0123456789abcdef\nold secret of before\n").unwrap();
        assert_eq!(read_secret(&path).unwrap(), "0123456789abcdef");
        std::fs::write(&path, "short\n").unwrap();
        assert!(read_secret(&path).unwrap_err().to_string().contains("at least 16 bytes, got 5"));
        std::fs::remove_file(&path).unwrap();
        assert!(read_secret(&path).is_err());
    }
}
