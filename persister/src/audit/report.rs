//! What an audit found, for people and as JSON.

use serde::Serialize;
use std::fmt;

use slot_core::ids::ProductId;

/// The most differences told of one sale; the rest is counted.
const TOLD: usize = 50;

/// What an audit found.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// Each sale.
    pub sales: Vec<SaleReport>,
    /// Differences in all sales.
    pub differences: usize,
    /// Events in all sales.
    pub events: u64,
}

/// What an audit found about one sale.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SaleReport {
    /// The product's id.
    pub product_id: String,
    /// Events in the log.
    pub events: u64,
    /// The last event's chain hash.
    pub head: String,
    /// The digest of the folded state.
    pub digest: String,
    /// Units.
    pub total: u32,
    /// Units not held.
    pub stock: u32,
    /// Slots by what they came to.
    pub active: u32,
    /// Slots by what they came to.
    pub completed: u32,
    /// Slots by what they came to.
    pub expired: u32,
    /// Whether it was compared with the live sale, and at which event.
    pub compared_live_at: Option<u64>,
    /// How many differences there are.
    pub difference_count: usize,
    /// The first of them, in words.
    pub differences: Vec<String>,
}

impl SaleReport {
    /// Of a sale about which nothing is known yet.
    #[must_use]
    pub fn new(product: &ProductId) -> Self {
        Self {
            product_id: product.to_string(),
            events: 0,
            head: String::new(),
            digest: String::new(),
            total: 0,
            stock: 0,
            active: 0,
            completed: 0,
            expired: 0,
            compared_live_at: None,
            difference_count: 0,
            differences: Vec::new(),
        }
    }

    /// Notes a difference.
    pub fn differ(&mut self, what: impl Into<String>) {
        self.difference_count = self.difference_count.saturating_add(1);
        if self.differences.len() < TOLD {
            self.differences.push(what.into());
        }
    }

    /// Notes a difference where two things are not the same.
    pub fn same<T: PartialEq + fmt::Display>(&mut self, what: &str, here: T, there: T) {
        if here != there {
            self.differ(format!("{what}: {here} and {there}"));
        }
    }
}

impl Report {
    /// Adds a sale.
    pub fn add(&mut self, sale: SaleReport) {
        self.differences = self.differences.saturating_add(sale.difference_count);
        self.events = self.events.saturating_add(sale.events);
        self.sales.push(sale);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for sale in &self.sales {
            let live = match sale.compared_live_at {
                Some(at) => format!("live sale compared at event {at}"),
                None => "live sale not compared".to_owned(),
            };
            writeln!(
                f,
                "{}  events {}  units {} = stock {} + active {} + completed {}  expired {}  {live}  {}",
                sale.product_id,
                sale.events,
                sale.total,
                sale.stock,
                sale.active,
                sale.completed,
                sale.expired,
                if sale.difference_count == 0 { "ok" } else { "DIFFERENT" }
            )?;
            for difference in &sale.differences {
                writeln!(f, "    {difference}")?;
            }
            let more = sale.difference_count.saturating_sub(sale.differences.len());
            if more > 0 {
                writeln!(f, "    … and {more} more")?;
            }
        }
        write!(
            f,
            "{} sale(s), {} event(s), {} difference(s)",
            self.sales.len(),
            self.events,
            self.differences
        )
    }
}
