//! `SimHash` in scalar code: packed projections, and the definition of signatures. `crate::simhash` derives the
//! constants.

use std::convert::Infallible;

use super::canonical;
use crate::aligned::Aligned;

/// The most rows that are hashed together.
pub const MAX_ROWS: usize = 64;

/// Projections of a panel.
pub const PANEL: usize = 48;

/// Coordinates that are rounded together.
pub(crate) const BLOCK: usize = 32;

/// The signature of a row that has none: larger than any, so it matches nothing.
pub const MASKED: u32 = u32::MAX;

/// The largest number of bits of a signature.
pub const MAX_TAU: usize = 31;

/// The largest width; `crate::simhash` gives the reason.
pub const MAX_WIDTH: usize = 65_536;

/// The norm that rows and projections are scaled to before they are rounded.
const NORM: f64 = 32_000.0;

/// By how much a row's norm may exceed [`NORM`].
const REACH: f64 = 1.0 + 1.0 / 256.0;

/// The largest rounding error of a row's code.
const STEP: f64 = 0.503;

/// Sums of squares between which a row is scaled: 2^-100 and 2^126.
pub(crate) const SCALED: [f32; 2] = [f32::from_bits((127 - 100) << 23), f32::from_bits((127 + 126) << 23)];

/// [`NORM`] as kernels use it.
pub(crate) const NORM_F32: f32 = NORM as f32;

/// Projections as the kernels read them.
#[derive(Clone, Debug)]
pub struct Projections {
    width: usize,
    tau: usize,
    groups: usize,
    /// Row after row.
    rows: Vec<f32>,
    /// For each panel and pair of coordinates, the codes of its 48 projections, the first coordinate in the low half;
    /// unused places are 0.
    panels: Aligned<u32>,
    /// The magnitude that a product of codes must exceed for its sign to be certain.
    doubt_of_codes: i32,
    /// The factor of a row's norm in the f32 error bound.
    doubt: f32,
}

impl Projections {
    /// Packs `rows`, each `width` long; every `tau` of them make a signature.
    ///
    /// # Panics
    /// If the sizes contradict each other or exceed their limits, or if a norm is not below 2^30.
    #[must_use]
    pub fn new(rows: Vec<f32>, width: usize, tau: usize) -> Self {
        match Self::checked(rows, width, tau, &mut || Ok::<(), Infallible>(())) {
            Ok(projections) => projections,
            Err(never) => match never {},
        }
    }

    /// [`Projections::new`], with a call of `check` for every row of every pass over the rows.
    ///
    /// # Errors
    /// The error of `check`.
    ///
    /// # Panics
    /// As [`Projections::new`].
    pub fn checked<E>(
        rows: Vec<f32>,
        width: usize,
        tau: usize,
        check: &mut dyn FnMut() -> Result<(), E>,
    ) -> Result<Self, E> {
        assert!((1..=MAX_WIDTH).contains(&width), "a width from 1 to {MAX_WIDTH}");
        assert!((1..=MAX_TAU).contains(&tau), "1 to {MAX_TAU} bits a signature");
        assert!(!rows.is_empty() && rows.len().is_multiple_of(width * tau), "whole signatures");
        let groups = rows.len() / (width * tau);
        let mut largest = 0.0_f64;
        for row in rows.chunks_exact(width) {
            check()?;
            largest = largest.max(canonical::dot(row, row));
        }
        let norm = largest.sqrt();
        assert!(norm < f64::from(1 << 30), "projections of moderate norms");
        let doubt = 1.02 * (width + 16) as f64 / f64::from(1 << 24) * norm.max(1.0);
        let mut packed = Self {
            width,
            tau,
            groups,
            rows,
            panels: Aligned::default(),
            doubt_of_codes: 0,
            doubt: (doubt as f32).next_up(),
        };
        packed.pack(check)?;
        Ok(packed)
    }

    /// Fills the panels and measures the rounding error.
    fn pack<E>(&mut self, check: &mut dyn FnMut() -> Result<(), E>) -> Result<(), E> {
        let (per_panel, pairs) = (self.panel_bits(), self.pairs());
        let mut panels = Aligned::zeroed(self.n_panels() * pairs * PANEL);
        let mut doubt = 0.0_f64;
        for (k, row) in self.rows.chunks_exact(self.width).enumerate() {
            check()?;
            let norm = canonical::dot(row, row).sqrt();
            let scale = if norm > 0.0 { NORM / norm } else { 0.0 };
            let (mut squares, mut lost) = (0.0, 0.0);
            let mut code = |x: f32| {
                let exact = scale * f64::from(x);
                let rounded = exact.round();
                squares += rounded * rounded;
                lost += (rounded - exact) * (rounded - exact);
                rounded as i16 as u16
            };
            let panel = &mut panels[k / per_panel * pairs * PANEL..];
            for (words, pair) in panel.chunks_exact_mut(PANEL).zip(row.chunks(2)) {
                let (low, high) = (code(pair[0]), pair.get(1).map_or(0, |x| code(*x)));
                words[k % per_panel] = u32::from(low) | u32::from(high) << 16;
            }
            doubt = doubt.max(STEP * (self.width as f64 * squares).sqrt() + NORM * REACH * lost.sqrt());
        }
        self.panels = panels;
        // The roundings of the bound itself are below 2^-30 of it.
        self.doubt_of_codes = (doubt * (1.0 + 1e-6)) as i32 + 1;
        Ok(())
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

    /// Pairs of coordinates; the last one may be half empty.
    fn pairs(&self) -> usize {
        self.width.div_ceil(2)
    }

    /// The codes of panel `p`.
    pub(crate) fn panel(&self, p: usize) -> &[[u32; PANEL]] {
        &self.panels.as_chunks().0[p * self.pairs()..][..self.pairs()]
    }

    /// Words of a row's codes: whole blocks of 32 coordinates.
    pub(crate) fn stride(&self) -> usize {
        self.width.next_multiple_of(BLOCK) / 2
    }

    /// A buffer for the codes of [`MAX_ROWS`] rows.
    #[must_use]
    pub fn scratch(&self) -> Aligned<u32> {
        Aligned::zeroed(MAX_ROWS * self.stride())
    }

    /// The magnitude that a product of codes must exceed for its sign to be certain.
    #[inline]
    pub(crate) fn doubt_of_codes(&self) -> i32 {
        self.doubt_of_codes
    }

    /// The groups of panel `p`.
    pub(crate) fn groups_of(&self, p: usize) -> std::ops::Range<usize> {
        let first = p * self.panel_groups();
        first..self.groups.min(first + self.panel_groups())
    }

    /// The magnitude that an f32 product must exceed for its sign to be certain, from the sum of squares of a row.
    #[inline]
    pub(crate) fn doubt(&self, sum_of_squares: f32) -> f32 {
        const TINY: f32 = f32::from_bits((127 - 74) << 23);
        self.doubt * (sum_of_squares.sqrt() + (self.width as f32).sqrt() * TINY)
    }

    /// The projection behind bit `bit` of panel `p`.
    pub(crate) fn row(&self, p: usize, bit: usize) -> &[f32] {
        &self.rows[(p * self.panel_bits() + bit) * self.width..][..self.width]
    }

    /// The range of panel numbers.
    pub(crate) fn all_panels(&self) -> std::ops::Range<usize> {
        0..self.n_panels()
    }
}

/// [`crate::simhash::signatures`]: the definition.
pub(crate) fn signatures(projections: &Projections, rows: &[&[f32]], out: &mut [u32]) -> u64 {
    let mut unsure = 0;
    for (r, (row, out)) in rows.iter().zip(out.chunks_exact_mut(projections.groups)).enumerate() {
        unsure |= u64::from(row.iter().any(|x| !x.is_finite())) << r;
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
    unsure
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
