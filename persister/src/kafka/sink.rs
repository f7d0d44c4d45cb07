//! The Kafka sink: a batch's events and its sales' new marks in one transaction.
//!
//! Exactly once for whoever reads read_committed: what a lost commit came to is known after the next open, which starts a
//! new producer (the broker then ends the old one's transaction) and reads the marks to the end. An
//! error is never guessed at: the producer is dropped and the sink opened again. Next: transactions.rs.

use std::collections::HashMap;
use std::sync::Arc;
use uuid::Uuid;

use slot_core::event::Change;
use slot_core::ids::ProductId;

use crate::failure::Failure;
use crate::history::Recorded;
use crate::kafka::avro::Avro;
use crate::kafka::marks::{self, NamedMark};
use crate::kafka::transactions::{Outgoing, Transactions};
use crate::kafka::{records, topics};
use crate::marks::{Marks, SinkName};
use crate::share::Share;
use crate::sink::{Batch, Sink, SinkError};

/// What the sink has to know of its cluster.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// host:port[,host:port…]
    pub bootstrap: String,
    /// Partitions of topics that have to be created.
    pub partitions: i32,
    /// Copies of topics that have to be created.
    pub replication: i32,
}

type Names = Vec<(ProductId, String)>;

/// Kafka as a sink.
pub struct KafkaSink {
    cluster: Cluster,
    share: Share,
    avro: Avro,
    /// Names this process among all that ever write as this writer.
    process: String,
    opened: bool,
    transactions: Option<Arc<Transactions>>,
    names: HashMap<ProductId, String>,
}

impl KafkaSink {
    /// The sink.
    ///
    /// # Errors
    /// Where the build's schemas can't be read.
    pub fn new(cluster: Cluster, share: Share) -> Result<Self, Failure> {
        Ok(Self {
            cluster,
            share,
            avro: Avro::new()?,
            process: Uuid::new_v4().to_string(),
            opened: false,
            transactions: None,
            names: HashMap::new(),
        })
    }

    fn started(&self) -> Result<Arc<Transactions>, SinkError> {
        let started = self.transactions.clone();
        started.ok_or_else(|| SinkError::Retry("kafka: the producer is not started".into()))
    }

    /// What the batch becomes, and what the products are called after it.
    fn outgoing(&self, batch: &Batch) -> Result<(Vec<Outgoing>, Names), String> {
        let mut outgoing = Vec::with_capacity(batch.len().saturating_mul(2));
        let mut names = Vec::with_capacity(batch.sales.len());
        for sale in &batch.sales {
            let key = sale.product.to_string();
            let mut name = self.names.get(&sale.product).cloned().unwrap_or_default();
            for recorded in &sale.events {
                rename(&mut name, recorded);
                let messages = records::messages(&self.avro, &key, &sale.product, &name, recorded)?;
                let headers = records::headers(recorded);
                outgoing.extend(messages.into_iter().map(|message| Outgoing {
                    topic: message.topic,
                    key: key.clone(),
                    payload: message.payload,
                    headers: Some(headers.clone()),
                }));
            }
            let mark = NamedMark { mark: sale.after, name: name.clone() };
            let payload = marks::mark_record(&mark)?;
            outgoing.push(Outgoing { topic: topics::MARKS, key, payload, headers: None });
            names.push((sale.product, name));
        }
        Ok((outgoing, names))
    }
}

fn rename(name: &mut String, recorded: &Recorded) {
    match recorded.event.as_ref().map(|event| &event.change) {
        Ok(Change::ProductCreated(created)) => created.name.as_ref().clone_into(name),
        Ok(Change::ProductChanged(changed)) => {
            if let Some(new) = &changed.name {
                new.as_ref().clone_into(name);
            }
        }
        _ => {}
    }
}

/// Starts a producer, makes it known, and reads the marks. A process that has written before first makes sure that no other
/// has come since: the broker calls a producer fenced also when it only was too slow.
fn start(
    cluster: &Cluster,
    share: Share,
    process: &str,
    opened: bool,
) -> Result<(Transactions, marks::KafkaMarks), SinkError> {
    if opened {
        let newest = marks::read(&cluster.bootstrap, share)?.process;
        if newest.as_deref().is_some_and(|newest| newest != process) {
            return Err(SinkError::Fenced(format!(
                "kafka: another process has started as writer {}; stop one of the two, or give \
                 them different --writer numbers",
                share.writer
            )));
        }
    }
    let id = format!("slot-persister-{}", share.writer);
    let transactions = Transactions::begin(&cluster.bootstrap, &id)?;
    let payload = marks::process_record(process).map_err(SinkError::Retry)?;
    let key = marks::process_key(share);
    transactions.commit(&[Outgoing { topic: topics::MARKS, key, payload, headers: None }])?;
    let marks = marks::read(&cluster.bootstrap, share)?;
    Ok((transactions, marks))
}

async fn on_a_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SinkError> + Send + 'static,
) -> Result<T, SinkError> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(SinkError::Retry(format!("kafka: {error}"))))
}

impl Sink for KafkaSink {
    const NAME: SinkName = SinkName::Kafka;

    async fn open(&mut self) -> Result<Marks, SinkError> {
        let Cluster { bootstrap, partitions, replication } = self.cluster.clone();
        if let Some(old) = self.transactions.take() {
            // Ending a client takes up to half a second.
            on_a_thread(move || {
                drop(old);
                Ok(())
            })
            .await?;
        }
        if !self.opened {
            topics::create_missing(&bootstrap, partitions, replication).await?;
        }
        let (cluster, share, opened) = (self.cluster.clone(), self.share, self.opened);
        let process = self.process.clone();
        let (transactions, marks) =
            on_a_thread(move || start(&cluster, share, &process, opened)).await?;
        self.transactions = Some(Arc::new(transactions));
        self.opened = true;
        self.names =
            marks.sales.iter().map(|(product, mark)| (*product, mark.name.clone())).collect();
        Ok(marks.sales.into_iter().map(|(product, mark)| (product, mark.mark)).collect())
    }

    async fn check(&mut self) -> Result<(), SinkError> {
        let transactions = self.started()?;
        on_a_thread(move || transactions.check()).await
    }

    async fn commit(&mut self, batch: Batch) -> Result<(), SinkError> {
        let transactions = self.started()?;
        let (outgoing, names) = self.outgoing(&batch).map_err(SinkError::Retry)?;
        on_a_thread(move || transactions.commit(&outgoing)).await?;
        self.names.extend(names);
        Ok(())
    }
}
