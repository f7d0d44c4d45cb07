//! The result, for a person and for a script. Owns no judgement: that is `audit.rs`.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};
use hdrhistogram::Histogram;
use serde::Serialize;

use super::audit::Finding;
use super::ledger::{Ledger, Told};
use super::witness::KafkaSale;
use slot_core::ids::ProductId;
use slot_core::wire::AuditView;

/// What a demo found; `.run/report.json` holds it.
#[derive(Debug, Serialize)]
pub struct Report {
    /// What did not hold, in words; empty in a sound run.
    pub violations: Vec<String>,
    /// Slots granted, at once or from the waitlist.
    pub granted: u64,
    /// Slots paid.
    pub completed: u64,
    /// Slots that ended unpaid.
    pub expired: u64,
    /// Events of all sales.
    pub events: u64,
    /// 99th percentile of POST /slots/acquire, in milliseconds, from when each request was due.
    pub acquire_p99_ms: f64,
    /// The median of the same.
    pub acquire_p50_ms: f64,
    /// 99th percentile of POST /payments.
    pub payment_p99_ms: f64,
    /// Acquires sent.
    pub requests: u64,
    /// Acquires that were answered 503 or not at all.
    pub errors: u64,
    /// From the sales' last event until both sinks had everything.
    pub sink_lag_ms: u64,
    /// The largest inversion between order of arrival at the edge and order of grant.
    pub inversion_ms: u64,
    /// `apache`, or `mock` where there is no Java.
    pub kafka: String,
    /// A line for each sale.
    pub sales: Vec<SaleLine>,
}

/// One sale of the demo.
#[derive(Debug, Serialize)]
pub struct SaleLine {
    /// The product's name.
    pub name: String,
    /// All units.
    pub total: u32,
    /// Acquires that were granted, answered with the slot held, put on the waitlist, refused as sold out.
    pub told: [u64; 4],
    /// Slots granted from the waitlist.
    pub promoted: u64,
    /// Slots granted in all.
    pub granted: u64,
    /// Slots paid.
    pub completed: u64,
    /// Slots that ended unpaid.
    pub expired: u64,
    /// Payments refused or timed out.
    pub declined: u64,
    /// Slots still held.
    pub active: u32,
    /// Buyers still on the waitlist.
    pub waiting: u32,
    /// Units free at the end.
    pub stock: u32,
    /// Events.
    pub events: u64,
    /// Messages in the four domain topics.
    pub messages: u64,
}

/// A row of the table: its name, and its value for a sale.
type Row = (&'static str, fn(&SaleLine) -> u64);

/// One sale's part of the report.
pub(super) fn sale_line(
    (product, name): (ProductId, &str),
    live: &AuditView,
    finding: &Finding,
    ledger: &Ledger,
    kafka: &KafkaSale,
) -> SaleLine {
    let told = [Told::Granted, Told::Held, Told::Waiting, Told::SoldOut];
    SaleLine {
        name: name.to_owned(),
        total: live.total,
        told: told.map(|told| ledger.count(product, told)),
        promoted: finding.promoted,
        granted: finding.granted,
        completed: finding.completed,
        expired: finding.expired,
        declined: finding.declined,
        active: live.active,
        waiting: live.waiting,
        stock: live.stock,
        events: finding.events,
        messages: kafka.domain.values().map(|topic| topic.len() as u64).sum(),
    }
}

/// Milliseconds at a quantile of a histogram of microseconds.
pub(super) fn quantile_ms(histogram: &Histogram<u64>, quantile: f64) -> f64 {
    Duration::from_micros(histogram.value_at_quantile(quantile)).as_secs_f64() * 1e3
}

impl Report {
    /// Writes the report as JSON.
    ///
    /// # Errors
    /// Where the file can't be written.
    pub fn write(&self, file: &Path) -> Result<()> {
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let json = serde_json::to_string_pretty(self)?;
        std::fs::write(file, json).with_context(|| format!("cannot write {}", file.display()))
    }

    /// The tables that a person reads.
    pub(super) fn tables(&self, ledger: &Ledger) -> String {
        let mut sales = table(&["", "total"]);
        let mut header = vec![String::new()];
        header.extend(self.sales.iter().map(|sale| sale.name.clone()));
        sales.set_header(header);
        let rows: [Row; 14] = [
            ("units", |sale| sale.total.into()),
            ("answered: granted", |sale| sale.told[0]),
            ("answered: has one already", |sale| sale.told[1]),
            ("answered: waiting", |sale| sale.told[2]),
            ("answered: sold out", |sale| sale.told[3]),
            ("granted from the waitlist", |sale| sale.promoted),
            ("paid", |sale| sale.completed),
            ("payments refused or timed out", |sale| sale.declined),
            ("expired, unit came back", |sale| sale.expired),
            ("still held", |sale| sale.active.into()),
            ("still waiting", |sale| sale.waiting.into()),
            ("free at the end", |sale| sale.stock.into()),
            ("events (Redis = Postgres = Kafka)", |sale| sale.events),
            ("messages for other domains", |sale| sale.messages),
        ];
        for (name, value) in rows {
            let mut row = vec![name.to_owned()];
            row.extend(self.sales.iter().map(|sale| value(sale).to_string()));
            sales.add_row(row);
        }
        right(&mut sales);

        let mut latency = table(&["milliseconds", "p50", "p90", "p99", "p99.9", "max", "count"]);
        for (name, histogram) in
            [("POST /slots/acquire", &ledger.acquire_us), ("POST /payments", &ledger.payment_us)]
        {
            let mut row = vec![name.to_owned()];
            row.extend(
                [0.5, 0.9, 0.99, 0.999, 1.0].map(|q| format!("{:.1}", quantile_ms(histogram, q))),
            );
            row.push(histogram.len().to_string());
            latency.add_row(row);
        }
        right(&mut latency);
        format!(
            "{sales}\n{latency}\nsinks had everything {} ms after the last event; \
             order of arrival against order of grant differs by at most {} ms; Kafka: {}",
            self.sink_lag_ms, self.inversion_ms, self.kafka
        )
    }
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(header);
    table
}

fn right(table: &mut Table) {
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
}
