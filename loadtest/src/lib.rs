//! The stack starter.
