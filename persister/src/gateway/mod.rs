//! Who moves the money. A gateway is asked for a charge by its id, as often as need be, and charges once; it tells the
//! outcome by webhook to the edge, and whenever it is asked.
//!
//! Reading order: [`charges`] drives; [`stub`] and [`http`] are the gateways.

pub mod charges;
pub mod http;
pub mod stub;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use slot_core::ids::ChargeId;

use crate::config::{GatewayArgs, GatewayKind, read_secret};
use crate::failure::Failure;

/// What is to be charged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// The idempotency key.
    pub id: ChargeId,
    /// How much, in minor units.
    pub amount_minor: i64,
    /// Of which currency (ISO 4217).
    pub currency: String,
    /// CARD, BANK_TRANSFER or WALLET.
    pub method: String,
}

/// What a charge has come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The gateway has no such charge.
    Unknown,
    /// It is not decided yet.
    Pending,
    /// The money has moved.
    Success {
        /// The gateway's name for it.
        reference: String,
    },
    /// No money has moved, and none will.
    Failed {
        /// The gateway's words.
        reason: String,
    },
}

/// The gateway could not be asked, or gave no answer; it may have charged all the same.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("gateway: {0}")]
pub struct GatewayError(pub String);

/// A call to a gateway.
pub type Call<'a, T> = Pin<Box<dyn Future<Output = Result<T, GatewayError>> + Send + 'a>>;

/// A payment gateway.
pub trait Gateway: Send + Sync {
    /// Asks for a charge; the same id is charged once, however often it is asked for.
    fn charge<'a>(&'a self, charge: &'a Charge) -> Call<'a, ()>;

    /// Asks what a charge has come to.
    fn outcome<'a>(&'a self, id: &'a ChargeId) -> Call<'a, Outcome>;
}

/// The gateway that the command line names, if any.
///
/// # Errors
/// [`Failure::Usage`] where it lacks something.
pub fn from_args(args: &GatewayArgs) -> Result<Option<Arc<dyn Gateway>>, Failure> {
    let needed = |value: &Option<String>, flag: &str| {
        value.clone().ok_or_else(|| Failure::Usage(format!("this gateway needs {flag}")))
    };
    match args.gateway {
        GatewayKind::None => Ok(None),
        GatewayKind::Http => {
            let url = needed(&args.gateway_url, "--gateway-url")?;
            let webhook = needed(&args.gateway_webhook_url, "--gateway-webhook-url")?;
            Ok(Some(Arc::new(http::HttpGateway::new(&url, webhook)?)))
        }
        GatewayKind::Stub => {
            let webhook = needed(&args.gateway_webhook_url, "--gateway-webhook-url")?;
            let file = args.webhook_secret_file.as_deref().ok_or_else(|| {
                Failure::Usage("this gateway needs --webhook-secret-file".to_owned())
            })?;
            let odds = stub::Odds {
                latency_ms: args.stub_latency_ms,
                success: args.stub_success_rate,
                lost_webhook: args.stub_lost_webhook_rate,
                timeout: args.stub_timeout_rate,
            };
            Ok(Some(Arc::new(stub::StubGateway::new(odds, webhook, read_secret(file)?)?)))
        }
    }
}
