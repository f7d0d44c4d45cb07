//! The products of the demo, created over HTTP as an admin does. Next: buyers.rs.

use anyhow::{Context, Result, ensure};
use serde_json::json;
use slot_core::ids::ProductId;

use super::client::Shop;

/// A product to put on sale.
#[derive(Debug, Clone)]
pub struct ProductAsk {
    /// Its name.
    pub name: &'static str,
    /// Units on sale.
    pub stock: u32,
    /// Price in won.
    pub price: u32,
    /// How long a slot lasts, in seconds; the sale's default where `None`.
    pub ttl_seconds: Option<u32>,
    /// How long a payment may take, in seconds; the sale's default where `None`.
    pub payment_window_seconds: Option<u32>,
}

/// Creates a product that is on sale at once.
///
/// # Errors
/// Where the edge does not answer 201 with the product.
pub async fn create_product(shop: &Shop, ask: &ProductAsk) -> Result<ProductId> {
    let admin = shop.token("demo-admin", "admin")?;
    let mut body = json!({
        "name": ask.name,
        "description": format!("{} units, first come, first served", ask.stock),
        "stock": ask.stock,
        "saleDate": "2026-01-01T00:00:00Z",
        "price": ask.price,
    });
    if let (Some(fields), Some(ttl)) = (body.as_object_mut(), ask.ttl_seconds) {
        fields.insert("ttlSeconds".into(), ttl.into());
    }
    if let (Some(fields), Some(window)) = (body.as_object_mut(), ask.payment_window_seconds) {
        fields.insert("paymentWindowSeconds".into(), window.into());
    }
    let answer = shop.post(&admin, "/products", &body).await?;
    ensure!(answer.status == 201, "POST /products answered {}: {}", answer.status, answer.body);
    let id = answer.text("id").context("the created product has no id")?;
    Ok(ProductId::parse(id)?)
}
