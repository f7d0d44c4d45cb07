//! The persister: `slot-persister` of this build, between a Redis and its sinks.
//! Next: `persister/src/main.rs`.

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context, Result};

use super::binaries;
use super::child::{Lifetime, Program};
use super::edge::{Durability, Edge};
use super::scratch::Scratch;
use super::service::Service;

/// Who is asked for charges.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Gateway {
    /// Nobody: payments stay PENDING until their window is over.
    #[default]
    None,
    /// The persister's own stub, which reports to an edge's webhook.
    Stub {
        /// The part of charges that succeed, 0 to 1.
        success_rate: f64,
        /// How long a charge takes.
        latency: Duration,
        /// The part of webhooks that get lost, 0 to 1.
        lost_webhook_rate: f64,
    },
}

/// What a [`Persister`] is to be.
#[derive(Clone, Debug, Default)]
pub struct PersisterBuilder {
    scratch: Option<Scratch>,
    lifetime: Lifetime,
    port: Option<u16>,
    gateway: Gateway,
    webhook: Vec<String>,
    durability: Durability,
    writer: Option<(u32, u32)>,
    arguments: Vec<String>,
    environment: Vec<(&'static str, String)>,
}

impl PersisterBuilder {
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

    /// A fixed port for its metrics and health; without, a free one.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// Who is asked for charges; the stub also needs [`Self::webhook`].
    #[must_use]
    pub fn gateway(mut self, gateway: Gateway) -> Self {
        self.gateway = gateway;
        self
    }

    /// The edge that the gateway reports to.
    #[must_use]
    pub fn webhook(self, edge: &Edge) -> Self {
        self.webhook_at(&edge.webhook_url(), edge.secrets().webhook_file())
    }

    /// The page that the gateway reports to, and the file with the secret it signs with.
    #[must_use]
    pub fn webhook_at(mut self, url: &str, secret_file: &Path) -> Self {
        self.webhook = vec![
            "--gateway-webhook-url".to_string(),
            url.to_string(),
            "--webhook-secret-file".to_string(),
            secret_file.display().to_string(),
        ];
        self
    }

    /// What an event must have behind it before a sink gets it.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Writer `number` (from 0) of `of`; without, the only one.
    #[must_use]
    pub fn writer(mut self, number: u32, of: u32) -> Self {
        self.writer = Some((number, of));
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

    /// Starts it between the given servers and waits until it is healthy.
    ///
    /// # Errors
    /// If the binary is not built, or it does not get healthy (with its log's last lines).
    pub async fn start(
        self,
        redis_url: &str,
        postgres_url: &str,
        kafka_bootstrap: &str,
    ) -> Result<Persister> {
        let binary = binaries::own_binary("slot-persister")?;
        let scratch = match &self.scratch {
            Some(scratch) => scratch.clone(),
            None => Scratch::temporary()?,
        };
        let folder = scratch.folder("persister")?;
        let service = Service::start(self.port, |port| {
            let mut program = Program::new("persister", binary.clone(), &folder);
            program.lifetime = self.lifetime;
            program
                .argument("run")
                .option("--redis-url", redis_url)
                .option("--postgres-url", postgres_url)
                .option("--kafka-bootstrap", kafka_bootstrap)
                .option("--metrics-listen", format!("127.0.0.1:{port}"));
            self.arguments(&mut program);
            program
        })
        .await?;
        let sources = [redis_url.to_string(), postgres_url.to_string()];
        Ok(Persister { service, sources, scratch })
    }

    fn arguments(&self, program: &mut Program) {
        program.option("--durability", self.durability.to_string());
        if let Some((number, of)) = self.writer {
            program.option("--writer", number.to_string()).option("--writers", of.to_string());
        }
        match &self.gateway {
            Gateway::None => {
                program.option("--gateway", "none");
            }
            Gateway::Stub { success_rate, latency, lost_webhook_rate } => {
                program
                    .option("--gateway", "stub")
                    .option("--stub-success-rate", success_rate.to_string())
                    .option("--stub-latency-ms", latency.as_millis().to_string())
                    .option("--stub-lost-webhook-rate", lost_webhook_rate.to_string());
            }
        }
        for argument in self.webhook.iter().chain(&self.arguments) {
            program.argument(argument);
        }
        for (name, value) in &self.environment {
            program.environment.push((name, value.into()));
        }
    }
}

/// A persister of our own; ends when dropped.
#[derive(Debug)]
pub struct Persister {
    service: Service,
    /// The Redis and the Postgres between which it stands.
    sources: [String; 2],
    scratch: Scratch,
}

impl Persister {
    /// The only writer, without a gateway.
    #[must_use]
    pub fn builder() -> PersisterBuilder {
        PersisterBuilder::default()
    }

    /// `http://127.0.0.1:port` of its metrics and health.
    #[must_use]
    pub fn url(&self) -> String {
        self.service.url()
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

    /// The scratch folder it works in.
    #[must_use]
    pub fn scratch(&self) -> &Scratch {
        &self.scratch
    }

    /// Runs `slot-persister audit` on the same Redis and Postgres; the exit status says whether all
    /// is well.
    ///
    /// # Errors
    /// If it cannot be started.
    pub async fn audit(&self) -> Result<Output> {
        let mut command = Command::new(binaries::own_binary("slot-persister")?);
        let [redis, postgres] = &self.sources;
        command.args(["audit", "--redis-url", redis, "--postgres-url", postgres]);
        tokio::task::spawn_blocking(move || command.output())
            .await
            .context("the audit was abandoned")?
            .context("cannot start slot-persister")
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
    /// Those of [`Self::stop`] and [`PersisterBuilder::start`].
    pub async fn restart(&mut self) -> Result<()> {
        self.service.restart().await
    }

    /// Leaves it running when dropped.
    pub(super) fn let_live(&mut self) {
        self.service.let_live();
    }
}
