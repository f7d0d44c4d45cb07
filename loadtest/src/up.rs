//! `slot-loadtest up` and `down`: a stack that outlives its starter, with a sale open, and its end.
//! Next: `stack/record.rs`.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use crate::demo::{ProductAsk, Shop, create_product};
use crate::stack::{Gateway, Lifetime, Stack, StackOptions, StackRecord, stop_recorded};

/// Every charge succeeds, after a second: long enough to send a webhook of one's own before.
const fn patient_gateway() -> Gateway {
    Gateway::Stub { success_rate: 1.0, latency: Duration::from_secs(1), lost_webhook_rate: 0.0 }
}

/// Starts a stack and a sale, writes `record`, and leaves both running.
///
/// A stack that is up already stays as it is; one of which a part has died is stopped first.
///
/// # Errors
/// Where a part does not start.
pub async fn up(record: &Path) -> Result<()> {
    if record.exists() {
        let before = StackRecord::read(record)?;
        if before.running().len() == before.pids.len() {
            println!("The stack of {} is up already; stop it with `make down`.", record.display());
            return Ok(());
        }
        stop_recorded(&before).await?;
    }
    let folder = record.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut options = StackOptions {
        scratch: Some(std::path::absolute(folder)?.join("stack")),
        lifetime: Lifetime::Detached,
        ..StackOptions::default()
    };
    options.persister = options.persister.gateway(patient_gateway());
    let stack = Stack::start(options, |progress| crate::demo::say(&progress)).await?;
    let shop = Shop::new(&stack.edge.url(), &stack.secrets.jwt()?)?;
    let (name, stock, price) = ("Concert at ten", 1000, 129_000);
    let ask = ProductAsk { name, stock, price, ttl_seconds: None, payment_window_seconds: None };
    let product = create_product(&shop, &ask).await?;
    let written = stack.record().await?;
    written.write(record)?;
    let StackRecord { edge_url, redis_url, postgres_url, kafka_bootstrap, .. } = &written;
    let StackRecord { persister_url, token_command, admin_token, .. } = &written;
    println!(
        "\nThe stack is up; {} has all of this. Stop it with `make down`.\n\n\
         # a buyer's token, and a slot\n\
         TOKEN=$({token_command} --sub ana --role buyer)\n\
         curl -s {edge_url}/product/v1/slots/acquire -H \"Authorization: Bearer $TOKEN\" \\\n  \
         -H 'Content-Type: application/json' -d '{{\"productId\":\"{product}\"}}'\n\n\
         # the stub gateway lets every charge succeed, a second after POST /payments\n\n\
         # the sale as Redis has it, and as Postgres has it\n\
         redis-cli -u {redis_url} SLOT.SALE '{key}'\n\
         redis-cli -u {redis_url} XRANGE '{stream}' - + COUNT 5\n\
         psql '{postgres_url}' -c 'SELECT event_number, line FROM slot_audit_log ORDER BY 1'\n\n\
         edge       {edge_url}/product/v1/products\n\
         metrics    {edge_url}/metrics and {persister_url}/metrics\n\
         kafka      {kafka_bootstrap} ({kafka})\n\
         admin      {admin_token}",
        record.display(),
        key = product.sale_key(),
        stream = product.stream_key(),
        kafka = written.kafka,
    );
    stack.leave_running();
    Ok(())
}

/// Stops the stack of `record` and removes its files; where there is none, says so.
///
/// # Errors
/// Where a process does not end.
pub async fn down(record: &Path) -> Result<()> {
    if !record.exists() {
        println!("no stack is running ({} is not there)", record.display());
        return Ok(());
    }
    stop_recorded(&StackRecord::read(record)?).await?;
    std::fs::remove_file(record)?;
    println!("the stack is stopped");
    Ok(())
}
