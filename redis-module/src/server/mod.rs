//! The server's C interface, and the only files that call it besides kind.rs and sweeper.rs.

pub(crate) mod api;
pub(crate) mod effects;
pub(crate) mod key;
pub(crate) mod state;
pub(crate) mod stream;
pub(crate) mod text;
