//! A set that answers for most rows that it does not hold them.

/// Bits of a filter.
const BITS: usize = 4096;

/// One bit per hash of a row: a row whose bit is not set is not in the set.
///
/// Bloom: "Space/time trade-offs in hash coding with allowable errors", CACM 1970, with one hash.
pub(super) struct Filter(Box<[u64; BITS / 64]>);

impl Filter {
    /// The filter of some rows.
    pub(super) fn new(rows: &[i64]) -> Self {
        let mut words = Box::new([0; BITS / 64]);
        for &row in rows {
            let bit = bit(row as u32);
            words[bit / 64] |= 1 << (bit % 64);
        }
        Self(words)
    }

    /// Whether a row may be one of them; `false` is certain.
    #[inline]
    pub(super) fn may_hold(&self, row: u32) -> bool {
        let bit = bit(row);
        self.0[bit / 64] >> (bit % 64) & 1 == 1
    }
}

/// The bit of a row: the high bits of the product with 2^32 divided by the golden ratio.
#[inline]
fn bit(row: u32) -> usize {
    (row.wrapping_mul(0x9E37_79B9) >> (u32::BITS - BITS.trailing_zeros())) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_rows_are_held_and_few_others() {
        let rows: Vec<i64> = (0..100).map(|row| row * row).collect();
        let filter = Filter::new(&rows);
        assert!(rows.iter().all(|&row| filter.may_hold(row as u32)));
        assert!((10_000..20_000).filter(|&row| filter.may_hold(row)).count() < 400);
        assert!(!(0..1000).any(|row| Filter::new(&[]).may_hold(row)));
    }
}
