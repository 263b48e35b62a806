//! Finite f32 values from the fuzzer's bytes.

use arbitrary::{Result, Unstructured};

/// A kind of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, arbitrary::Arbitrary)]
pub enum Kind {
    /// Small integers: exact products, many ties and zeros.
    Integers,
    /// Between -1 and 1, in steps of 1/128.
    Steps,
    /// Of any magnitude, denormals included.
    Wild,
    /// Any bits.
    Bits,
    /// About 1,000: small differences of large norms.
    Far,
}

impl Kind {
    /// A value; NaN and infinity of arbitrary bits become 0.
    ///
    /// # Errors
    /// Returns the errors of the fuzzer's bytes.
    pub fn value(self, bytes: &mut Unstructured<'_>) -> Result<f32> {
        let byte = |bytes: &mut Unstructured<'_>| bytes.arbitrary::<i8>();
        Ok(match self {
            Self::Integers => f32::from(byte(bytes)? % 3),
            Self::Steps => f32::from(byte(bytes)?) / 128.0,
            Self::Wild => {
                let (mantissa, exponent) = (byte(bytes)?, byte(bytes)?);
                // From the least denormal to 2^127.
                let exponent = (i32::from(exponent) * 9 / 8 - 22).clamp(-149, 120);
                (f64::from(mantissa) * 2.0_f64.powi(exponent)) as f32
            }
            Self::Bits => {
                let x = f32::from_bits(bytes.arbitrary()?);
                if x.is_finite() { x } else { 0.0 }
            }
            Self::Far => 1_000.0 + f32::from(byte(bytes)?) / 128.0,
        })
    }

    /// Rows of values, one after another; without bytes left, values repeat those before.
    ///
    /// # Errors
    /// Returns the errors of the fuzzer's bytes.
    pub fn values(self, n: usize, bytes: &mut Unstructured<'_>) -> Result<Vec<f32>> {
        let mut out = Vec::with_capacity(n);
        while out.len() < n && !bytes.is_empty() {
            out.push(self.value(bytes)?);
        }
        if out.is_empty() {
            out.resize(n, 1.0);
        }
        // A period that no width divides gives rows that differ.
        for place in out.len()..n {
            out.push(out[place * 7 % place.min(61)]);
        }
        Ok(out)
    }
}
