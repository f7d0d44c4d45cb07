//! The edge: `slot-edge` of this build, in front of a Redis. Next: `edge/src/main.rs`.

use std::fmt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::binaries;
use super::child::{Lifetime, Program};
use super::scratch::Scratch;
use super::secrets::Secrets;
use super::service::Service;

/// What an answer to a write is worth (DESIGN §6): what has to have happened before it is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// Redis has answered.
    #[default]
    Memory,
    /// The replicas have it.
    Replica,
    /// Redis's disk has it.
    Disk,
}

impl fmt::Display for Durability {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Memory => "memory",
            Self::Replica => "replica",
            Self::Disk => "disk",
        })
    }
}

/// Who a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Acquires and pays.
    Buyer,
    /// Makes products.
    Admin,
}

impl fmt::Display for Role {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Buyer => "buyer",
            Self::Admin => "admin",
        })
    }
}

/// What an [`Edge`] is to be.
#[derive(Clone, Debug, Default)]
pub struct EdgeBuilder {
    scratch: Option<Scratch>,
    lifetime: Lifetime,
    secrets: Option<Secrets>,
    port: Option<u16>,
    workers: Option<usize>,
    durability: Durability,
    log_requests: Option<String>,
    arguments: Vec<String>,
    environment: Vec<(&'static str, String)>,
}

impl EdgeBuilder {
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

    /// What tokens and webhooks are signed with; without, new ones.
    #[must_use]
    pub fn secrets(mut self, secrets: &Secrets) -> Self {
        self.secrets = Some(secrets.clone());
        self
    }

    /// A fixed port; without, a free one.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// How many threads serve; without, the edge's own choice.
    #[must_use]
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = Some(workers);
        self
    }

    /// What an answer is worth.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// `all`, or how many requests a second are logged.
    #[must_use]
    pub fn log_requests(mut self, how_many: impl Into<String>) -> Self {
        self.log_requests = Some(how_many.into());
        self
    }

    /// One more command-line argument.
    #[must_use]
    pub fn argument(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// One more environment variable.
    #[must_use]
    pub fn environment(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.environment.push((name, value.into()));
        self
    }

    /// Starts it in front of the Redis at `redis_url` and waits until it is healthy.
    ///
    /// # Errors
    /// If the binary is not built, or it does not get healthy (with its log's last lines).
    pub async fn start(self, redis_url: &str) -> Result<Edge> {
        let binary = binaries::own_binary("slot-edge")?;
        let scratch = match &self.scratch {
            Some(scratch) => scratch.clone(),
            None => Scratch::temporary()?,
        };
        let secrets = self.secrets.clone().map_or_else(|| Secrets::make(&scratch), Ok)?;
        let folder = scratch.folder("edge")?;
        let service = Service::start(self.port, |port| {
            let mut program = Program::new("edge", binary.clone(), &folder);
            program.lifetime = self.lifetime;
            self.arguments(&mut program, &secrets, redis_url, port);
            program
        })
        .await?;
        Ok(Edge { service, secrets, scratch })
    }

    fn arguments(&self, program: &mut Program, secrets: &Secrets, redis_url: &str, port: u16) {
        program
            .argument("serve")
            .option("--listen", format!("127.0.0.1:{port}"))
            .option("--redis-url", redis_url)
            .option("--jwt-hs256-secret-file", secrets.jwt_file())
            .option("--webhook-secret-file", secrets.webhook_file())
            .option("--durability", self.durability.to_string());
        if let Some(workers) = self.workers {
            program.option("--workers", workers.to_string());
        }
        if let Some(how_many) = &self.log_requests {
            program.option("--log-requests", how_many);
        }
        for argument in &self.arguments {
            program.argument(argument);
        }
        for (name, value) in &self.environment {
            program.environment.push((name, value.into()));
        }
    }
}

/// An edge of our own; ends when dropped.
#[derive(Debug)]
pub struct Edge {
    service: Service,
    secrets: Secrets,
    scratch: Scratch,
}

impl Edge {
    /// An edge on a free port with secrets of its own.
    #[must_use]
    pub fn builder() -> EdgeBuilder {
        EdgeBuilder::default()
    }

    /// `http://127.0.0.1:port`, without the base path.
    #[must_use]
    pub fn url(&self) -> String {
        self.service.url()
    }

    /// Where a payment gateway reports.
    #[must_use]
    pub fn webhook_url(&self) -> String {
        format!("{}/product/v1/webhooks/payment", self.url())
    }

    /// Its TCP port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.service.port()
    }

    /// Its process, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.service.pid()
    }

    /// Where its output goes.
    #[must_use]
    pub fn log_file(&self) -> &Path {
        self.service.log_file()
    }

    /// What it checks tokens and webhooks with.
    #[must_use]
    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// The scratch folder it works in.
    #[must_use]
    pub fn scratch(&self) -> &Scratch {
        &self.scratch
    }

    /// A token that this edge takes, made by `slot-edge token`.
    ///
    /// # Errors
    /// If the edge refuses to make it.
    pub async fn token(&self, name: &str, role: Role) -> Result<String> {
        let mut command = Command::new(binaries::own_binary("slot-edge")?);
        command.args(self.token_arguments()).args(["--sub", name, "--role", &role.to_string()]);
        let output = tokio::task::spawn_blocking(move || command.output())
            .await
            .context("slot-edge token was abandoned")?
            .context("cannot start slot-edge")?;
        if !output.status.success() {
            bail!("slot-edge token failed: {}", String::from_utf8_lossy(&output.stderr).trim_end());
        }
        let token = String::from_utf8(output.stdout).context("a token is ASCII")?;
        Ok(token.trim_end().to_string())
    }

    /// The command line that makes a token, to be followed by `--sub NAME --role buyer|admin`.
    ///
    /// # Errors
    /// If the binary is not built.
    pub fn token_command(&self) -> Result<String> {
        let binary = binaries::own_binary("slot-edge")?;
        Ok(format!("{} {}", binary.display(), self.token_arguments().join(" ")))
    }

    /// Waits until `GET /health/ready` says so.
    ///
    /// # Errors
    /// If that takes longer than 30 s, or it ends.
    pub async fn wait_healthy(&mut self) -> Result<()> {
        self.service.wait_healthy().await
    }

    /// kill −9: what a crash does.
    ///
    /// # Errors
    /// If it cannot be killed.
    pub async fn kill9(&mut self) -> Result<()> {
        self.service.kill9().await
    }

    /// A graceful stop.
    ///
    /// # Errors
    /// If it does not end within 20 s.
    pub async fn stop(&mut self) -> Result<()> {
        self.service.stop().await
    }

    /// Stops it if it runs, and starts it again on the same port.
    ///
    /// # Errors
    /// Those of [`Self::stop`] and [`EdgeBuilder::start`].
    pub async fn restart(&mut self) -> Result<()> {
        self.service.restart().await
    }

    /// Leaves it running when dropped.
    pub(super) fn let_live(&mut self) {
        self.service.let_live();
    }

    fn token_arguments(&self) -> [String; 3] {
        let file = self.secrets.jwt_file().display().to_string();
        ["token".to_string(), "--jwt-hs256-secret-file".to_string(), file]
    }
}
