//! What is on sale, as of at most a second ago: kept per process by asking SLOT.CHANGED what changed and
//! SLOT.SALE for those, so that a million views of the list cost Redis nothing. It decides nothing; a slot's
//! fate never depends on it.
//! Next: routes/products.rs shows it.

use std::collections::{BTreeMap, HashMap, HashSet};
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
/// How many removed products are remembered, so that a read from before does not bring one back.
const REMEMBERED: usize = 1_024;
/// The cursor of no run: the server lists every sale.
const FROM_THE_START: &str = "0";

#[derive(Default)]
pub(crate) struct Catalogue {
    sales: RwLock<Sales>,
    /// When the whole of it was last known to be fresh.
    fresh: Mutex<Option<Instant>>,
}

#[derive(Default)]
struct Sales {
    listed: BTreeMap<ProductId, Arc<Listed>>,
    /// When products went. A new one never takes an old one's id.
    removed: HashMap<ProductId, Instant>,
}

impl Sales {
    fn remove(&mut self, product: ProductId) {
        self.listed.remove(&product);
        if self.removed.len() >= REMEMBERED {
            // A read that is still under way is younger than half of them.
            let mut times: Vec<Instant> = self.removed.values().copied().collect();
            times.sort_unstable();
            if let Some(&middle) = times.get(REMEMBERED / 2) {
                self.removed.retain(|_, at| *at > middle);
            }
        }
        self.removed.insert(product, Instant::now());
    }

    fn insert(&mut self, sale: SaleView) -> Arc<Listed> {
        let listed = Arc::new(Listed::new(sale));
        self.listed.insert(listed.sale.id, Arc::clone(&listed));
        listed
    }
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
        self.sales.read().unwrap_or_else(PoisonError::into_inner).listed.get(&product).cloned()
    }

    /// Takes over what a command of our own just answered, unless newer is known or the product has gone.
    pub(crate) fn put(&self, sale: SaleView) -> Arc<Listed> {
        let mut sales = self.sales.write().unwrap_or_else(PoisonError::into_inner);
        match sales.listed.get(&sale.id) {
            Some(known) if known.sale.events > sale.events => Arc::clone(known),
            None if sales.removed.contains_key(&sale.id) => Arc::new(Listed::new(sale)),
            _ => sales.insert(sale),
        }
    }

    pub(crate) fn remove(&self, product: ProductId) {
        self.sales.write().unwrap_or_else(PoisonError::into_inner).remove(product);
    }

    /// Every product, in the order of creation.
    pub(crate) fn all(&self) -> Vec<Arc<Listed>> {
        self.sales.read().unwrap_or_else(PoisonError::into_inner).listed.values().cloned().collect()
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

    /// Takes over what was read, having been asked for at `asked`. What was asked for after the known view came is
    /// the newer one, even with fewer events: a failover may have lost some. Otherwise the events tell.
    fn replace(&self, product: ProductId, sale: Option<SaleView>, asked: Instant) {
        let mut sales = self.sales.write().unwrap_or_else(PoisonError::into_inner);
        let Some(sale) = sale else { return sales.remove(product) };
        if sales.removed.get(&product).is_some_and(|gone| *gone >= asked) {
            return;
        }
        sales.removed.remove(&product);
        let newer = sales
            .listed
            .get(&product)
            .is_some_and(|known| known.read >= asked && known.sale.events > sale.events);
        if !newer {
            sales.insert(sale);
        }
    }

    /// Drops what a whole listing that began at `began` has not seen, and nobody has put there since.
    fn retain(&self, seen: &HashSet<ProductId>, began: Instant) {
        self.sales
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .listed
            .retain(|id, listed| seen.contains(id) || listed.read >= began);
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

struct Listing {
    began: Instant,
    seen: HashSet<ProductId>,
}

struct Reader {
    cursor: String,
    /// While another run's sales are being listed from the start: those seen so far.
    listing: Option<Listing>,
}

impl Reader {
    async fn catch_up(&mut self, catalogue: &Catalogue, shard: &Shard) -> Result<(), Trouble> {
        loop {
            let asked = Instant::now();
            let mut command = cmd("SLOT.CHANGED");
            command.arg(&self.cursor).arg("COUNT").arg(PAGE);
            let changed: ChangedReply = shard.read(command).await?;
            if run(&changed.cursor) != run(&self.cursor) {
                self.listing = Some(Listing { began: asked, seen: HashSet::new() });
            }
            let products: Vec<ProductId> = changed.sales.iter().map(|sale| sale.product).collect();
            refresh(catalogue, shard, &products).await?;
            self.cursor = changed.cursor;
            if let Some(listing) = &mut self.listing {
                listing.seen.extend(&products);
            }
            if products.len() < LAST_PAGE {
                if let Some(Listing { began, seen }) = self.listing.take() {
                    catalogue.retain(&seen, began);
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
    let asked = Instant::now();
    let replies = shard.read_all(&pipeline).await?;
    for (product, reply) in products.iter().zip(replies) {
        catalogue.replace(*product, typed(reply)?, asked);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use slot_core::chain::ChainHash;
    use slot_core::units::{EventNumber, Millis};

    use super::*;

    fn sale(events: u64) -> SaleView {
        let at = UnixMillis(1);
        SaleView {
            id: ProductId::new(at, 7),
            name: "Lamp".to_owned(),
            description: "It glows".to_owned(),
            status: SaleStatus::OnSale,
            stock: 1,
            total: 1,
            active: 0,
            completed: 0,
            waiting: 0,
            paying: 0,
            sale_date: at,
            ttl: Millis(1),
            waitlist: 0,
            limit: 1,
            payment_window: Millis(1),
            expiring_soon: Millis(1),
            price: None,
            currency: None,
            created: at,
            updated: at,
            events: EventNumber(events),
            head: ChainHash::origin(&ProductId::new(at, 7)),
            now: at,
        }
    }

    fn known(catalogue: &Catalogue) -> Option<u64> {
        catalogue.get(sale(0).id).map(|listed| listed.sale.events.0)
    }

    #[test]
    fn a_read_from_before_never_hides_what_is_newer() {
        let catalogue = Catalogue::default();
        let asked = Instant::now();
        catalogue.put(sale(5));
        catalogue.replace(sale(0).id, Some(sale(4)), asked);
        assert_eq!(known(&catalogue), Some(5));
        catalogue.replace(sale(0).id, Some(sale(6)), asked);
        assert_eq!(known(&catalogue), Some(6));
        catalogue.put(sale(5));
        assert_eq!(known(&catalogue), Some(6));
    }

    #[test]
    fn a_read_from_after_counts_even_if_a_failover_lost_events() {
        let catalogue = Catalogue::default();
        catalogue.put(sale(5));
        std::thread::sleep(Duration::from_millis(1));
        catalogue.replace(sale(0).id, Some(sale(4)), Instant::now());
        assert_eq!(known(&catalogue), Some(4));
    }

    #[test]
    fn a_removed_product_is_not_brought_back_by_a_read_from_before() {
        let catalogue = Catalogue::default();
        let asked = Instant::now();
        catalogue.put(sale(5));
        catalogue.remove(sale(0).id);
        catalogue.replace(sale(0).id, Some(sale(5)), asked);
        catalogue.put(sale(5));
        assert_eq!(known(&catalogue), None);
        std::thread::sleep(Duration::from_millis(1));
        catalogue.replace(sale(0).id, Some(sale(4)), Instant::now());
        assert_eq!(known(&catalogue), Some(4), "the removal was lost in a failover");
    }

    #[test]
    fn removals_are_remembered_within_bounds() {
        let catalogue = Catalogue::default();
        for n in 0..5_000 {
            catalogue.remove(ProductId::new(UnixMillis(n), 7));
            let sales = catalogue.sales.read().unwrap_or_else(PoisonError::into_inner);
            assert!(sales.removed.len() <= REMEMBERED);
        }
    }
}
