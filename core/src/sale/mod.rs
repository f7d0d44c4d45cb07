//! The sale.
