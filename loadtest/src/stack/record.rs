//! What a stack that is left running leaves behind for others: how to reach it, and how to stop it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use super::scratch;
use super::until::until;

/// First those that write, last what they write to.
const STOP_ORDER: [&str; 6] = ["edge", "persister", "kafka", "postgres", "replica", "redis"];
const GRACE: Duration = Duration::from_secs(15);

/// A running stack, as `stack.json` tells it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StackRecord {
    /// The edge, without the base path.
    pub edge_url: String,
    /// The primary.
    pub redis_url: String,
    /// The database `slots`.
    pub postgres_url: String,
    /// Kafka's `bootstrap.servers`.
    pub kafka_bootstrap: String,
    /// `apache` or `mock`.
    pub kafka: String,
    /// Where the persister shows its health and metrics.
    pub persister_url: String,
    /// A token of an admin.
    pub admin_token: String,
    /// Prints a token when followed by `--sub NAME --role buyer|admin`.
    pub token_command: String,
    /// What webhooks are signed with.
    pub webhook_secret: String,
    /// Where the stack's files are.
    pub scratch: PathBuf,
    /// The servers' processes, by the part's name.
    pub pids: BTreeMap<String, u32>,
    /// When each process began, in the kernel's ticks since boot: a pid alone may be used again.
    pub started: BTreeMap<String, u64>,
}

impl StackRecord {
    /// Writes it as JSON that only we can read, complete once it is there: it holds secrets.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write(&self, file: &Path) -> Result<()> {
        let json = serde_json::to_string_pretty(self).context("cannot write JSON")?;
        let folder = file.parent().unwrap_or(Path::new("."));
        let mut unfinished = tempfile::NamedTempFile::new_in(folder)
            .with_context(|| format!("cannot write in {}", folder.display()))?;
        std::io::Write::write_all(&mut unfinished, json.as_bytes())
            .with_context(|| format!("cannot write {}", file.display()))?;
        unfinished.persist(file).with_context(|| format!("cannot write {}", file.display()))?;
        Ok(())
    }

    /// Reads what [`Self::write`] wrote.
    ///
    /// # Errors
    /// If the file is not there or is something else.
    pub fn read(file: &Path) -> Result<Self> {
        let json =
            fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        serde_json::from_str(&json).with_context(|| format!("{} is no stack", file.display()))
    }

    /// The names of the parts whose process is still the one that was started.
    #[must_use]
    pub fn running(&self) -> Vec<&str> {
        self.pids.keys().map(String::as_str).filter(|name| self.is_running(name)).collect()
    }

    fn is_running(&self, name: &str) -> bool {
        self.pids.get(name).is_some_and(|pid| {
            let start = start_of(*pid);
            start.is_some() && start.as_ref() == self.started.get(name)
        })
    }
}

/// Stops the recorded stack, in order, and removes its files. Processes that only have the same pid
/// are left alone.
///
/// # Errors
/// If a process does not end even when killed, or the files cannot be removed.
pub async fn stop_recorded(record: &StackRecord) -> Result<()> {
    for part in STOP_ORDER {
        let names = record.pids.keys().filter(|name| part_of(name) == part);
        for name in names {
            // Postgres waits for its clients on SIGTERM, and disconnects them on SIGINT.
            let polite = if part == "postgres" { Signal::SIGINT } else { Signal::SIGTERM };
            if end(record, name, polite).await.is_err() {
                end(record, name, Signal::SIGKILL).await?;
            }
        }
    }
    if record.scratch.exists() {
        scratch::remove(&record.scratch)?;
    }
    Ok(())
}

/// `replica-2` is a `replica`.
fn part_of(name: &str) -> &str {
    name.split_once('-').map_or(name, |(part, _)| part)
}

async fn end(record: &StackRecord, name: &str, signal: Signal) -> Result<()> {
    let Some(pid) = record.pids.get(name) else { return Ok(()) };
    if record.is_running(name) {
        kill(Pid::from_raw(pid.cast_signed()), signal)
            .with_context(|| format!("cannot send {signal} to {name}"))?;
    }
    until(&format!("{name} to end after {signal}"), GRACE, async || {
        Ok((!record.is_running(name)).then_some(()))
    })
    .await
}

/// When a process began, or none if there is no such process, or it is dead and not yet buried.
pub(super) fn start_of(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in parentheses, and may hold anything.
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    let state = fields.next()?;
    // Fields are numbered from 1 in proc(5): `state` is the 3rd, `starttime` the 22nd.
    let start = fields.nth(22 - 3 - 1)?;
    (state != "Z").then(|| start.parse().ok())?
}
