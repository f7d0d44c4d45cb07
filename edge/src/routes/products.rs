//! Products: the list, one of them, a new one, changes and deletion. Reads come from the catalogue; what may
//! change when is the module's word (R10, R11).
//! Next: catalogue.rs for reads, the module (SLOT.CREATE, SLOT.ALTER, SLOT.DROP) for writes.

use std::sync::Arc;
use std::time::Duration;

use hyper::StatusCode;
use hyper::header::{AGE, HeaderValue};
use rand::Rng;
use redis::cmd;
use serde::Serialize;
use slot_core::ids::ProductId;
use slot_core::wire::{Done, SaleReply, SaleStatus, SaleView};

use super::slots::no_product;
use crate::catalogue::{Listed, sale_command};
use crate::door::Door;
use crate::failure::{Code, Failure};
use crate::idempotency;
use crate::intake;
use crate::offer::{Change, Offer};
use crate::router::{Answer, Call, Outcome};
use crate::shapes::Product;

/// Room for 2,000 characters of four bytes and what stands around them.
const BODY: usize = 16 * 1024;
const _: () = assert!(BODY > (2_000 + 200) * 4 + 1_024);
/// Past this a product in the list may be too old to trust; its own page asks Redis then.
const STALE: Duration = Duration::from_secs(1);
const DEFAULT_SIZE: usize = 20;
const MOST_SIZE: usize = 100;
const MOST_PAGE: usize = 1_000_000;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    products: Vec<Product>,
    page: usize,
    size: usize,
    total_elements: usize,
    total_pages: usize,
}

/// GET /products?status&page&size
pub(crate) fn list(door: &Door, call: &Call) -> Outcome {
    let query = call.query();
    let status = query.word("status")?.map(|word| SaleStatus::parse(&word)).transpose()?;
    let page = query.number("page", 0, 0..=MOST_PAGE)?;
    let size = query.number("size", DEFAULT_SIZE, 1..=MOST_SIZE)?;
    let age = door.catalogue.age().ok_or_else(|| {
        Failure::new(Code::Unavailable, "the list has not been read yet; ask again shortly")
    })?;
    let (products, total_elements) = door.catalogue.page(status, page, size);
    let total_pages = total_elements.div_ceil(size);
    let body = Page { products, page, size, total_elements, total_pages };
    let mut answer = Answer::json(StatusCode::OK, &body)?;
    answer.response.headers_mut().insert(AGE, HeaderValue::from(age.as_secs()));
    Ok(answer)
}

/// GET /products/{id}
pub(crate) async fn get(door: &Door, id: &str) -> Outcome {
    let id = ProductId::parse(id).map_err(|error| Failure::not_found(error.to_string()))?;
    let listed = match door.catalogue.get(id) {
        Some(listed) if door.catalogue.age().is_some_and(|age| age < STALE) => listed,
        _ => read(door, id).await?.ok_or_else(no_product)?,
    };
    Answer::json(StatusCode::OK, &listed.product())
}

async fn read(door: &Door, id: ProductId) -> Result<Option<Arc<Listed>>, Failure> {
    let sale: Option<SaleView> = door.shard.read(sale_command(id)).await?;
    if sale.is_none() {
        door.catalogue.remove(id);
    }
    Ok(sale.map(|sale| door.catalogue.put(sale)))
}

/// POST /products
pub(crate) async fn create(door: &Door, call: &mut Call) -> Outcome {
    let caller = door.auth.admin(&call.head.headers)?;
    intake::must_be_json(&call.head.headers)?;
    let body = intake::bytes(&mut call.body, BODY, door.config.body_timeout).await?;
    let offer = Offer::check(intake::parse(&body)?).map_err(Failure::validation)?;
    let fresh = ProductId::new(call.arrived, rand::rng().random());
    let id = match idempotency::key(&call.head.headers)? {
        Some(key) => idempotency::claim(&door.shard, &caller.user, &key, &offer, fresh).await?,
        None => fresh,
    };
    let mut command = cmd("SLOT.CREATE");
    command.arg(id.sale_key()).arg(id.stream_key());
    offer.add_to(&mut command);
    command.arg("BY").arg(caller.user.as_str()).arg("TRACE").arg(call.trace.as_str());
    match door.shard.write(id, command).await? {
        // It exists if this is a retry: the same key led to the same id.
        SaleReply::Sale(sale) | SaleReply::Exists(sale) => {
            let listed = door.catalogue.put(*sale);
            Ok(Answer::json(StatusCode::CREATED, &listed.product())?
                .at("products", &id.to_string()))
        }
        SaleReply::NoSale => Err(Failure::new(
            Code::ProductUpdateConflict,
            "the product made with this Idempotency-Key was deleted; use a new key",
        )),
        other => Err(Failure::internal(format!("SLOT.CREATE answered {other:?}"))),
    }
}

/// PUT /products/{id}
pub(crate) async fn change(door: &Door, call: &mut Call, id: &str) -> Outcome {
    let caller = door.auth.admin(&call.head.headers)?;
    let id = ProductId::parse(id).map_err(|error| Failure::not_found(error.to_string()))?;
    intake::must_be_json(&call.head.headers)?;
    let body = intake::bytes(&mut call.body, BODY, door.config.body_timeout).await?;
    let change = Change::check(intake::parse(&body)?).map_err(Failure::validation)?;
    let mut command = cmd("SLOT.ALTER");
    command.arg(id.sale_key()).arg(id.stream_key());
    change.add_to(&mut command);
    command.arg("BY").arg(caller.user.as_str()).arg("TRACE").arg(call.trace.as_str());
    let conflict = |detail: String| Err(Failure::new(Code::ProductUpdateConflict, detail));
    match door.shard.write(id, command).await? {
        SaleReply::Sale(sale) | SaleReply::Exists(sale) => {
            Answer::json(StatusCode::OK, &door.catalogue.put(*sale).product())
        }
        SaleReply::NoSale => Err(no_product()),
        SaleReply::Stock { least } => conflict(format!(
            "the units must stay between {least}, those held and paid, and 100000000"
        )),
        SaleReply::SlotsExist => {
            conflict("saleDate can't change any more: the sale has slots".to_owned())
        }
        SaleReply::Changed(number) => {
            conflict(format!("the product has changed meanwhile, it is at event {number}"))
        }
        SaleReply::Closed => conflict("the sale is closed".to_owned()),
    }
}

/// DELETE /products/{id}
pub(crate) async fn delete(door: &Door, call: &Call, id: &str) -> Outcome {
    let caller = door.auth.admin(&call.head.headers)?;
    let id = ProductId::parse(id).map_err(|error| Failure::not_found(error.to_string()))?;
    let mut command = cmd("SLOT.DROP");
    command.arg(id.sale_key()).arg(id.stream_key());
    command.arg("BY").arg(caller.user.as_str()).arg("TRACE").arg(call.trace.as_str());
    match door.shard.write(id, command).await? {
        Done::Ok => {
            door.catalogue.remove(id);
            Ok(Answer::empty())
        }
        Done::NoSale => Err(no_product()),
        Done::InUse => Err(Failure::new(
            Code::ProductDeleteConflict,
            "the product has held slots, a payment in progress or an open refund",
        )),
        other => Err(Failure::internal(format!("SLOT.DROP answered {other}"))),
    }
}
