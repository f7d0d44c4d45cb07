//! The whole state as bytes: RDB, SLOT.LOAD (AOF rewrite, rebuild), DUMP and COPY, and what the digest is
//! taken of. An encoding once released stays readable; a new one takes the next version.

use super::state::{PaymentState, PlaceState, Sale};
use crate::units::Invalid;

/// The encoding that this build writes.
pub const BLOB_VERSION: u32 = 1;

impl Sale {
    /// The state as bytes of version [`BLOB_VERSION`]. The same events give the same bytes everywhere.
    #[must_use]
    pub fn to_blob(&self) -> Vec<u8> {
        // Serialising into a Vec fails only for lengths that are not known in advance; ours are.
        postcard::to_allocvec(self).unwrap_or_default()
    }

    /// Reads a state.
    ///
    /// # Errors
    /// [`Invalid`] where the version is unknown, or the bytes are cut short, changed, or hold a state that no
    /// events can have made.
    pub fn from_blob(version: u32, blob: &[u8]) -> Result<Self, Invalid> {
        if version != BLOB_VERSION {
            return Err(Invalid("the sale's encoding version is unknown: it needs a newer module"));
        }
        let (mut sale, rest) = postcard::take_from_bytes::<Self>(blob)
            .map_err(|_| Invalid("the sale's bytes are corrupt"))?;
        if !rest.is_empty() {
            return Err(Invalid("the sale's bytes go on after its end"));
        }
        sale.rebuild_index();
        let held = sale.index.active.saturating_add(sale.index.completed);
        let payments_fit = sale
            .payments
            .iter()
            .all(|(arrival, list)| sale.place(*arrival).is_some() && list.len() <= 255);
        let pending_fit = sale.payments.iter().all(|(arrival, list)| {
            let pending = list.iter().filter(|p| p.state == PaymentState::Pending).count();
            let active = sale.place(*arrival).is_some_and(|p| p.state == PlaceState::Active);
            pending == 0 || (pending == 1 && active && sale.pending(*arrival).is_some())
        });
        if held > sale.terms.total || !pending_fit || !payments_fit || sale.last_number.0 == 0 {
            return Err(Invalid("the sale's bytes hold a state that breaks its rules"));
        }
        Ok(sale)
    }

    /// A hash over the whole state: equal exactly where the states are.
    #[must_use]
    pub fn digest(&self) -> blake3::Hash {
        blake3::hash(&self.to_blob())
    }
}
