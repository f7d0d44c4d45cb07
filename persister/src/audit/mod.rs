//! `slot-persister audit`: are the books right, and are they those of the live sales?
//!
//! Reading order: [`run`] here → [`books`] folds a sale's log and compares the rows → [`recount`] is the fold that is
//! independent of the one that wrote the rows → [`report`].

pub mod books;
pub mod recount;
pub mod report;

use sqlx::PgPool;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use uuid::Uuid;

use slot_core::ids::{AnyId, ProductId};
use slot_core::wire::AuditView;

use crate::config::AuditArgs;
use crate::failure::Failure;
use crate::postgres::column;
use crate::postgres::sink::pool;
use crate::source::Source;
use report::{Report, SaleReport};

const PAGE: u32 = 1000;
const ASK_AGAIN: Duration = Duration::from_millis(50);

/// Audits one sale or all, prints the report.
///
/// # Errors
/// [`Failure::Differences`] where anything is not as it should be.
pub async fn run(args: AuditArgs) -> Result<(), Failure> {
    let report = audit(&args).await?;
    if args.json {
        let json = serde_json::to_string_pretty(&report)
            .map_err(|error| Failure::Unavailable(format!("the report: {error}")))?;
        print(&json);
    } else {
        print(&report.to_string());
    }
    match report.differences {
        0 => Ok(()),
        differences => Err(Failure::Differences(differences)),
    }
}

fn print(text: &str) {
    use std::io::Write;
    // A reader that closed the pipe has read enough.
    let _closed = writeln!(std::io::stdout(), "{text}");
}

/// Audits without printing.
///
/// # Errors
/// [`Failure`] where Postgres or Redis can't be asked.
pub async fn audit(args: &AuditArgs) -> Result<Report, Failure> {
    let pool = pool(&args.postgres_url, 2)?;
    let mut source = match &args.redis_url {
        Some(url) => Some(Source::connect(url).await.map_err(unavailable)?),
        None => None,
    };
    let mut report = Report::default();
    for product in products(args, &pool, source.as_mut()).await? {
        let live = match &mut source {
            Some(source) => Some(source.audit(&product).await.map_err(unavailable)?),
            None => None,
        };
        report.add(sale(args, &pool, &product, live).await?);
    }
    Ok(report)
}

async fn sale(
    args: &AuditArgs,
    pool: &PgPool,
    product: &ProductId,
    live: Option<Option<AuditView>>,
) -> Result<SaleReport, Failure> {
    if let Some(Some(live)) = &live {
        let patience = Duration::from_secs(args.wait_secs);
        if !caught_up(pool, product, live, patience).await.map_err(unavailable)? {
            let mut report = SaleReport::new(product);
            report.differ(format!(
                "redis has {} events, postgres has not caught up within {} s; is the persister running?",
                live.events, args.wait_secs
            ));
            return Ok(report);
        }
    }
    books::check(pool, product, live).await.map_err(unavailable)
}

fn unavailable(error: impl std::fmt::Display) -> Failure {
    Failure::Unavailable(format!("can't audit, check --postgres-url and --redis-url: {error}"))
}

/// The sales that either of the two has.
async fn products(
    args: &AuditArgs,
    pool: &PgPool,
    source: Option<&mut Source>,
) -> Result<BTreeSet<ProductId>, Failure> {
    if let Some(product) = args.product {
        return Ok([product].into());
    }
    let ids: Vec<Uuid> = sqlx::query_scalar("SELECT product_id FROM sink_marks")
        .fetch_all(pool)
        .await
        .map_err(unavailable)?;
    let mut products = BTreeSet::new();
    for id in ids {
        match AnyId::from_bytes(id.into_bytes()) {
            Ok(AnyId::Product(product)) => {
                products.insert(product);
            }
            _ => {
                return Err(unavailable(format!(
                    "sink_marks holds {id}, which is no product's id"
                )));
            }
        }
    }
    if let Some(source) = source {
        let mut cursor = "0".to_owned();
        loop {
            let page = source.changed(&cursor, PAGE).await.map_err(unavailable)?;
            if page.sales.is_empty() {
                break;
            }
            products.extend(page.sales.iter().map(|sale| sale.product));
            cursor = page.cursor;
        }
    }
    Ok(products)
}

/// Waits until Postgres has what the live sale had.
async fn caught_up(
    pool: &PgPool,
    product: &ProductId,
    live: &AuditView,
    patience: Duration,
) -> sqlx::Result<bool> {
    let start = Instant::now();
    loop {
        let number: Option<i64> =
            sqlx::query_scalar("SELECT event_number FROM sink_marks WHERE product_id = $1")
                .bind(column::product(product))
                .fetch_optional(pool)
                .await?;
        if number.unwrap_or(0) >= column::number(live.events.0) {
            return Ok(true);
        }
        if start.elapsed() >= patience {
            return Ok(false);
        }
        tokio::time::sleep(ASK_AGAIN).await;
    }
}
