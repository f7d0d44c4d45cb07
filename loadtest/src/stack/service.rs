//! One of our own services: a binary of this build with a port, a log and a page that says it is
//! ready. Next: `edge.rs` and `persister.rs` are the two.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;
use reqwest::Client;

use super::child::{Child, Program};
use super::ports::{Port, on_free_port};

const READY: Duration = Duration::from_secs(30);
const ANSWER: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(super) struct Service {
    // Dropped first: the process ends before its port is free.
    child: Option<Child>,
    program: Program,
    port: Port,
}

impl Service {
    /// Starts what `program` makes for a port, and waits until it is ready.
    pub(super) async fn start(
        fixed_port: Option<u16>,
        program: impl Fn(u16) -> Program,
    ) -> Result<Self> {
        on_free_port(fixed_port, async |port| {
            let program = program(port.number());
            let mut service = Self { child: None, program, port };
            service.launch().await?;
            Ok(service)
        })
        .await
    }

    /// Without a slash at its end.
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    pub(super) fn port(&self) -> u16 {
        self.port.number()
    }

    pub(super) fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::pid)
    }

    pub(super) fn log_file(&self) -> &Path {
        &self.program.log
    }

    pub(super) async fn wait_healthy(&mut self) -> Result<()> {
        let page = format!("{}/health/ready", self.url());
        let client = Client::builder().no_proxy().timeout(ANSWER).build();
        let client = client.context("cannot make an HTTP client")?;
        let Some(child) = &mut self.child else { bail!("{} is not running", self.program.name) };
        child
            .ready(READY, async || {
                client.get(&page).send().await.is_ok_and(|answer| answer.status().is_success())
            })
            .await
    }

    pub(super) async fn kill9(&mut self) -> Result<()> {
        match self.child.take() {
            Some(mut child) => child.kill9().await,
            None => Ok(()),
        }
    }

    pub(super) async fn stop(&mut self) -> Result<()> {
        match self.child.take() {
            Some(mut child) => child.end(Signal::SIGTERM).await,
            None => Ok(()),
        }
    }

    pub(super) async fn restart(&mut self) -> Result<()> {
        self.stop().await?;
        self.launch().await
    }

    pub(super) fn let_live(&mut self) {
        self.child.iter_mut().for_each(Child::let_live);
    }

    fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port())
    }

    async fn launch(&mut self) -> Result<()> {
        self.port.release();
        self.child = Some(self.program.launch()?);
        self.wait_healthy().await
    }
}
