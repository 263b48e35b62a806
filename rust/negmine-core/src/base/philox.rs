//! Philox4x64-10: every draw is a pure function of (seed, stream, epoch, query row, document row).
//!
//! Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC 2011. `NumPy`'s `Philox` gives the
//! same numbers for the same key and a counter whose first word is one lower.

use super::Result;
use super::memory::with_capacity;

const MULTIPLIER: [u64; 2] = [0xD2E7_470E_E14C_6C93, 0xCA5A_8263_9512_1157];
const WEYL: [u64; 2] = [0x9E37_79B9_7F4A_7C15, 0xBB67_AE85_84CA_A73B];
const ROUNDS: usize = 10;

/// The purposes of draws; each has its own stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Stream {
    /// Choosing from a pool.
    Select = 1,
    /// Random negatives in addition to the mined ones.
    NumRandom = 2,
    /// The order of an epoch.
    Order = 3,
    /// Choosing among items of groups.
    SelectItems = 4,
    /// Random negatives of a sampler.
    Sampler = 5,
    /// Corrupted triples.
    Corrupt = 6,
    /// Coins of rows.
    Coin = 7,
    /// Parents and steps of interpolated rows.
    Oversample = 9,
    /// Vectors of shells.
    Shell = 10,
    /// Replays of a memory of examples.
    Memory = 11,
    /// The order of a context.
    PackContext = 12,
    /// Initial rows of clusterings.
    Seeding = 16,
    /// The order of clusters in an epoch.
    ClusterOrder = 24,
    /// Topics of batches.
    Topics = 25,
    /// Classes of batches, and their rows.
    Classes = 26,
    /// Pairs by margin.
    Pairs = 27,
    /// Random projections.
    Projections = 32,
    /// Hash functions of sketches.
    Sketches = 33,
}

/// Draws of one seed and stream.
#[derive(Clone, Copy, Debug)]
pub struct Draws {
    key: [u64; 2],
}

impl Draws {
    /// The draws of `seed` on `stream`.
    #[must_use]
    pub fn new(seed: u64, stream: Stream) -> Self {
        Self { key: [seed, stream as u64] }
    }

    /// The draw of one document for one query in one epoch; `positive` is the positive's row under
    /// `reference="each"`, else `None`.
    #[must_use]
    pub fn by_document(&self, epoch: u64, query: u64, document: u64, positive: Option<i64>) -> u64 {
        philox(self.key, [entry(positive).wrapping_add(1), document, query, epoch])[0]
    }

    /// Draw number `t` of one query in one epoch.
    #[must_use]
    pub fn by_number(&self, epoch: u64, query: u64, positive: Option<i64>, t: u64) -> u64 {
        philox(self.key, [1 + t / 4, entry(positive), query, epoch])[(t % 4) as usize]
    }

    /// The first `n` draws by number of one query in one epoch.
    ///
    /// # Errors
    /// Returns an error on lack of memory.
    pub fn numbers(&self, epoch: u64, query: u64, n: usize) -> Result<Vec<u64>> {
        let mut numbers = with_capacity(n)?;
        numbers.extend((0..n as u64).map(|t| self.by_number(epoch, query, None, t)));
        Ok(numbers)
    }

    /// The four numbers of one counter, which equals `NumPy`'s counter after its increment.
    #[must_use]
    pub fn block(&self, counter: [u64; 4]) -> [u64; 4] {
        philox(self.key, counter)
    }
}

/// The counter word of a positive: 0 if there is none, and also 0 for -1, a positive outside the corpus.
fn entry(positive: Option<i64>) -> u64 {
    positive.map_or(0, |row| row.wrapping_add(1) as u64)
}

/// A draw as a number strictly between 0 and 1, in [2^-53, 1 - 2^-53].
#[must_use]
pub fn unit(x: u64) -> f64 {
    const SCALE: f64 = 1.0 / (1_u64 << 52) as f64;
    ((x >> 12) as f64 + 0.5) * SCALE
}

/// A draw as a number below `n`: the high half of the 128-bit product.
#[must_use]
pub fn below(x: u64, n: u64) -> u64 {
    ((u128::from(x) * u128::from(n)) >> 64) as u64
}

fn philox(mut key: [u64; 2], mut c: [u64; 4]) -> [u64; 4] {
    for round in 0..ROUNDS {
        if round > 0 {
            key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
        }
        let a = u128::from(MULTIPLIER[0]) * u128::from(c[0]);
        let b = u128::from(MULTIPLIER[1]) * u128::from(c[2]);
        c = [((b >> 64) as u64) ^ c[1] ^ key[0], b as u64, ((a >> 64) as u64) ^ c[3] ^ key[1], a as u64];
    }
    c
}

/// `SplitMix64`, for many cheap numbers in one order where nothing asks for a single one of them.
///
/// Steele, Lea, Flood: "Fast splittable pseudorandom number generators", OOPSLA 2014.
pub(crate) struct SplitMix(pub(crate) u64);

impl SplitMix {
    /// The next number.
    pub(crate) fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(WEYL[0]);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_splitmix() {
        let mut numbers = SplitMix(1_234_567);
        let got: Vec<u64> = (0..5).map(|_| numbers.draw()).collect();
        // As other implementations of it give from that seed.
        let expected = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
            4_593_380_528_125_082_431,
            16_408_922_859_458_223_821,
        ];
        assert_eq!(got, expected);
    }

    #[test]
    fn golden_draws_by_document() {
        let draw = |seed, stream: u64, epoch, query, document, positive| {
            Draws { key: [seed, stream] }.by_document(epoch, query, document, positive)
        };
        assert_eq!(draw(0, 0, 0, 0, 0, None), 0x02f4_ba64_08e4_d89b);
        assert_eq!(draw(42, 1, 0, 0, 0, None), 0x7199_65f2_debb_5c86);
        assert_eq!(draw(42, 1, 3, 7, 123_456_789, None), 0xf0bf_7d48_a7e2_c207);
        assert_eq!(draw(42, 1, 3, 123_456_789, 7, None), 0x9a51_f473_669a_b9f0);
        let far = (1 << 63) - 1;
        assert_eq!(draw(u64::MAX, 2, (1 << 32) - 1, far, far, None), 0x2531_a1eb_c0c2_831a);
        assert_eq!(draw(42, 1, 0, 7, 123, Some(5)), 0x64c7_2c73_957f_9edd);
    }

    #[test]
    fn golden_draws_by_number() {
        let draws = Draws::new(42, Stream::NumRandom);
        let got: Vec<u64> = (0..5).map(|t| draws.by_number(0, 7, None, t)).collect();
        let expected = [
            0x0c89_ac06_f01d_8e29,
            0x5236_1720_67d2_27de,
            0x51ea_68a0_1879_be83,
            0xc1ce_d940_5ede_0965,
            0x10bc_ab2b_ed6c_b3f1,
        ];
        assert_eq!(got, expected);
    }

    #[test]
    fn the_unit_interval_is_open() {
        assert!(unit(0) > 0.0);
        assert!(unit(u64::MAX) < 1.0);
    }
}
