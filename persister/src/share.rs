//! Which sales are this writer's: those whose cluster hash slot modulo the number of writers is its number,
//! wherever they live (DESIGN §7).

use slot_core::ids::ProductId;

/// One writer's part of the sales.
#[derive(Debug, Clone, Copy)]
pub struct Share {
    /// This writer, from 0.
    pub writer: u32,
    /// Of how many.
    pub writers: u32,
}

impl Share {
    /// Whether the sale is this writer's.
    #[must_use]
    pub fn owns(&self, product: &ProductId) -> bool {
        self.writers <= 1
            || u32::from(hash_slot(product)).checked_rem(self.writers) == Some(self.writer)
    }
}

/// The sale's hash slot in a Redis cluster: CRC16 (XMODEM) of what stands between the braces, modulo 16384.
#[must_use]
pub fn hash_slot(product: &ProductId) -> u16 {
    let mut crc: u16 = 0;
    for byte in product.to_string().bytes() {
        crc ^= u16::from(byte) << 8;
        for _ in 0..8 {
            crc = if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 };
        }
    }
    crc & 0x3fff
}

#[cfg(test)]
mod tests {
    use super::*;
    use slot_core::units::UnixMillis;

    #[test]
    fn the_hash_slot_is_that_of_cluster_keyslot() {
        // CLUSTER KEYSLOT slot:{019aac42-887b-8000-8000-070000000000} on Redis 7.0.
        let product = ProductId::parse("019aac42-887b-8000-8000-070000000000").unwrap();
        assert_eq!(hash_slot(&product), 2893);
    }

    #[test]
    fn every_sale_has_exactly_one_writer() {
        let mut counts = [0; 3];
        for random in 0..300 {
            let product = ProductId::new(UnixMillis(1_763_827_200_123 + random), random << 30);
            let owners: Vec<u32> =
                (0..3).filter(|&writer| Share { writer, writers: 3 }.owns(&product)).collect();
            assert_eq!(owners.len(), 1);
            counts[owners[0] as usize] += 1;
        }
        assert!(counts.iter().all(|&count| count > 50), "{counts:?}");
    }
}
