//! Sums of products of finite f64 values without any rounding, as integers in units of 2^-1280.

use std::cmp::Ordering;

/// Words of 64 bits: products are below 2^1152, and sums of 2^60 of them still have a sign.
const WORDS: usize = 40;

/// A product is a multiple of 2^-UNIT.
const UNIT: i32 = 1_280;

/// Words of a product of up to four factors of 53 bits each, shifted by less than a word.
const PRODUCT: usize = 5;

/// An exact sum, in two's complement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sum([u64; WORDS]);

impl Default for Sum {
    fn default() -> Self {
        Self([0; WORDS])
    }
}

impl Sum {
    /// Adds the product of up to four finite factors.
    ///
    /// # Panics
    /// If the product needs bits below the unit or above the words, or a factor is not finite.
    pub fn add(&mut self, factors: &[f64]) {
        assert!(factors.len() <= 4, "at most four factors");
        let mut words = [0_u64; PRODUCT];
        words[0] = 1;
        let (mut exponent, mut negative) = (UNIT, false);
        for &factor in factors {
            let (mantissa, power) = split(factor);
            if mantissa == 0 {
                return;
            }
            negative ^= factor.is_sign_negative();
            exponent += power;
            let mut carry = 0;
            for word in &mut words {
                let product = u128::from(*word) * u128::from(mantissa) + carry;
                (*word, carry) = (product as u64, product >> 64);
            }
            assert_eq!(carry, 0, "a product of that many bits");
        }
        let place = usize::try_from(exponent).expect("no bits below the unit");
        let (first, shift) = (place / 64, place % 64);
        let mut carry = u64::from(negative);
        let mut before = 0;
        for i in 0..WORDS - first {
            // The word of the product, shifted, and negated if the product is negative.
            let word = words.get(i).copied().unwrap_or(0);
            let shifted = if shift == 0 { word } else { word << shift | before >> (64 - shift) };
            before = word;
            let signed = if negative { !shifted } else { shifted };
            let (sum, over) = self.0[first + i].overflowing_add(signed);
            let (sum, again) = sum.overflowing_add(carry);
            self.0[first + i] = sum;
            carry = u64::from(over) + u64::from(again);
            if i > PRODUCT && carry == u64::from(negative) {
                // Above the product, all ones with a carry or all zeros without one change nothing.
                break;
            }
        }
    }

    /// Adds another sum.
    pub fn add_sum(&mut self, other: &Self) {
        let mut carry = false;
        for (word, more) in self.0.iter_mut().zip(other.0) {
            let (sum, over) = word.overflowing_add(more);
            let (sum, again) = sum.overflowing_add(u64::from(carry));
            (*word, carry) = (sum, over || again);
        }
    }

    fn is_negative(&self) -> bool {
        self.0[WORDS - 1] >> 63 == 1
    }

    /// The sum without its sign.
    #[must_use]
    pub fn magnitude(&self) -> Self {
        let mut out = *self;
        if self.is_negative() {
            let mut carry = true;
            for word in &mut out.0 {
                (*word, carry) = (!*word).overflowing_add(u64::from(carry));
            }
        }
        out
    }
}

impl PartialOrd for Sum {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Sum {
    fn cmp(&self, other: &Self) -> Ordering {
        let signs = other.is_negative().cmp(&self.is_negative());
        signs.then_with(|| self.0.iter().rev().cmp(other.0.iter().rev()))
    }
}

/// The mantissa without trailing zeros, and the power of two: |x| = mantissa * 2^power.
fn split(x: f64) -> (u64, i32) {
    assert!(x.is_finite(), "a finite factor");
    let bits = x.to_bits();
    let (field, fraction) = ((bits >> 52 & 0x7ff) as i32, bits & ((1 << 52) - 1));
    let (mantissa, power) = if field == 0 { (fraction, -1_074) } else { (fraction | 1 << 52, field - 1_075) };
    if mantissa == 0 {
        return (0, 0);
    }
    let zeros = mantissa.trailing_zeros();
    (mantissa >> zeros, power + zeros as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(terms: &[&[f64]]) -> Sum {
        let mut sum = Sum::default();
        for factors in terms {
            sum.add(factors);
        }
        sum
    }

    #[test]
    fn sums_keep_every_bit() {
        let tiny = f64::from(f32::from_bits(1));
        let huge = f64::from(f32::MAX);
        let all = sum(&[&[huge, huge], &[tiny, tiny], &[-huge, huge]]);
        assert_eq!(all, sum(&[&[tiny, tiny]]));
        assert_eq!(sum(&[&[huge, huge], &[huge, -huge]]), Sum::default());
        assert!(sum(&[&[-tiny, tiny]]) < Sum::default());
        assert!(sum(&[&[0.1, 0.1, 10.0]]) > sum(&[&[0.1]]));
        assert_eq!(sum(&[&[-3.0], &[1.0]]).magnitude(), sum(&[&[2.0]]));
        assert_eq!(sum(&[&[0.0, 5.0]]), Sum::default());
    }

    #[test]
    fn sums_agree_with_integers() {
        let mut state = 1_u64;
        for _ in 0..2_000 {
            let (mut exact, mut expected) = (Sum::default(), 0_i128);
            for _ in 0..20 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let (a, b) = ((state >> 40) as i32 - (1 << 23), (state << 24 >> 40) as i32 - (1 << 23));
                exact.add(&[f64::from(a), f64::from(b)]);
                expected += i128::from(a) * i128::from(b);
            }
            // Two factors of 2^53 hold every such sum.
            let (high, low) = ((expected >> 30) as f64, (expected & ((1 << 30) - 1)) as f64);
            assert_eq!(exact, sum(&[&[high, f64::from(1 << 30)], &[low]]));
        }
    }
}
