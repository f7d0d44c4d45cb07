//! What the routes of one worker stand on: nothing here outlives a restart or matters to who gets a slot.
//! Next: router.rs.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use slot_core::ids::ProductId;
use slot_core::wire::SaleView;
use tokio::sync::{Semaphore, watch};

use crate::auth::{Auth, Verifier};
use crate::batch::Acquires;
use crate::catalogue::{Catalogue, sale_command};
use crate::config::Serve;
use crate::failure::Failure;
use crate::farewell;
use crate::journal::Journal;
use crate::metrics::WorkerMetrics;
use crate::server::Phase;
use crate::shard::Shard;
use crate::signature::Secrets;

/// What every worker gets its own of, or shares.
#[derive(Clone)]
pub(crate) struct Parts {
    pub(crate) config: Arc<Serve>,
    pub(crate) jwt_secret: Arc<[u8]>,
    pub(crate) webhook_secrets: Arc<[Vec<u8>]>,
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) phase: watch::Receiver<Phase>,
}

pub(crate) struct Door {
    pub(crate) config: Arc<Serve>,
    pub(crate) auth: Auth,
    pub(crate) webhook_secrets: Secrets,
    pub(crate) shard: Rc<Shard>,
    pub(crate) acquires: Acquires,
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) journal: Journal,
    pub(crate) metrics: WorkerMetrics,
    pub(crate) phase: watch::Receiver<Phase>,
    /// Connections of this worker.
    pub(crate) connections: Cell<usize>,
    /// What is left of [`farewell::AT_A_TIME`].
    pub(crate) farewells: Arc<Semaphore>,
}

impl Door {
    /// Must run inside the worker's task set: the batch loop becomes one of its tasks.
    pub(crate) fn open(parts: Parts, metrics: WorkerMetrics) -> anyhow::Result<Rc<Self>> {
        let Parts { config, jwt_secret, webhook_secrets, catalogue, phase } = parts;
        let shard = Rc::new(Shard::new(&config, metrics.clone())?);
        let queue = usize::try_from(config.queue)?;
        let acquires =
            Acquires::start(Rc::clone(&shard), metrics.clone(), queue, config.redis_timeout);
        Ok(Rc::new(Self {
            auth: Auth::new(Verifier::hs256(&jwt_secret)),
            webhook_secrets: Secrets::new(&webhook_secrets),
            journal: Journal::new(config.log_requests, config.workers.get(), metrics.clone()),
            shard,
            acquires,
            catalogue,
            metrics,
            phase,
            config,
            connections: Cell::new(0),
            farewells: Arc::new(Semaphore::new(farewell::AT_A_TIME)),
        }))
    }

    pub(crate) fn is_draining(&self) -> bool {
        *self.phase.borrow() != Phase::Serving
    }

    /// A product's name; from the catalogue, or asked for where it is newer than that.
    pub(crate) async fn product_name(&self, product: ProductId) -> Result<Arc<str>, Failure> {
        if let Some(listed) = self.catalogue.get(product) {
            return Ok(Arc::clone(&listed.name));
        }
        let sale: Option<SaleView> = self.shard.read(sale_command(product)).await?;
        Ok(sale.map_or_else(|| "".into(), |sale| Arc::clone(&self.catalogue.put(sale).name)))
    }
}
