//! What an admin says about a product, checked and in the module's words: a new one ([`Offer`]), changes of one
//! ([`Change`]). The bounds are the module's too; here they get messages that name the JSON field.
//! Next: routes/products.rs sends it.

use redis::Cmd;
use serde::Deserialize;
use serde_json::value::RawValue;
use slot_core::sale::{DEFAULT_TTL, MAX_STOCK};
use slot_core::units::{Millis, Price, UnixMillis};

use crate::money;
use crate::shapes::Iso;

const LONGEST_NAME: usize = 200;
const LONGEST_DESCRIPTION: usize = 2_000;
const MOST_EACH: u32 = 1_000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct OfferBody {
    name: String,
    description: String,
    stock: u32,
    sale_date: String,
    price: Option<Box<RawValue>>,
    currency: Option<String>,
    ttl_seconds: Option<Box<RawValue>>,
    waitlist: Option<u32>,
    limit: Option<u32>,
    payment_window_seconds: Option<Box<RawValue>>,
    expiring_soon_seconds: Option<Box<RawValue>>,
    // The same three as SLOT.CREATE has them, in milliseconds.
    ttl: Option<Box<RawValue>>,
    payment_window: Option<Box<RawValue>>,
    expiring_soon: Option<Box<RawValue>>,
}

/// A product that can be made; what is `None` takes the module's default.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Offer {
    name: String,
    description: String,
    stock: u32,
    sale_date: UnixMillis,
    ttl: Option<Millis>,
    waitlist: Option<u32>,
    limit: Option<u32>,
    payment_window: Option<Millis>,
    expiring_soon: Option<Millis>,
    price: Option<Price>,
}

impl Offer {
    pub(crate) fn check(body: OfferBody) -> Result<Self, String> {
        let price = match (given(&body.price), body.currency.as_deref()) {
            (None, None) => None,
            (None, Some(_)) => return Err("currency needs a price".to_owned()),
            (Some(amount), currency) => {
                let currency = money::currency(currency.unwrap_or("KRW"))?;
                Some(Price { amount: money::minor("price", amount, currency)?, currency })
            }
        };
        let offer = Self {
            name: line("name", body.name, LONGEST_NAME)?,
            description: prose("description", body.description, LONGEST_DESCRIPTION)?,
            stock: body.stock,
            sale_date: Iso::parse("saleDate", &body.sale_date)?,
            ttl: span("ttl", &body.ttl_seconds, &body.ttl)?,
            waitlist: body.waitlist,
            limit: body.limit,
            payment_window: span(
                "paymentWindow",
                &body.payment_window_seconds,
                &body.payment_window,
            )?,
            expiring_soon: span("expiringSoon", &body.expiring_soon_seconds, &body.expiring_soon)?,
            price,
        };
        if !(1..=MAX_STOCK).contains(&offer.stock) {
            return Err(format!("stock must be between 1 and {MAX_STOCK}, got {}", offer.stock));
        }
        if offer.limit.is_some_and(|limit| !(1..=MOST_EACH).contains(&limit)) {
            return Err(format!("limit must be between 1 and {MOST_EACH}"));
        }
        if offer.expiring_soon.is_some_and(|soon| soon >= offer.ttl.unwrap_or(DEFAULT_TTL)) {
            return Err(
                "expiringSoonSeconds (or expiringSoon) must be less than ttlSeconds (or ttl)"
                    .to_owned(),
            );
        }
        Ok(offer)
    }

    /// The same for the same content, however the JSON was written.
    pub(crate) fn canonical(&self) -> String {
        format!("{self:?}")
    }

    pub(crate) fn add_to(&self, command: &mut Cmd) {
        command.arg("STOCK").arg(self.stock).arg("SALEDATE").arg(self.sale_date.0);
        command.arg("NAME").arg(&self.name).arg("DESCRIPTION").arg(&self.description);
        let spans = [
            ("TTL", self.ttl),
            ("PAYMENTWINDOW", self.payment_window),
            ("EXPIRINGSOON", self.expiring_soon),
        ];
        for (word, span) in spans {
            if let Some(span) = span {
                command.arg(word).arg(span.0);
            }
        }
        for (word, number) in [("WAITLIST", self.waitlist), ("LIMIT", self.limit)] {
            if let Some(number) = number {
                command.arg(word).arg(number);
            }
        }
        if let Some(Price { amount, currency }) = &self.price {
            command.arg("PRICE").arg(amount.0).arg(currency.as_str());
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ChangeBody {
    name: Option<String>,
    description: Option<String>,
    stock_increment: Option<i64>,
    sale_date: Option<String>,
}

/// A change that can be asked for; what is `None` stays.
pub(crate) struct Change {
    name: Option<String>,
    description: Option<String>,
    stock: Option<i64>,
    sale_date: Option<UnixMillis>,
}

impl Change {
    pub(crate) fn check(body: ChangeBody) -> Result<Self, String> {
        let change = Self {
            name: body.name.map(|text| line("name", text, LONGEST_NAME)).transpose()?,
            description: body
                .description
                .map(|text| prose("description", text, LONGEST_DESCRIPTION))
                .transpose()?,
            stock: body.stock_increment,
            sale_date: body.sale_date.map(|text| Iso::parse("saleDate", &text)).transpose()?,
        };
        if change.name.is_none()
            && change.description.is_none()
            && change.stock.is_none()
            && change.sale_date.is_none()
        {
            return Err(
                "give at least one of name, description, stockIncrement, saleDate".to_owned()
            );
        }
        if change.stock.is_some_and(|delta| delta.unsigned_abs() > u64::from(MAX_STOCK)) {
            return Err(format!("stockIncrement must be between -{MAX_STOCK} and {MAX_STOCK}"));
        }
        Ok(change)
    }

    pub(crate) fn add_to(&self, command: &mut Cmd) {
        for (word, text) in [("NAME", &self.name), ("DESCRIPTION", &self.description)] {
            if let Some(text) = text {
                command.arg(word).arg(text);
            }
        }
        if let Some(delta) = self.stock {
            command.arg("STOCK").arg(format!("{delta:+}"));
        }
        if let Some(date) = self.sale_date {
            command.arg("SALEDATE").arg(date.0);
        }
    }
}

/// Reads a span given in seconds (`<name>Seconds`) or in milliseconds (`<name>`), not in both.
fn span(
    name: &str,
    seconds: &Option<Box<RawValue>>,
    millis: &Option<Box<RawValue>>,
) -> Result<Option<Millis>, String> {
    match (given(seconds), given(millis)) {
        (None, None) => Ok(None),
        (Some(number), None) => money::span(&format!("{name}Seconds"), number).map(Some),
        (None, Some(number)) => money::span_ms(name, number).map(Some),
        (Some(_), Some(_)) => {
            Err(format!("give {name}Seconds or {name} (in milliseconds), not both"))
        }
    }
}

/// A JSON null is the same as nothing.
fn given(value: &Option<Box<RawValue>>) -> Option<&RawValue> {
    value.as_deref().filter(|value| value.get() != "null")
}

fn line(field: &str, text: String, most: usize) -> Result<String, String> {
    if text.chars().any(char::is_control) {
        return Err(format!("{field} must be one line without control characters"));
    }
    prose(field, text, most)
}

fn prose(field: &str, text: String, most: usize) -> Result<String, String> {
    let odd = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
    if text.chars().any(odd) {
        return Err(format!("{field} must have no control characters but line breaks and tabs"));
    }
    if text.trim().is_empty() || text.chars().count() > most {
        return Err(format!("{field} must be 1 to {most} characters and not blank"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn check(change: Value) -> Result<Offer, String> {
        let mut body = json!({
            "name": "Lamp", "description": "It glows", "stock": 5, "saleDate": "2026-11-22T10:00:00Z"
        });
        let (Some(into), Some(from)) = (body.as_object_mut(), change.as_object()) else {
            return Err("not objects".into());
        };
        into.extend(from.clone());
        // As text, not as a Value: RawValue only reads from text.
        serde_json::from_str(&body.to_string()).map_err(|e| e.to_string()).and_then(Offer::check)
    }

    #[test]
    fn the_least_is_enough() {
        assert!(check(json!({})).is_ok());
        assert_eq!(check(json!({"price": null, "ttlSeconds": null})), check(json!({})));
    }

    #[test]
    fn spans_in_milliseconds_are_those_in_seconds() {
        let millis = json!({"ttl": 1500, "paymentWindow": 250, "expiringSoon": 1, "limit": null});
        let seconds = json!({
            "ttlSeconds": 1.5, "paymentWindowSeconds": 0.25, "expiringSoonSeconds": 0.001, "ttl": null
        });
        assert!(check(millis.clone()).is_ok());
        assert_eq!(check(millis), check(seconds));
    }

    #[test]
    fn every_field_is_checked_and_named() {
        for (change, field) in [
            (json!({"name": ""}), "name"),
            (json!({"name": "  "}), "name"),
            (json!({"name": "a\nb"}), "name"),
            (json!({"name": "x".repeat(201)}), "name"),
            (json!({"description": "x".repeat(2001)}), "description"),
            (json!({"description": "\u{0}"}), "description"),
            (json!({"stock": 0}), "stock"),
            (json!({"stock": 100_000_001}), "stock"),
            (json!({"stock": -1}), "-1"),
            (json!({"stock": "5"}), "u32"),
            (json!({"saleDate": "soon"}), "saleDate"),
            (json!({"price": 0}), "price"),
            (json!({"price": "12"}), "price"),
            (json!({"price": 0.5}), "price"),
            (json!({"currency": "EUR"}), "currency"),
            (json!({"price": 1, "currency": "???"}), "currency"),
            (json!({"ttlSeconds": 0}), "ttlSeconds"),
            (json!({"paymentWindowSeconds": -1}), "paymentWindowSeconds"),
            (json!({"expiringSoonSeconds": 1800}), "expiringSoonSeconds"),
            (json!({"ttl": 1.5}), "ttl"),
            (json!({"ttl": 0}), "ttl"),
            (json!({"ttl": 1000, "ttlSeconds": 1}), "not both"),
            (json!({"paymentWindow": "5"}), "paymentWindow"),
            (json!({"ttl": 1000, "expiringSoon": 1000}), "expiringSoon"),
            (json!({"limit": 0}), "limit"),
            (json!({"waitlist": -1}), "-1"),
            (json!({"colour": "red"}), "colour"),
            (json!({"colour": "red"}), "`stock`, `saleDate`"),
        ] {
            let message = check(change.clone()).expect_err(&change.to_string());
            assert!(message.contains(field), "{change}: {message}");
        }
    }

    #[test]
    fn the_longest_texts_are_taken() {
        assert!(check(json!({"name": "é".repeat(200), "description": "日".repeat(2000)})).is_ok());
    }
}
