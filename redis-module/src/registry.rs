//! Which sales are on this node, when each changed, and when time has something to do for each: what
//! SLOT.CHANGED and SLOT.MINE list and the sweeper looks at.
//!
//! Filled by every write, every load and every copy. An entry whose key has gone is dropped by whoever
//! meets it. The lock is never held across a call into the server: loads and copies come from inside one.
//! No I/O here, no keys.

use slot_core::ids::ProductId;
use slot_core::units::UnixMillis;
use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

/// A sale's place on the node: the database and the product.
pub(crate) type At = (i32, ProductId);

#[derive(Clone, Copy)]
struct Entry {
    /// The node's count of changes at the sale's last one.
    changed: u64,
    /// When time has something to do, as far as it is known without the sale.
    due: Option<UnixMillis>,
}

#[derive(Default)]
struct Registry {
    changes: u64,
    sales: HashMap<At, Entry>,
    /// No sale is due before this; it may be earlier than the earliest.
    earliest: Option<UnixMillis>,
}

static REGISTRY: LazyLock<Mutex<Registry>> = LazyLock::new(Mutex::default);

fn registry() -> MutexGuard<'static, Registry> {
    REGISTRY.lock().unwrap_or_else(PoisonError::into_inner)
}

fn earlier(one: Option<UnixMillis>, other: Option<UnixMillis>) -> Option<UnixMillis> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// A sale has changed, or has come.
pub(crate) fn changed(database: i32, product: ProductId, due: Option<UnixMillis>) {
    let mut registry = registry();
    registry.changes = registry.changes.saturating_add(1);
    let changed = registry.changes;
    registry.sales.insert((database, product), Entry { changed, due });
    registry.earliest = earlier(registry.earliest, due);
}

/// A sale has been met: enters it if it came in a way that nobody told of (MOVE, SWAPDB).
pub(crate) fn met(database: i32, product: ProductId, due: Option<UnixMillis>) {
    if !registry().sales.contains_key(&(database, product)) {
        changed(database, product, due);
    }
}

/// A sale's key has gone.
pub(crate) fn gone(database: i32, product: ProductId) {
    registry().sales.remove(&(database, product));
}

/// The sales of a database.
pub(crate) fn sales(database: i32) -> Vec<ProductId> {
    let mut sales: Vec<_> =
        registry().sales.keys().filter(|at| at.0 == database).map(|at| at.1).collect();
    sales.sort_unstable();
    sales
}

/// How many sales the node has.
pub(crate) fn count() -> usize {
    registry().sales.len()
}

/// The sales of a database that changed after change `after`, the longest unchanged first.
pub(crate) fn changes_since(database: i32, after: u64, most: usize) -> Vec<(u64, ProductId)> {
    let registry = registry();
    let mut found: Vec<_> = registry
        .sales
        .iter()
        .filter(|(at, entry)| at.0 == database && entry.changed > after)
        .map(|(at, entry)| (entry.changed, at.1))
        .collect();
    found.sort_unstable();
    found.truncate(most);
    found
}

/// The sale for which time has had something to do the longest.
pub(crate) fn first_due(now: UnixMillis) -> Option<At> {
    let mut registry = registry();
    if registry.earliest.is_none_or(|earliest| earliest > now) {
        return None;
    }
    let first = registry
        .sales
        .iter()
        .filter_map(|(at, entry)| entry.due.map(|due| (due, *at)))
        .min_by_key(|(due, at)| (*due, at.0, at.1));
    registry.earliest = first.map(|(due, _)| due);
    first.filter(|(due, _)| *due <= now).map(|(_, at)| at)
}

/// Sets when time has something to do for a sale next.
pub(crate) fn due(at: At, due: Option<UnixMillis>) {
    let mut registry = registry();
    if let Some(entry) = registry.sales.get_mut(&at) {
        entry.due = due;
        registry.earliest = earlier(registry.earliest, due);
    }
}
