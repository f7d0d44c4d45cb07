//! POST /products made repeatable by its Idempotency-Key: the key leads to a product id before the product is
//! made, so that a retry after a crash in between makes the same product, and one after it finds it.

use hyper::HeaderMap;
use hyper::header::HeaderName;
use redis::{Value, cmd};
use sha2::{Digest, Sha256};
use slot_core::ids::{ProductId, UserId};

use crate::failure::{Code, Failure};
use crate::offer::Offer;
use crate::shard::Shard;

const HEADER: HeaderName = HeaderName::from_static("idempotency-key");
const LONGEST: usize = 255;
/// How long a key is remembered.
const SECONDS: u64 = 86_400;

/// The request's key, if it has one.
pub(crate) fn key(headers: &HeaderMap) -> Result<Option<String>, Failure> {
    let mut values = headers.get_all(HEADER).iter();
    let Some(value) = values.next() else { return Ok(None) };
    match value.to_str() {
        Ok(text) if (1..=LONGEST).contains(&text.len()) && values.next().is_none() => {
            Ok(Some(text.to_owned()))
        }
        _ => Err(Failure::validation(format!(
            "Idempotency-Key must be given once, 1 to {LONGEST} characters of printable ASCII"
        ))),
    }
}

/// The id that this admin's key leads to: `fresh` the first time, the same as then later on.
pub(crate) async fn claim(
    shard: &Shard,
    admin: &UserId,
    key: &str,
    offer: &Offer,
    fresh: ProductId,
) -> Result<ProductId, Failure> {
    // An admin's name has no space: no two pairs of admin and key hash alike.
    let name = hex::encode(Sha256::digest(format!("{admin} {key}")));
    let content = hex::encode(Sha256::digest(offer.canonical()));
    let mut command = cmd("SET");
    command.arg(format!("slot:idempotency:{name}")).arg(format!("{fresh}:{content}"));
    command.arg("NX").arg("GET").arg("EX").arg(SECONDS);
    let Value::BulkString(before) = shard.plain(command).await? else { return Ok(fresh) };
    let before = String::from_utf8(before).unwrap_or_default();
    match before.split_once(':') {
        Some((id, same)) if same == content => ProductId::parse(id)
            .map_err(|_| Failure::internal("an idempotency key leads to no product id")),
        Some(_) => Err(Failure::new(
            Code::IdempotencyMismatch,
            "send the same content as before, or a new Idempotency-Key",
        )),
        None => Err(Failure::internal("an idempotency key leads to nothing")),
    }
}
