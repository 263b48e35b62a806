//! What every kernel test needs: awkward widths, the instruction sets at hand, and reproducible rows.
#![allow(dead_code, reason = "each test binary uses its own part")]

use negmine_kernels::Isa;

/// Widths around every vector, unroll and block length.
pub(crate) const WIDTHS: [usize; 23] =
    [0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 97, 127, 128, 129, 384, 768, 1000];

/// Runs the test on every instruction set of this processor.
pub(crate) fn for_each_isa(mut test: impl FnMut(Isa)) {
    for isa in Isa::available() {
        test(isa);
    }
}

/// Splitmix64: enough for test data.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// The next 64 bits.
    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.bits() % n as u64) as usize
    }

    /// Uniform in [-1, 1).
    pub(crate) fn signed(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
    }

    /// A finite f32 of any exponent, denormals and zeros of both signs included.
    pub(crate) fn any_finite(&mut self) -> f32 {
        loop {
            let bits = self.bits();
            let x = match bits >> 60 {
                0 => f32::from_bits(bits as u32 & 0x8000_0000),
                1 => f32::from_bits(bits as u32 & 0x807f_ffff),
                _ => f32::from_bits(bits as u32),
            };
            if x.is_finite() {
                return x;
            }
        }
    }

    /// A code in [-127, 127].
    pub(crate) fn code(&mut self) -> i8 {
        ((self.bits() % 255) as i16 - 127) as i8
    }

    /// A row of numbers in [-1, 1) times `scale`.
    pub(crate) fn row(&mut self, width: usize, scale: f32) -> Vec<f32> {
        (0..width).map(|_| self.signed() * scale).collect()
    }

    /// A row of codes in [-127, 127].
    pub(crate) fn codes(&mut self, width: usize) -> Vec<i8> {
        (0..width).map(|_| self.code()).collect()
    }
}
