//! The edge from the outside, over HTTP, in front of a real Redis with the module.

#![cfg(test)]

mod refusals;
mod sale;
mod shop;
mod trouble;
mod webhook;
