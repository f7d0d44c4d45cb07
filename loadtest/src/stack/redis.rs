//! A Redis or Valkey server of our own, with the slot module unless told otherwise.
//! Next: `redis-module/src/lib.rs` is what it loads.

use std::ffi::OsString;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client};

use super::binaries;
use super::child::{Child, Lifetime, Program};
use super::ports::{Port, on_free_port};
use super::scratch::Scratch;

const READY: Duration = Duration::from_secs(30);
const RESPONSE: Duration = Duration::from_secs(10);

/// Redis's `appendfsync`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendFsync {
    /// Before every answer: what the durability tier `disk` needs.
    Always,
    /// Once a second.
    EverySecond,
    /// When the kernel likes.
    No,
}

impl AppendFsync {
    fn word(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::EverySecond => "everysec",
            Self::No => "no",
        }
    }
}

/// What a [`RedisServer`] is to be.
#[derive(Clone, Debug, Default)]
pub struct RedisBuilder {
    scratch: Option<Scratch>,
    lifetime: Lifetime,
    server: Option<PathBuf>,
    module: Option<PathBuf>,
    without_module: bool,
    port: Option<u16>,
    append_only: bool,
    append_fsync: Option<AppendFsync>,
    aof_use_rdb_preamble: Option<bool>,
    max_memory: Option<String>,
    replica_of: Option<u16>,
    arguments: Vec<String>,
}

impl RedisBuilder {
    /// The folder to work in; without, a temporary one of its own.
    #[must_use]
    pub fn scratch(mut self, scratch: &Scratch) -> Self {
        self.scratch = Some(scratch.clone());
        self
    }

    /// Whether it ends with this process.
    #[must_use]
    pub fn lifetime(mut self, lifetime: Lifetime) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// The server's binary; without, `SLOT_REDIS_SERVER`, else `redis-server` on the PATH.
    #[must_use]
    pub fn server(mut self, binary: impl Into<PathBuf>) -> Self {
        self.server = Some(binary.into());
        self
    }

    /// The module; without, `SLOT_MODULE`, else the one of this build.
    #[must_use]
    pub fn module(mut self, library: impl Into<PathBuf>) -> Self {
        self.module = Some(library.into());
        self
    }

    /// A plain server.
    #[must_use]
    pub fn without_module(mut self) -> Self {
        self.without_module = true;
        self
    }

    /// A fixed port; without, a free one.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// A free port after all.
    pub(super) fn any_port(mut self) -> Self {
        self.port = None;
        self
    }

    /// `appendonly`; off without.
    #[must_use]
    pub fn append_only(mut self, on: bool) -> Self {
        self.append_only = on;
        self
    }

    /// `appendfsync`.
    #[must_use]
    pub fn append_fsync(mut self, policy: AppendFsync) -> Self {
        self.append_fsync = Some(policy);
        self
    }

    /// `aof-use-rdb-preamble`: off makes an AOF rewrite go through the type's `aof_rewrite`.
    #[must_use]
    pub fn aof_use_rdb_preamble(mut self, on: bool) -> Self {
        self.aof_use_rdb_preamble = Some(on);
        self
    }

    /// `maxmemory`, in Redis's notation (`64mb`).
    #[must_use]
    pub fn max_memory(mut self, limit: impl Into<String>) -> Self {
        self.max_memory = Some(limit.into());
        self
    }

    /// Follows `primary`; ready when it has the primary's data.
    #[must_use]
    pub fn replica_of(mut self, primary: &RedisServer) -> Self {
        self.replica_of = Some(primary.port());
        self
    }

    /// One more option of the server, without the dashes, with its values.
    #[must_use]
    pub fn option(mut self, name: &str, values: &[&str]) -> Self {
        self.arguments.push(format!("--{name}"));
        self.arguments.extend(values.iter().map(ToString::to_string));
        self
    }

    /// Starts it and waits until it is ready.
    ///
    /// # Errors
    /// If the server or the module is missing, or it does not get ready (with its log's last lines).
    pub async fn start(self) -> Result<RedisServer> {
        let scratch = match &self.scratch {
            Some(scratch) => scratch.clone(),
            None => Scratch::temporary()?,
        };
        let module = match (self.without_module, &self.module) {
            (true, _) => None,
            (false, Some(library)) => Some(library.clone()),
            (false, None) => Some(binaries::module()?),
        };
        let binary = self
            .server
            .clone()
            .or_else(|| std::env::var_os("SLOT_REDIS_SERVER").map(PathBuf::from))
            .or_else(|| binaries::on_path("redis-server"))
            .context("no redis-server on the PATH: run scripts/install-deps")?;
        let folder = scratch.folder("redis")?;
        on_free_port(self.port, async |port| {
            let mut server = RedisServer {
                program: self.program(&binary, module.as_deref(), &folder, port.number()),
                child: None,
                port,
                is_replica: self.replica_of.is_some(),
                scratch: scratch.clone(),
            };
            server.launch().await?;
            Ok(server)
        })
        .await
    }

    fn program(&self, binary: &Path, module: Option<&Path>, folder: &Path, port: u16) -> Program {
        let mut program = Program::new("redis", binary.to_path_buf(), folder);
        program.lifetime = self.lifetime;
        program
            .option("--port", port.to_string())
            .option("--bind", "127.0.0.1")
            .option("--dir", folder)
            .option("--daemonize", "no")
            .option("--save", "")
            .option("--enable-debug-command", "local")
            .option("--repl-diskless-sync-delay", "0")
            .option("--appendonly", if self.append_only { "yes" } else { "no" });
        if let Some(policy) = self.append_fsync {
            program.option("--appendfsync", policy.word());
        }
        if let Some(on) = self.aof_use_rdb_preamble {
            program.option("--aof-use-rdb-preamble", if on { "yes" } else { "no" });
        }
        if let Some(limit) = &self.max_memory {
            program.option("--maxmemory", limit);
        }
        if let Some(primary) = self.replica_of {
            program.option("--replicaof", "127.0.0.1").argument(primary.to_string());
        }
        if let Some(library) = module {
            program.option("--loadmodule", library);
        }
        program.arguments.extend(self.arguments.iter().map(OsString::from));
        program
    }
}

/// A server of our own; ends when dropped.
#[derive(Debug)]
pub struct RedisServer {
    // Dropped first: the server ends before its port is free and its folder goes.
    child: Option<Child>,
    program: Program,
    port: Port,
    is_replica: bool,
    scratch: Scratch,
}

impl RedisServer {
    /// A server with the module on a free port, nothing written to disk.
    #[must_use]
    pub fn builder() -> RedisBuilder {
        RedisBuilder::default()
    }

    /// `redis://127.0.0.1:port/`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://{}:{}/", Ipv4Addr::LOCALHOST, self.port())
    }

    /// Its TCP port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// Its process, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::pid)
    }

    /// Where its output goes.
    #[must_use]
    pub fn log_file(&self) -> &Path {
        &self.program.log
    }

    /// Where its AOF and RDB files are.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.program.folder
    }

    /// The scratch folder it works in.
    #[must_use]
    pub fn scratch(&self) -> &Scratch {
        &self.scratch
    }

    /// A new connection whose commands may take 10 s.
    ///
    /// # Errors
    /// If the server does not answer.
    pub async fn connect(&self) -> Result<MultiplexedConnection> {
        connect(&self.url()).await
    }

    /// Waits until it has loaded its data and, if a replica, is in step with its primary's link.
    ///
    /// # Errors
    /// If that takes longer than 30 s, or the server ends.
    pub async fn wait_ready(&mut self) -> Result<()> {
        let url = self.url();
        let is_replica = self.is_replica;
        let Some(child) = &mut self.child else { bail!("redis is not running") };
        let pid = child.pid();
        child.ready(READY, async || is_ready(&url, pid, is_replica).await.unwrap_or(false)).await
    }

    /// kill −9: what a crash does.
    ///
    /// # Errors
    /// If it cannot be killed.
    pub async fn kill9(&mut self) -> Result<()> {
        match self.child.take() {
            Some(mut child) => child.kill9().await,
            None => Ok(()),
        }
    }

    /// SHUTDOWN: its AOF is complete afterwards.
    ///
    /// # Errors
    /// If it does not end within 20 s.
    pub async fn stop(&mut self) -> Result<()> {
        match self.child.take() {
            // The server's own handling of SIGTERM is SHUTDOWN.
            Some(mut child) => child.end(Signal::SIGTERM).await,
            None => Ok(()),
        }
    }

    /// Stops it if it runs, and starts it again on the same port and folder.
    ///
    /// # Errors
    /// Those of [`Self::stop`] and [`RedisBuilder::start`].
    pub async fn restart(&mut self) -> Result<()> {
        self.stop().await?;
        self.launch().await
    }

    /// Leaves it running when dropped.
    pub(super) fn let_live(&mut self) {
        self.child.iter_mut().for_each(Child::let_live);
    }

    async fn launch(&mut self) -> Result<()> {
        self.port.release();
        self.child = Some(self.program.launch()?);
        self.wait_ready().await
    }
}

async fn connect(url: &str) -> Result<MultiplexedConnection> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(RESPONSE))
        .set_response_timeout(Some(RESPONSE));
    let client = Client::open(url).with_context(|| format!("{url} is no Redis address"))?;
    client
        .get_multiplexed_async_connection_with_config(&config)
        .await
        .with_context(|| format!("cannot connect to {url}"))
}

/// Whether the server at `url` is ours (another may have been faster to take the port), answers,
/// and has its data. While it loads, INFO answers; PING is an error.
async fn is_ready(url: &str, pid: u32, is_replica: bool) -> Result<bool> {
    let mut connection = connect(url).await?;
    redis::cmd("PING").exec_async(&mut connection).await?;
    let info: String = redis::cmd("INFO").query_async(&mut connection).await?;
    let has = |line: &str| info.lines().any(|found| found == line);
    let in_step = has("master_link_status:up") && has("master_sync_in_progress:0");
    Ok(has(&format!("process_id:{pid}")) && (!is_replica || in_step))
}
