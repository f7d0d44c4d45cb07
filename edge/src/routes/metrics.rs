//! GET /metrics: the process's counters, and each sale's state as the catalogue knows it.
//! Next: metrics.rs counts.

use std::fmt::Write;

use bytes::Bytes;
use hyper::StatusCode;
use slot_core::wire::SaleView;

use crate::door::Door;
use crate::failure::Failure;
use crate::router::{Answer, Outcome};

const FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

type Gauge = (&'static str, &'static str, fn(&SaleView) -> u32);

const GAUGES: [Gauge; 5] = [
    ("slot_sale_stock", "Units not held by anyone", |sale| sale.stock),
    ("slot_sale_active", "Units held", |sale| sale.active),
    ("slot_sale_completed", "Units paid", |sale| sale.completed),
    ("slot_sale_waiting", "Buyers on the waitlist", |sale| sale.waiting),
    ("slot_sale_paying", "Payments in flight", |sale| sale.paying),
];

pub(crate) fn show(door: &Door) -> Outcome {
    let mut text =
        door.metrics.shared.text().map_err(|error| Failure::internal(error.to_string()))?;
    let sales = door.catalogue.all();
    for (name, help, value) in GAUGES {
        // Writing to a String can't fail.
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge");
        for listed in &sales {
            let _ =
                writeln!(text, "{name}{{product=\"{}\"}} {}", listed.sale.id, value(&listed.sale));
        }
    }
    Ok(Answer::bytes(StatusCode::OK, FORMAT, Bytes::from(text)))
}
