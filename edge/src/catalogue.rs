//! What is on sale, as of at most a second ago: kept per process by asking SLOT.CHANGED what changed and
//! SLOT.SALE for those, so that a million views of the list cost Redis nothing. It decides nothing; a slot's
//! fate never depends on it.
//! Next: routes/products.rs shows it.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use redis::{Cmd, Pipeline, cmd};
use slot_core::ids::ProductId;
use slot_core::units::UnixMillis;
use slot_core::wire::{ChangedReply, SaleStatus, SaleView};

use crate::shapes::Product;
use crate::shard::{Shard, Trouble, typed};

/// How often to ask what changed; half of what a second allows.
const PAUSE: Duration = Duration::from_millis(400);
/// Sales in one page of SLOT.CHANGED.
const PAGE: usize = 256;
/// A page with fewer is the last one. Not "fewer than asked for": a page leaves out sales whose keys have gone.
const LAST_PAGE: usize = PAGE / 2;
/// The cursor of no run: the server lists every sale.
const FROM_THE_START: &str = "0";

#[derive(Default)]
pub(crate) struct Catalogue {
    sales: RwLock<BTreeMap<ProductId, Arc<Listed>>>,
    /// When the whole of it was last known to be fresh.
    fresh: Mutex<Option<Instant>>,
}

/// A sale as it was when it was read.
pub(crate) struct Listed {
    pub(crate) sale: SaleView,
    pub(crate) name: Arc<str>,
    read: Instant,
}

impl Listed {
    fn new(sale: SaleView) -> Self {
        Self { name: sale.name.as_str().into(), sale, read: Instant::now() }
    }

    /// The status by now: opening is the one change that time makes without an event.
    fn status(&self) -> SaleStatus {
        let passed = u64::try_from(self.read.elapsed().as_millis()).unwrap_or(u64::MAX);
        let now = UnixMillis(self.sale.now.0.saturating_add(passed));
        match self.sale.status {
            SaleStatus::Upcoming if now >= self.sale.sale_date && self.sale.stock > 0 => {
                SaleStatus::OnSale
            }
            SaleStatus::Upcoming if now >= self.sale.sale_date => SaleStatus::SoldOut,
            status => status,
        }
    }

    pub(crate) fn product(&self) -> Product {
        Product::of(&self.sale, self.status())
    }
}

impl Catalogue {
    pub(crate) fn get(&self, product: ProductId) -> Option<Arc<Listed>> {
        self.sales.read().unwrap_or_else(PoisonError::into_inner).get(&product).map(Arc::clone)
    }

    /// Takes over what a command of our own just answered, unless newer is known.
    pub(crate) fn put(&self, sale: SaleView) -> Arc<Listed> {
        let mut sales = self.sales.write().unwrap_or_else(PoisonError::into_inner);
        match sales.get(&sale.id) {
            Some(known) if known.sale.events > sale.events => Arc::clone(known),
            _ => {
                let listed = Arc::new(Listed::new(sale));
                sales.insert(listed.sale.id, Arc::clone(&listed));
                listed
            }
        }
    }

    pub(crate) fn remove(&self, product: ProductId) {
        self.sales.write().unwrap_or_else(PoisonError::into_inner).remove(&product);
    }

    /// Every product, in the order of creation.
    pub(crate) fn all(&self) -> Vec<Arc<Listed>> {
        self.sales.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// One page in the order of creation, and how many there are in all.
    pub(crate) fn page(
        &self,
        status: Option<SaleStatus>,
        page: usize,
        size: usize,
    ) -> (Vec<Product>, usize) {
        let all = self.all();
        let fits = |listed: &&Arc<Listed>| status.is_none_or(|status| listed.status() == status);
        let total = all.iter().filter(fits).count();
        let from = page.saturating_mul(size);
        (
            all.iter().filter(fits).skip(from).take(size).map(|listed| listed.product()).collect(),
            total,
        )
    }

    /// How old the list may be; `None` before it was first read.
    pub(crate) fn age(&self) -> Option<Duration> {
        self.fresh.lock().unwrap_or_else(PoisonError::into_inner).map(|fresh| fresh.elapsed())
    }

    fn replace(&self, product: ProductId, sale: Option<SaleView>) {
        let mut sales = self.sales.write().unwrap_or_else(PoisonError::into_inner);
        match sale {
            Some(sale) => sales.insert(product, Arc::new(Listed::new(sale))),
            None => sales.remove(&product),
        };
    }

    fn retain(&self, seen: &HashSet<ProductId>) {
        self.sales
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|id, _| seen.contains(id));
    }
}

pub(crate) fn sale_command(product: ProductId) -> Cmd {
    let mut command = cmd("SLOT.SALE");
    command.arg(product.sale_key());
    command
}

/// Keeps the catalogue fresh for as long as the process lives.
pub(crate) async fn keep(catalogue: Arc<Catalogue>, shard: Shard) {
    let mut reader = Reader { cursor: FROM_THE_START.to_owned(), listing: None };
    loop {
        let began = Instant::now();
        match reader.catch_up(&catalogue, &shard).await {
            Ok(()) => {
                *catalogue.fresh.lock().unwrap_or_else(PoisonError::into_inner) = Some(began);
            }
            Err(Trouble::Refused(error)) => {
                tracing::warn!(event = "CATALOGUE_STALE", cause = error.as_str());
            }
            Err(Trouble::Misshapen(error)) => {
                tracing::error!(event = "CATALOGUE_STALE", cause = error.as_str());
            }
            // The shard has told already.
            Err(Trouble::Shed | Trouble::Unreachable | Trouble::NotConfirmed) => {}
        }
        tokio::time::sleep(PAUSE).await;
    }
}

struct Reader {
    cursor: String,
    /// While another run's sales are being listed from the start: those seen so far.
    listing: Option<HashSet<ProductId>>,
}

impl Reader {
    async fn catch_up(&mut self, catalogue: &Catalogue, shard: &Shard) -> Result<(), Trouble> {
        loop {
            let mut command = cmd("SLOT.CHANGED");
            command.arg(&self.cursor).arg("COUNT").arg(PAGE);
            let changed: ChangedReply = shard.read(command).await?;
            if run(&changed.cursor) != run(&self.cursor) {
                self.listing = Some(HashSet::new());
            }
            let products: Vec<ProductId> = changed.sales.iter().map(|sale| sale.product).collect();
            refresh(catalogue, shard, &products).await?;
            self.cursor = changed.cursor;
            if let Some(seen) = &mut self.listing {
                seen.extend(&products);
            }
            if products.len() < LAST_PAGE {
                if let Some(seen) = self.listing.take() {
                    catalogue.retain(&seen);
                }
                return Ok(());
            }
        }
    }
}

fn run(cursor: &str) -> &str {
    cursor.rsplit_once('.').map_or(cursor, |(run, _)| run)
}

async fn refresh(
    catalogue: &Catalogue,
    shard: &Shard,
    products: &[ProductId],
) -> Result<(), Trouble> {
    if products.is_empty() {
        return Ok(());
    }
    let mut pipeline = Pipeline::with_capacity(products.len());
    for product in products {
        pipeline.add_command(sale_command(*product));
    }
    let replies = shard.read_all(&pipeline).await?;
    for (product, reply) in products.iter().zip(replies) {
        catalogue.replace(*product, typed(reply)?);
    }
    Ok(())
}
