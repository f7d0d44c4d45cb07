//! What the command line and the environment say, checked before anything starts.
//!
//! Every flag has an environment variable of the same name with the prefix `SLOT_EDGE_`. Secrets come from
//! files, never from flags or variables, which other processes can read. This file doesn't say what the
//! values do: server.rs, shard.rs and auth/ do.
//! Next: server.rs.

use std::fs;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::{Args, Parser, Subcommand, ValueEnum};

/// RFC 7518 §3.2: a key for HS256 has at least the size of the hash.
const LEAST_JWT_SECRET: usize = 32;
const LEAST_WEBHOOK_SECRET: usize = 16;

#[derive(Parser, Debug)]
#[command(name = "slot-edge", version, about = "The HTTP door of Dopamine Slots")]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Serve buyers, admins and the payment gateway over HTTP.
    Serve(Serve),
    /// Print a token for local use, signed with the server's own secret.
    Token(Token),
}

#[derive(Args, Debug, Clone)]
pub(crate) struct Serve {
    /// Address and port to listen on; port 0 takes a free one, which the first log line names.
    #[arg(long, env = "SLOT_EDGE_LISTEN", default_value = "127.0.0.1:8080")]
    pub(crate) listen: SocketAddr,

    /// The Redis or Valkey server that has the module `slot` loaded.
    #[arg(long, env = "SLOT_EDGE_REDIS_URL", default_value = "redis://127.0.0.1:6379")]
    pub(crate) redis_url: String,

    /// File with the secret that signs tokens (HS256), at least 32 bytes.
    #[arg(long, env = "SLOT_EDGE_JWT_HS256_SECRET_FILE", value_name = "FILE")]
    pub(crate) jwt_hs256_secret_file: PathBuf,

    /// File with the secrets that sign webhooks, one a line, at most two live at a time.
    #[arg(long, env = "SLOT_EDGE_WEBHOOK_SECRET_FILE", value_name = "FILE")]
    pub(crate) webhook_secret_file: PathBuf,

    /// Threads that serve requests, each with its own listener and Redis connections.
    #[arg(long, env = "SLOT_EDGE_WORKERS", default_value_t = processors())]
    pub(crate) workers: NonZeroUsize,

    /// What an answer to a write promises: that Redis has it, that every replica has it, or that the
    /// disk has it.
    #[arg(long, env = "SLOT_EDGE_DURABILITY", value_enum, default_value_t = Durability::Memory)]
    pub(crate) durability: Durability,

    /// How many replicas may be promoted; `--durability replica` waits for all of them.
    #[arg(long, env = "SLOT_EDGE_REPLICAS", default_value_t = 1, value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) replicas: u32,

    /// How many SLOT_REQUESTED lines to log each second: `all` or a number; the rest is counted.
    #[arg(long, env = "SLOT_EDGE_LOG_REQUESTS", default_value = "all", value_name = "all|N")]
    pub(crate) log_requests: LogRequests,

    /// How many persisters run, so that /health can look for each one's report.
    #[arg(long, env = "SLOT_EDGE_PERSISTERS", default_value_t = 1, value_name = "N")]
    pub(crate) persisters: u32,

    /// Connections open at a time, over all workers; further ones are told to come back.
    #[arg(long, env = "SLOT_EDGE_MAX_CONNECTIONS", default_value_t = 16_384, value_name = "N")]
    pub(crate) max_connections: usize,

    /// Acquires that may wait in each worker for its next batch; further ones get 503 at once.
    #[arg(long, env = "SLOT_EDGE_QUEUE", default_value_t = 8_192, value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) queue: u32,

    /// How long Redis may take to answer, such as 2s or 800ms.
    #[arg(long, env = "SLOT_EDGE_REDIS_TIMEOUT", default_value = "2s", value_parser = parse_span)]
    pub(crate) redis_timeout: Duration,

    /// How long a connection may take to send a request's headers, idle time included.
    #[arg(long, env = "SLOT_EDGE_HEADER_TIMEOUT", default_value = "30s", value_parser = parse_span)]
    pub(crate) header_timeout: Duration,

    /// How long a request may take to send its body.
    #[arg(long, env = "SLOT_EDGE_BODY_TIMEOUT", default_value = "10s", value_parser = parse_span)]
    pub(crate) body_timeout: Duration,

    /// After SIGTERM, how long open connections are still served before idle ones are closed.
    #[arg(long, env = "SLOT_EDGE_LINGER", default_value = "500ms", value_parser = parse_span)]
    pub(crate) linger: Duration,

    /// After that, how long requests in flight may take before the process ends anyway.
    #[arg(long, env = "SLOT_EDGE_DRAIN_TIMEOUT", default_value = "10s", value_parser = parse_span)]
    pub(crate) drain_timeout: Duration,
}

#[derive(Args, Debug)]
pub(crate) struct Token {
    /// File with the secret that signs tokens (HS256), as given to `serve`.
    #[arg(long, env = "SLOT_EDGE_JWT_HS256_SECRET_FILE", value_name = "FILE")]
    pub(crate) jwt_hs256_secret_file: PathBuf,

    /// The user: 1 to 64 bytes of printable ASCII without space.
    #[arg(long)]
    pub(crate) sub: String,

    /// What the user may do; give it twice for both.
    #[arg(long, value_enum, required = true)]
    pub(crate) role: Vec<Role>,

    /// Seconds until the token expires.
    #[arg(long, default_value_t = 86_400, value_parser = clap::value_parser!(u64).range(1..=315_360_000))]
    pub(crate) ttl: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    Buyer,
    Admin,
}

/// What the answer to a write promises (DESIGN §6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Durability {
    /// Redis has answered.
    Memory,
    /// Every promotable replica has it.
    Replica,
    /// The primary's disk has it (needs appendfsync always).
    Disk,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogRequests {
    All,
    PerSecond(u32),
}

impl FromStr for LogRequests {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "all" => Ok(Self::All),
            number => number
                .parse()
                .map(Self::PerSecond)
                .map_err(|_| format!("must be all or a number of lines a second, got {number}")),
        }
    }
}

fn processors() -> NonZeroUsize {
    thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

fn parse_span(text: &str) -> Result<Duration, String> {
    let (number, unit) =
        text.split_at(text.find(|c: char| c.is_alphabetic()).unwrap_or(text.len()));
    let unit = match unit {
        "ms" => 1,
        "s" | "" => 1_000,
        "m" => 60_000,
        _ => return Err(format!("must be a time such as 2s, 800ms or 1m, got {text}")),
    };
    match number.parse::<u64>() {
        Ok(number) if (1..=3_600_000).contains(&(number.saturating_mul(unit))) => {
            Ok(Duration::from_millis(number.saturating_mul(unit)))
        }
        _ => Err(format!(
            "must be a whole number of ms, s or m, more than 0 and up to 1 h, got {text}"
        )),
    }
}

/// The secret that signs tokens.
pub(crate) fn jwt_secret(file: &Path) -> Result<Vec<u8>> {
    let text = read_secrets(file)?;
    let secret = text.trim();
    ensure!(
        secret.len() >= LEAST_JWT_SECRET,
        "{} must hold a secret of at least {LEAST_JWT_SECRET} bytes, it holds {}; make one with: openssl rand -hex 32",
        file.display(),
        secret.len()
    );
    Ok(secret.as_bytes().to_vec())
}

/// The secrets that sign webhooks, the live one and the one before or after it.
pub(crate) fn webhook_secrets(file: &Path) -> Result<Vec<Vec<u8>>> {
    let text = read_secrets(file)?;
    let secrets: Vec<Vec<u8>> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(|line| line.as_bytes().to_vec())
        .collect();
    ensure!(
        (1..=2).contains(&secrets.len()),
        "{} must hold one or two secrets, one a line, it holds {}",
        file.display(),
        secrets.len()
    );
    ensure!(
        secrets.iter().all(|secret| secret.len() >= LEAST_WEBHOOK_SECRET),
        "each secret in {} must have at least {LEAST_WEBHOOK_SECRET} bytes; make one with: openssl rand -hex 32",
        file.display()
    );
    Ok(secrets)
}

fn read_secrets(file: &Path) -> Result<String> {
    fs::read_to_string(file)
        .with_context(|| format!("cannot read the secret file {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_need_a_known_unit_and_a_sane_size() {
        assert_eq!(parse_span("800ms"), Ok(Duration::from_millis(800)));
        assert_eq!(parse_span("2"), Ok(Duration::from_secs(2)));
        assert_eq!(parse_span("1m"), Ok(Duration::from_secs(60)));
        for bad in ["", "0s", "-1s", "2h", "1.5s", "ms", "99999999s"] {
            assert!(parse_span(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn secrets_that_are_missing_or_short_are_refused_with_what_to_do() {
        let folder = tempfile::tempdir().expect("scratch folder");
        let file = folder.path().join("secret");
        assert!(jwt_secret(&file).expect_err("missing").to_string().contains("cannot read"));
        fs::write(&file, "short\n").expect("write");
        assert!(jwt_secret(&file).expect_err("short").to_string().contains("openssl rand"));
        fs::write(&file, "0123456789abcdef\n\nfedcba9876543210\n").expect("write");
        assert_eq!(webhook_secrets(&file).expect("two").len(), 2);
        fs::write(&file, "0123456789abcdef\n1123456789abcdef\n2123456789abcdef\n").expect("write");
        assert!(webhook_secrets(&file).is_err());
    }
}
