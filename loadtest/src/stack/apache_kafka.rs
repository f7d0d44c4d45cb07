//! One Apache Kafka broker, its own controller (KRaft), set up to start fast and stay small.
//! Next: `kafka_jars.rs` is where its jars come from.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;
use rand::Rng;
use rand::distr::Alphanumeric;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};

use super::child::{Child, Lifetime, Program};
use super::kafka_jars::Jars;
use super::ports::{Port, on_free_port};

const READY: Duration = Duration::from_secs(60);
const METADATA: Duration = Duration::from_secs(2);

/// Without a configuration of its own log4j says nothing below ERROR.
const LOG_CONFIGURATION: &str = "\
status = error
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{ISO8601} %p %m (%c{1})%n
rootLogger.level = info
rootLogger.appenderRef.out.ref = out
logger.settings.name = org.apache.kafka.common.config
logger.settings.level = warn
";

/// A running broker, or one that was killed and can be restarted.
#[derive(Debug)]
pub(super) struct ApacheKafka {
    // Dropped first: the server ends before its ports are free.
    child: Option<Child>,
    program: Program,
    ports: Ports,
    bootstrap: String,
    cluster: String,
}

#[derive(Debug)]
struct Ports {
    broker: Port,
    controller: Port,
}

impl ApacheKafka {
    pub(super) async fn start(
        jars: Jars,
        folder: &Path,
        lifetime: Lifetime,
        port: Option<u16>,
        settings: &[(String, String)],
    ) -> Result<Self> {
        let logging = folder.join("log4j2.properties");
        fs::write(&logging, LOG_CONFIGURATION).context("cannot write Kafka's log settings")?;
        on_free_port(port, async |broker| {
            let ports = Ports { broker, controller: Port::free()? };
            let number = ports.broker.number();
            let bootstrap = format!("127.0.0.1:{number}");
            let cluster = cluster_id();
            let data = folder.join(format!("data-{number}"));
            let properties = folder.join("server.properties");
            fs::write(&properties, server_properties(&ports, &data, settings))
                .context("cannot write Kafka's settings")?;
            format_storage(&jars, folder, &logging, &properties, &cluster).await?;
            let mut program = java(&jars, folder, &logging);
            program.lifetime = lifetime;
            program.argument("kafka.Kafka").argument(&properties);
            // The data goes away with its owner: a controlled shutdown would only take time.
            program.drop_signal = Signal::SIGKILL;
            let mut kafka = Self { child: None, program, ports, bootstrap, cluster };
            kafka.launch().await?;
            Ok(kafka)
        })
        .await
    }

    pub(super) fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    pub(super) fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::pid)
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

    async fn launch(&mut self) -> Result<()> {
        self.ports.broker.release();
        self.ports.controller.release();
        let child = self.child.insert(self.program.launch()?);
        let client: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &self.bootstrap)
            .set("reconnect.backoff.max.ms", "200")
            // It says loudly that a broker that is still starting does not answer.
            .set("log_level", "0")
            .create()
            .context("cannot make a Kafka client")?;
        let client = Arc::new(client);
        let cluster = self.cluster.as_str();
        child
            .ready(READY, async || {
                let (client, cluster) = (client.clone(), cluster.to_string());
                let asked = tokio::task::spawn_blocking(move || is_ready(&client, &cluster));
                asked.await.unwrap_or(false)
            })
            .await
    }
}

/// Whether the broker is ours (another may have been faster to take the port) and takes clients.
fn is_ready(client: &BaseConsumer, cluster: &str) -> bool {
    client.fetch_metadata(None, METADATA).is_ok_and(|metadata| !metadata.brokers().is_empty())
        && client.client().fetch_cluster_id(METADATA).as_deref() == Some(cluster)
}

/// Java with the jars and a heap that leaves room for everything else on the machine.
fn java(jars: &Jars, folder: &Path, logging: &Path) -> Program {
    let mut program = Program::new("kafka", jars.java.clone(), folder);
    program
        .argument("-Xms256m")
        .argument("-Xmx512m")
        .argument("-XX:+UseSerialGC")
        .argument(format!("-Dlog4j2.configurationFile={}", logging.display()))
        .option("-cp", class_path(&jars.folder));
    program
}

/// Java itself expands the star.
fn class_path(folder: &Path) -> PathBuf {
    folder.join("*")
}

async fn format_storage(
    jars: &Jars,
    folder: &Path,
    logging: &Path,
    properties: &Path,
    cluster: &str,
) -> Result<()> {
    let mut tool = java(jars, folder, logging);
    tool.arguments.insert(0, "-XX:TieredStopAtLevel=1".into());
    tool.argument("kafka.tools.StorageTool")
        .argument("format")
        .argument("--standalone")
        .option("--cluster-id", cluster)
        .option("--config", properties);
    let mut command = tool.command();
    let output = tokio::task::spawn_blocking(move || command.output())
        .await
        .context("Kafka's format was abandoned")?
        .context("cannot start java")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("Kafka's storage could not be formatted ({}):\n{}", output.status, said.trim_end());
    }
    Ok(())
}

fn server_properties(ports: &Ports, data: &Path, settings: &[(String, String)]) -> String {
    let broker = ports.broker.number();
    let controller = ports.controller.number();
    let mut text = format!(
        "\
process.roles=broker,controller
node.id=1
listeners=BROKER://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=BROKER://127.0.0.1:{broker}
controller.quorum.bootstrap.servers=127.0.0.1:{controller}
controller.listener.names=CONTROLLER
inter.broker.listener.name=BROKER
listener.security.protocol.map=BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
min.insync.replicas=1
group.initial.rebalance.delay.ms=0
log.cleaner.dedupe.buffer.size=16777216
# A broker that was killed is let in again when its former session is over: 9 s by default.
broker.session.timeout.ms=4000
broker.heartbeat.interval.ms=500
",
        data = data.display()
    );
    for (name, value) in settings {
        text.push_str(&format!("{name}={value}\n"));
    }
    text
}

/// 16 bytes in URL-safe base64 are 22 letters; of the last only the upper two bits count. Starts with
/// a letter, as a leading dash would read as an option.
fn cluster_id() -> String {
    let letters: String = rand::rng().sample_iter(Alphanumeric).take(20).map(char::from).collect();
    format!("S{letters}A")
}
