//! The hash chain over a sale's lines (R13): whoever holds the last hash can check every event before it.
//!
//! hash n = first 16 bytes of BLAKE3(hash n−1 ‖ line n); hash 0 = first 16 bytes of BLAKE3(product id),
//! the product id as its 16 bytes. Next: sale/mod.rs.

use serde::{Deserialize, Serialize};
use std::fmt;

use crate::ids::ProductId;
use crate::units::Invalid;

/// The hash of an event and, through it, of all before it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ChainHash([u8; 16]);

impl ChainHash {
    /// The name that PRODUCT_CREATED gives this algorithm.
    pub const ALGORITHM: &'static str = "BLAKE3-128";

    /// Hash 0: where the chain of a product begins.
    #[must_use]
    pub fn origin(product: &ProductId) -> Self {
        Self::first_half(&blake3::hash(product.as_bytes()))
    }

    /// The hash of the event with this line, which follows the event with this hash.
    #[must_use]
    pub fn next(&self, line: &[u8]) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.0);
        hasher.update(line);
        Self::first_half(&hasher.finalize())
    }

    fn first_half(hash: &blake3::Hash) -> Self {
        let mut half = [0; 16];
        for (to, from) in half.iter_mut().zip(hash.as_bytes()) {
            *to = *from;
        }
        Self(half)
    }

    /// The hash's bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// A hash from its bytes, as they come out of the database.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The hash as 32 lower-case hex digits, as in the stream's field `c`.
    #[must_use]
    pub fn to_hex(&self) -> [u8; 32] {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or(b'?');
        let mut text = [0; 32];
        for (pair, byte) in text.as_chunks_mut::<2>().0.iter_mut().zip(self.0) {
            *pair = [digit(byte >> 4), digit(byte & 15)];
        }
        text
    }

    /// Reads 32 lower-case hex digits.
    ///
    /// # Errors
    /// [`Invalid`] where it is anything else.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        const FORM: Invalid = Invalid("a chain hash must be 32 lower-case hex digits");
        if text.len() != 32 || text.bytes().any(|b| b.is_ascii_uppercase() || b == b'+') {
            return Err(FORM);
        }
        u128::from_str_radix(text, 16).map(|n| Self(n.to_be_bytes())).map_err(|_| FORM)
    }
}

impl fmt::Display for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChainHash({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::UnixMillis;

    #[test]
    fn r13_the_chain_is_blake3_over_the_hash_before_and_the_line() {
        let product = ProductId::new(UnixMillis(1_763_827_200_123), 7);
        let origin = ChainHash::origin(&product);
        assert_eq!(origin.as_bytes()[..], blake3::hash(product.as_bytes()).as_bytes()[..16]);
        let mut input = origin.as_bytes().to_vec();
        input.extend_from_slice(b"1 1 SALE_PAUSED 5 - - -");
        let next = origin.next(b"1 1 SALE_PAUSED 5 - - -");
        assert_eq!(next.as_bytes()[..], blake3::hash(&input).as_bytes()[..16]);
        assert_ne!(origin.next(b"1 1 SALE_PAUSED 6 - - -"), next);
    }

    #[test]
    fn hex_goes_both_ways() {
        let hash = ChainHash::from_bytes(*b"\x00\x01\xfeABCDEFGHIJKLM");
        assert_eq!(std::str::from_utf8(&hash.to_hex()), Ok(hash.to_string().as_str()));
        assert_eq!(ChainHash::parse(&hash.to_string()), Ok(hash));
        for bad in ["", "00", &"g".repeat(32), &"A".repeat(32), &format!("+{}", "0".repeat(31))] {
            assert!(ChainHash::parse(bad).is_err());
        }
    }
}
