//! The demo's five steps. Next: market.rs, buyers.rs, settled.rs, witness.rs, audit.rs, report.rs.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};
use redis::aio::MultiplexedConnection;
use slot_core::ids::ProductId;
use sqlx::PgPool;

use super::audit::{self, Testimony};
use super::buyers::{self, Crowd};
use super::client::Shop;
use super::ledger::{Ledger, Told};
use super::market::{ProductAsk, create_product};
use super::report::{Report, quantile_ms, sale_line};
use super::settled::{self, Awaited};
use super::witness::{self, KafkaSale};
use crate::stack::{Gateway, Progress, Stack, StackOptions};

/// How big the demo is.
#[derive(Debug, Clone)]
pub struct DemoOptions {
    /// Buyers of the first product, 1,000 units with the normal time to live.
    pub buyers: u32,
    /// Buyers of the second, 200 units whose slots live for seconds.
    pub hasty_buyers: u32,
    /// Over how many seconds the crowd comes.
    pub seconds: u32,
    /// What every random choice of the crowd follows from.
    pub seed: u64,
    /// Where the report goes.
    pub report: PathBuf,
}

const CONCERT: ProductAsk = ProductAsk {
    name: "Concert at ten",
    stock: 1000,
    price: 129_000,
    ttl_seconds: None,
    payment_window_seconds: None,
};
const SNEAKERS: ProductAsk = ProductAsk {
    name: "Sneakers, be quick",
    stock: 200,
    price: 59_000,
    ttl_seconds: Some(3),
    payment_window_seconds: Some(10),
};

/// Prints a line about a part that is ready.
pub(crate) fn say(progress: &Progress) {
    let Progress { part, place, took, note } = progress;
    println!("  {part:<10} ready after {:>5.1} s  {place}", took.as_secs_f64());
    if let Some(note) = note {
        println!("             NOTE: Kafka is {note}");
    }
}

/// What the demo's gateway does: nine of ten charges succeed, some webhooks are lost and asked for.
fn gateway() -> Gateway {
    Gateway::Stub { success_rate: 0.9, latency: Duration::from_millis(30), lost_webhook_rate: 0.02 }
}

fn bar(template: &str) -> Result<ProgressBar> {
    let bar = ProgressBar::new(0);
    bar.set_style(ProgressStyle::with_template(template)?);
    bar.enable_steady_tick(Duration::from_millis(100));
    Ok(bar)
}

/// Starts a stack, sells two products, audits from the outside, stops the stack.
///
/// # Errors
/// Where a part fails. What the audit finds is no error but the report's `violations`.
pub async fn demo(options: &DemoOptions) -> Result<Report> {
    println!("1. Starting Redis with the module, Postgres, Kafka, edge and persister");
    let mut stack = StackOptions::default();
    stack.persister = stack.persister.gateway(gateway());
    let stack = Stack::start(stack, |progress| say(&progress)).await?;
    let kept = stack.scratch.path().to_owned();
    let report = sell_and_audit(&stack, options).await;
    if report.as_ref().map_or(true, |report| !report.violations.is_empty()) {
        keep_logs(&stack, options);
    }
    println!("5. Stopping everything ({})", kept.display());
    stack.stop().await.context("the stack did not stop")?;
    report
}

/// Saves the parts' logs beside the report; the stack's folder goes with the stack.
fn keep_logs(stack: &Stack, options: &DemoOptions) {
    let Some(folder) = options.report.parent().map(|parent| parent.join("failed-demo")) else {
        return;
    };
    let logs = [stack.edge.log_file(), stack.persister.log_file(), stack.redis.log_file()];
    let kept = std::fs::create_dir_all(&folder).and_then(|()| {
        logs.into_iter().try_for_each(|log| {
            let name = log.file_name().unwrap_or(log.as_os_str());
            std::fs::copy(log, folder.join(name)).map(|_| ())
        })
    });
    match kept {
        Ok(()) => println!("   the logs are in {}", folder.display()),
        Err(error) => println!("   the logs could not be kept: {error}"),
    }
}

async fn sell_and_audit(stack: &Stack, options: &DemoOptions) -> Result<Report> {
    let shop = Shop::new(&stack.edge.url(), &stack.secrets.jwt()?)?;
    println!("2. An admin puts two products on sale");
    let concert = create_product(&shop, &CONCERT).await?;
    let sneakers = create_product(&shop, &SNEAKERS).await?;
    println!("  {concert}  {}: {} units", CONCERT.name, CONCERT.stock);
    println!("  {sneakers}  {}: {} units, slots live 3 s", SNEAKERS.name, SNEAKERS.stock);

    let (buyers, hasty) = (options.buyers, options.hasty_buyers);
    println!("3. {buyers} and {hasty} buyers ask within {} s, some twice", options.seconds);
    let ledger = Arc::new(Mutex::new(Ledger::new()?));
    let load = bar("  {wide_bar} {pos}/{len} asked, {elapsed}")?;
    let over = Duration::from_secs(options.seconds.into());
    let first = Crowd {
        product: concert,
        prefix: "fan",
        buyers,
        over,
        twice_percent: 10,
        wait_percent: 0,
        pay_percent: 80,
        price: CONCERT.price,
        patience: Duration::ZERO,
    };
    let second = Crowd {
        product: sneakers,
        prefix: "runner",
        buyers: hasty,
        twice_percent: 5,
        wait_percent: 15,
        pay_percent: 60,
        price: SNEAKERS.price,
        patience: Duration::from_secs(20),
        ..first.clone()
    };
    tokio::try_join!(
        buyers::send(&shop, first, &ledger, &load, options.seed),
        buyers::send(&shop, second, &ledger, &load, options.seed.wrapping_add(1)),
    )?;
    load.finish();

    println!(
        "4. Waiting until every payment is settled and both sinks have everything, then the audit"
    );
    let ledger = Arc::try_unwrap(ledger)
        .map_err(|_| anyhow::anyhow!("a buyer is still at work"))?
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    let mut redis = stack.redis.connect().await?;
    let pool = stack.postgres.connect().await?;
    let wait = bar("  {spinner} {elapsed} {msg}")?;
    let awaited =
        [Awaited { product: concert, ends: false }, Awaited { product: sneakers, ends: true }];
    let lag = settled::wait(&mut redis, &pool, stack.kafka.bootstrap(), &awaited, &wait).await?;
    wait.finish_and_clear();
    let report = examine(stack, &mut redis, &pool, &ledger, [concert, sneakers], lag).await?;
    report.write(&options.report)?;
    println!("{}", report.tables(&ledger));
    Ok(report)
}

async fn examine(
    stack: &Stack,
    redis: &mut MultiplexedConnection,
    pool: &PgPool,
    ledger: &Ledger,
    products: [ProductId; 2],
    lag: Duration,
) -> Result<Report> {
    let bootstrap = stack.kafka.bootstrap().to_owned();
    let mut topics: BTreeMap<ProductId, KafkaSale> =
        tokio::task::spawn_blocking(move || witness::kafka(&bootstrap)).await??;
    let (mut lines, mut findings) = (Vec::new(), Vec::new());
    for product in products {
        let said = Testimony {
            product,
            sale: witness::sale(redis, product).await?,
            live: witness::live_audit(redis, product).await?,
            log: witness::postgres_log(pool, product).await?,
            states: witness::postgres_states(pool, product).await?,
            kafka: topics.remove(&product).unwrap_or_default(),
        };
        let finding = audit::audit(&said, ledger);
        let names = (product, said.sale.name.as_str());
        lines.push(sale_line(names, &said.live, &finding, ledger, &said.kafka));
        findings.push(finding);
    }
    let mut violations: Vec<String> =
        findings.iter().flat_map(|finding| finding.violations.clone()).collect();
    violations.extend(ledger.surprises.iter().map(|what| format!("unexpected answer: {what}")));
    let own = stack.persister.audit().await?;
    if !own.status.success() {
        let said = String::from_utf8_lossy(&own.stdout);
        violations.push(format!("slot-persister audit found differences: {said}"));
    }
    let sum = |of: fn(&audit::Finding) -> u64| findings.iter().map(of).sum();
    let told = |told| products.iter().map(|product| ledger.count(*product, told)).sum::<u64>();
    Ok(Report {
        violations,
        granted: sum(|finding| finding.granted),
        completed: sum(|finding| finding.completed),
        expired: sum(|finding| finding.expired),
        events: sum(|finding| finding.events),
        acquire_p50_ms: quantile_ms(&ledger.acquire_us, 0.5),
        acquire_p99_ms: quantile_ms(&ledger.acquire_us, 0.99),
        payment_p99_ms: quantile_ms(&ledger.payment_us, 0.99),
        requests: ledger.acquire_us.len(),
        errors: told(Told::Busy) + told(Told::Wrong),
        sink_lag_ms: lag.as_millis().try_into().unwrap_or(u64::MAX),
        inversion_ms: findings.iter().map(|finding| finding.inversion_ms).max().unwrap_or(0),
        kafka: stack.kafka.kind().to_string(),
        sales: lines,
    })
}
