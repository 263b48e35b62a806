//! Signs of random projections, certified: each bit is the sign of the canonical f64 product.
//!
//! **What is computed.** For a row x and projections r(0), r(1), ...: bit k is 1 where `canonical::dot(r(k), x) > 0`. Bits
//! are taken `tau` at a time, the first one lowest, into signatures of `tau` bits (SDIM, arXiv 2205.10249, section 3.1).
//! A row of zeros has no direction: its signatures are [`MASKED`].
//!
//! **How.** Vector bodies multiply in f32 first and keep the sign wherever it is beyond doubt; the few others (about
//! one in 20,000 at width 64) are settled by the canonical product. With u = 2^-24, D terms added by fused
//! multiply-adds in any order differ from the real number s = r.x by at most
//!
//! ```text
//! gamma_D sum|r_j x_j| + D 2^-149  <=  gamma_D ||r|| ||x|| + D 2^-149,     gamma_D = D u / (1 - D u)
//! ```
//!
//! and the canonical product by at most D 2^-52 ||r|| ||x||. The norm of x comes from an f32 sum of squares, which is
//! off by at most D u of itself, nearly, and by D 2^-149 where squares vanish, so ||x|| is at most sqrt(sum) (1 + D u) +
//! sqrt(D) 2^-74. Widths end at 65,536, where D u = 2^-8 and the sum of squares, over at least eight lanes, is off by
//! less than 2^-10. Hence a product whose magnitude exceeds
//!
//! ```text
//! 1.02 (D + 16) u max(||r||, 1) (sqrt(sum) + sqrt(D) 2^-74)
//! ```
//!
//! has the canonical sign: 1.02 covers 1 / (1 - D u), the norm and the four roundings of the bound itself; the term
//! with 2^-74 is above 2^-95 and covers both losses by underflow. Comparisons keep on doubt, so that an overflowing
//! sum of squares (infinite, or NaN) settles every bit canonically. Rows are finite (checked by the caller).
//!
//! **Why this shape is fast.** Projections lie in panels of 48 (three 512-bit vectors), coordinate by coordinate. Eight
//! rows by three vectors are 24 accumulators that live in registers: 3 loads and 8 broadcasts for 24 multiply-adds.

use crate::canonical;
use crate::dispatch;
use crate::isa::Isa;
use crate::memory::Aligned;

/// Rows that are hashed together.
pub const ROWS: usize = 8;

/// Projections of a panel.
pub const PANEL: usize = 48;

/// The signature of a row that has none: larger than any, so it matches nothing.
pub const MASKED: u32 = u32::MAX;

/// The largest number of bits of a signature.
pub const MAX_TAU: usize = 31;

/// The largest width; see the module's documentation.
pub const MAX_WIDTH: usize = 65_536;

/// Projections as the kernels read them.
#[derive(Clone, Debug)]
pub struct Projections {
    width: usize,
    tau: usize,
    groups: usize,
    /// Row after row.
    rows: Vec<f32>,
    /// For each panel and coordinate, the coordinate of its 48 projections; unused places are 0.
    panels: Aligned<f32>,
    /// What a row's norm is multiplied with.
    doubt: f32,
}

impl Projections {
    /// Packs `rows`, each `width` long; every `tau` of them make a signature.
    ///
    /// # Panics
    /// Where the sizes do not fit each other or their limits, or a norm is not below 2^30.
    #[must_use]
    pub fn new(rows: Vec<f32>, width: usize, tau: usize) -> Self {
        assert!((1..=MAX_WIDTH).contains(&width), "a width from 1 to {MAX_WIDTH}");
        assert!((1..=MAX_TAU).contains(&tau), "1 to {MAX_TAU} bits a signature");
        assert!(!rows.is_empty() && rows.len().is_multiple_of(width * tau), "whole signatures");
        let groups = rows.len() / (width * tau);
        let norm = rows.chunks_exact(width).map(|row| canonical::dot(row, row)).fold(0.0, f64::max).sqrt();
        assert!(norm < f64::from(1 << 30), "projections of moderate norms");
        let doubt = 1.02 * (width + 16) as f64 / f64::from(1 << 24) * norm.max(1.0);
        let mut packed =
            Self { width, tau, groups, rows, panels: Aligned::default(), doubt: (doubt as f32).next_up() };
        packed.panels = packed.pack();
        packed
    }

    fn pack(&self) -> Aligned<f32> {
        let per_panel = self.panel_bits();
        let mut panels = Aligned::zeroed(self.n_panels() * self.width * PANEL);
        for (k, row) in self.rows.chunks_exact(self.width).enumerate() {
            let panel = &mut panels[k / per_panel * self.width * PANEL..];
            for (coordinate, x) in panel.chunks_exact_mut(PANEL).zip(row) {
                coordinate[k % per_panel] = *x;
            }
        }
        panels
    }

    /// Width of the rows that are hashed.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Bits of a signature.
    #[must_use]
    pub fn tau(&self) -> usize {
        self.tau
    }

    /// Signatures of a row.
    #[must_use]
    pub fn groups(&self) -> usize {
        self.groups
    }

    /// The projections, row after row.
    #[must_use]
    pub fn rows(&self) -> &[f32] {
        &self.rows
    }

    /// Groups of a panel: no group straddles two.
    pub(crate) fn panel_groups(&self) -> usize {
        PANEL / self.tau
    }

    fn panel_bits(&self) -> usize {
        self.panel_groups() * self.tau
    }

    fn n_panels(&self) -> usize {
        self.groups.div_ceil(self.panel_groups())
    }

    /// The coordinates of panel `p`.
    pub(crate) fn panel(&self, p: usize) -> &[[f32; PANEL]] {
        &self.panels.as_chunks().0[p * self.width..][..self.width]
    }

    /// The groups of panel `p`.
    pub(crate) fn groups_of(&self, p: usize) -> std::ops::Range<usize> {
        let first = p * self.panel_groups();
        first..self.groups.min(first + self.panel_groups())
    }

    /// How far from 0 a product must be for its sign to be certain, from the sum of squares of a row.
    #[inline]
    pub(crate) fn doubt(&self, sum_of_squares: f32) -> f32 {
        const TINY: f32 = f32::from_bits((127 - 74) << 23);
        self.doubt * (sum_of_squares.sqrt() + (self.width as f32).sqrt() * TINY)
    }

    /// The projection behind bit `bit` of panel `p`.
    pub(crate) fn row(&self, p: usize, bit: usize) -> &[f32] {
        &self.rows[(p * self.panel_bits() + bit) * self.width..][..self.width]
    }

    /// Panels, as numbers.
    pub(crate) fn all_panels(&self) -> std::ops::Range<usize> {
        0..self.n_panels()
    }
}

/// The signatures of eight rows, row after row.
///
/// # Panics
/// Where a row has another width, `out` another length than eight times the groups, or this processor lacks `isa`.
pub fn signatures(isa: Isa, projections: &Projections, rows: [&[f32]; ROWS], out: &mut [u32]) {
    assert!(rows.iter().all(|row| row.len() == projections.width), "rows as wide as the projections");
    assert_eq!(out.len(), ROWS * projections.groups, "signatures of eight rows");
    dispatch::signatures(isa, projections, rows, out);
}

/// The definition.
pub(crate) fn signatures_scalar(projections: &Projections, rows: [&[f32]; ROWS], out: &mut [u32]) {
    for (row, out) in rows.into_iter().zip(out.chunks_exact_mut(projections.groups)) {
        if is_zero(row) {
            out.fill(MASKED);
            continue;
        }
        let groups = projections.rows.chunks_exact(projections.width * projections.tau);
        for (signature, group) in out.iter_mut().zip(groups) {
            let bits = group.chunks_exact(projections.width).map(|r| canonical::dot(r, row) > 0.0);
            *signature = bits.enumerate().fold(0, |word, (k, bit)| word | u32::from(bit) << k);
        }
    }
}

pub(crate) fn is_zero(row: &[f32]) -> bool {
    row.iter().all(|x| *x == 0.0)
}

/// The signatures of a panel, from its bits.
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled for the target features of its caller")]
pub(crate) fn unpack(bits: u64, tau: usize, out: &mut [u32]) {
    let mask = (1_u64 << tau) - 1;
    for (i, signature) in out.iter_mut().enumerate() {
        *signature = ((bits >> (i * tau)) & mask) as u32;
    }
}
