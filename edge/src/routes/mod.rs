//! One family of routes per file.

pub(crate) mod health;
pub(crate) mod metrics;
pub(crate) mod openapi;
pub(crate) mod payments;
pub(crate) mod place;
pub(crate) mod products;
pub(crate) mod sale;
pub(crate) mod slots;
pub(crate) mod webhook;
