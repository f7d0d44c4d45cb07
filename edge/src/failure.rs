//! Where errors become answers: every refusal and every error of the edge is a [`Failure`], and this file
//! turns it into an RFC 7807 problem. What went wrong on our side is logged here, once.
//!
//! The codes are part of the contract (DESIGN §6, openapi.yaml): a problem's `type` ends in them.

use std::borrow::Cow;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ALLOW, CONNECTION, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use hyper::{Response, StatusCode};
use serde::Serialize;
use slot_core::ids::TraceId;
use slot_core::units::Invalid;
use slot_core::wire::Misshapen;

use crate::shapes::Slot;
use crate::shard::Trouble;

const TYPE_BASE: &str = "https://dopaminestore.example/problems/";

/// Declares each problem's code, status and title, once.
macro_rules! codes {
    ($($name:ident = $status:literal $code:literal $title:literal,)*) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Code { $($name,)* }

        impl Code {
            pub(crate) const fn status(self) -> u16 {
                match self { $(Self::$name => $status,)* }
            }
            pub(crate) const fn word(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }
            const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }
        }
    };
}
codes! {
    Validation = 400 "validation" "The request is not valid",
    Unauthorized = 401 "unauthorized" "Not authenticated",
    Forbidden = 403 "forbidden" "Not allowed",
    NotFound = 404 "not-found" "Not found",
    MethodNotAllowed = 405 "method-not-allowed" "This resource does not have that method",
    RequestTimeout = 408 "request-timeout" "The request took too long to arrive",
    SoldOut = 409 "sold-out" "Sold out",
    DuplicateSlot = 409 "duplicate-slot" "You already have a slot in this sale",
    Limit = 409 "limit" "Over the sale's limit of slots for one buyer",
    WaitlistFull = 409 "waitlist-full" "The waitlist is full",
    SaleNotStarted = 409 "sale-not-started" "The sale has not started",
    SalePaused = 409 "sale-paused" "The sale is paused",
    SaleClosed = 409 "sale-closed" "The sale is closed",
    SlotExpired = 409 "slot-expired" "The slot has expired",
    SlotAlreadyCompleted = 409 "slot-already-completed" "The slot is paid already",
    PaymentInProgress = 409 "payment-in-progress" "A payment for the slot is in progress",
    TooManyPayments = 409 "too-many-payments" "The slot has no payment attempt left",
    ProductUpdateConflict = 409 "product-update-conflict" "The product cannot be changed like that",
    ProductDeleteConflict = 409 "product-delete-conflict" "The product cannot be deleted now",
    LengthRequired = 411 "length-required" "A body needs a Content-Length",
    PayloadTooLarge = 413 "payload-too-large" "The body is too large",
    UnsupportedMediaType = 415 "unsupported-media-type" "The body must be JSON",
    AmountMismatch = 422 "amount-mismatch" "The amount is not the price",
    IdempotencyMismatch = 422 "idempotency-mismatch" "The idempotency key was used with other content",
    Internal = 500 "internal" "Something is wrong on our side",
    Backlog = 503 "backlog" "The sale is catching up",
    NotConfirmed = 503 "not-confirmed" "The outcome is not confirmed",
    Overloaded = 503 "overloaded" "Too many requests are waiting",
    Unavailable = 503 "unavailable" "The sale cannot be reached",
}

/// A refusal or an error, on its way to become a problem.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: Code,
    detail: Cow<'static, str>,
    retry_after: Option<u64>,
    allow: Option<&'static str>,
    close: bool,
    slot: Option<Box<Slot>>,
    /// What operators need to know and callers must not; logged where the problem is made.
    cause: Option<String>,
}

impl Failure {
    pub(crate) fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        let retry_after = (code.status() == 503).then_some(1);
        let detail = detail.into();
        Self { code, detail, retry_after, allow: None, close: false, slot: None, cause: None }
    }

    pub(crate) fn validation(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::Validation, detail)
    }

    pub(crate) fn not_found(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::NotFound, detail)
    }

    /// For what should not happen: the caller hears little, the log everything.
    pub(crate) fn internal(cause: impl Into<String>) -> Self {
        let mut failure =
            Self::new(Code::Internal, "please report this with the trace id; retrying is safe");
        failure.cause = Some(cause.into());
        failure
    }

    pub(crate) fn because(mut self, cause: impl Into<String>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    pub(crate) const fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    pub(crate) const fn allow(mut self, methods: &'static str) -> Self {
        self.allow = Some(methods);
        self
    }

    /// The connection can't be used further: part of the request is unread.
    pub(crate) const fn close(mut self) -> Self {
        self.close = true;
        self
    }

    pub(crate) fn with_slot(mut self, slot: Slot) -> Self {
        self.slot = Some(Box::new(slot));
        self
    }

    /// The problem as an answer; logs the cause if there is one.
    pub(crate) fn into_answer(self, trace: &TraceId) -> Response<Full<Bytes>> {
        if let Some(cause) = &self.cause {
            tracing::error!(
                event = "REQUEST_FAILED",
                traceId = trace.as_str(),
                code = self.code.word(),
                cause = cause.as_str()
            );
        }
        let problem = Problem {
            r#type: [TYPE_BASE, self.code.word()].concat(),
            title: self.code.title(),
            status: self.code.status(),
            detail: &self.detail,
            trace_id: trace.as_str(),
            slot: self.slot.as_deref(),
        };
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        let mut answer = Response::new(Full::new(Bytes::from(body)));
        *answer.status_mut() =
            StatusCode::from_u16(self.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = answer.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(methods) = self.allow {
            headers.insert(ALLOW, HeaderValue::from_static(methods));
        }
        if self.code == Code::Unauthorized {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if self.close {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        answer
    }
}

impl From<Invalid> for Failure {
    fn from(invalid: Invalid) -> Self {
        Self::validation(invalid.0)
    }
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Shed => Self::new(Code::Overloaded, "nothing was decided; ask again shortly"),
            Trouble::Unreachable => {
                Self::new(Code::Unavailable, "nothing was decided; ask again shortly")
            }
            Trouble::NotConfirmed => Self::new(
                Code::NotConfirmed,
                "ask again: if it was done, you get the same answer, never a second slot or payment",
            ),
            // What Redis says while it starts, fails over, moves a sale or has no memory left.
            Trouble::Refused(error) if PASSING.iter().any(|code| error.starts_with(code)) => {
                Self::new(Code::Unavailable, "nothing was decided; ask again shortly")
                    .because(error)
            }
            Trouble::Refused(error) => Self::internal(error),
            Trouble::Misshapen(what) => Self::internal(what),
        }
    }
}

/// Error codes of Redis that pass by themselves or with an operator's help.
const PASSING: &[&str] = &[
    "LOADING",
    "BUSY",
    "READONLY",
    "MASTERDOWN",
    "TRYAGAIN",
    "CLUSTERDOWN",
    "OOM",
    "MISCONF",
    "NOREPLICAS",
];

impl From<Misshapen> for Failure {
    fn from(misshapen: Misshapen) -> Self {
        Self::internal(misshapen.to_string())
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Problem<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    trace_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    slot: Option<&'a Slot>,
}
