//! librdkafka's mock broker: in this process, or in a process of its own for a stack that is left
//! running. Its ports are its own choice, and its data is memory.

use std::fs;
use std::path::Path;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result};
use rdkafka::mocking::MockCluster;
use tokio::sync::oneshot;

use super::binaries;
use super::child::{Child, Lifetime, Program};

const READY: Duration = Duration::from_secs(10);

/// A mock broker that ends when dropped.
#[derive(Debug)]
pub struct MockKafka {
    bootstrap: String,
    /// Closing it ends the thread.
    end: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl MockKafka {
    /// Starts it in this process; other processes can use it too.
    ///
    /// # Errors
    /// If librdkafka cannot.
    pub async fn start() -> Result<Self> {
        let (end, wait_for_end) = mpsc::channel::<()>();
        let (address, started) = oneshot::channel();
        // The broker is a raw pointer that must stay on one thread.
        let thread = thread::spawn(move || {
            let broker = MockCluster::new(1);
            let bootstrap = broker.as_ref().map(MockCluster::bootstrap_servers);
            if address.send(bootstrap.map_err(Clone::clone)).is_ok() {
                let _ = wait_for_end.recv();
            }
        });
        let bootstrap =
            started.await.context("the mock broker ended")?.context("no mock broker")?;
        Ok(Self { bootstrap, end: Some(end), thread: Some(thread) })
    }

    /// What clients take as `bootstrap.servers`.
    #[must_use]
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// Writes the address to a file that is complete once it is there.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write_address(&self, file: &Path) -> Result<()> {
        let unfinished = file.with_extension("unfinished");
        fs::write(&unfinished, &self.bootstrap)
            .and_then(|()| fs::rename(&unfinished, file))
            .with_context(|| format!("cannot write {}", file.display()))
    }
}

impl Drop for MockKafka {
    fn drop(&mut self) {
        self.end = None;
        if let Some(thread) = self.thread.take() {
            // Nothing in the thread panics.
            let _ = thread.join();
        }
    }
}

/// A mock broker in a process of its own, which this one may leave running.
#[derive(Debug)]
pub(super) struct HostedMockKafka {
    child: Child,
    bootstrap: String,
}

impl HostedMockKafka {
    pub(super) async fn start(folder: &Path) -> Result<Self> {
        let file = folder.join("address");
        let mut program = Program::new("kafka", binaries::own_binary("slot-loadtest")?, folder);
        program.lifetime = Lifetime::Detached;
        program.argument("mock-kafka").option("--address-file", &file);
        let mut child = program.launch()?;
        child.ready(READY, async || file.is_file()).await?;
        let bootstrap = fs::read_to_string(&file).context("no address of the mock broker")?;
        Ok(Self { child, bootstrap })
    }

    pub(super) fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.pid()
    }

    pub(super) fn let_live(&mut self) {
        self.child.let_live();
    }
}
