//! Sizes of the steps: `first` steps of `large` rows, then steps of `small` ones, or the rows that are left out.

/// How rows are cut into steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) steps: usize,
    first: usize,
    large: usize,
    small: usize,
    /// Whether the rows after the last step are left out.
    spare: bool,
}

impl Shape {
    /// `steps` steps of `n` rows: full ones and a rest where that many suffice, otherwise sizes as equal as possible.
    pub(super) fn new(n: usize, size: usize, steps: usize) -> Self {
        if steps <= n.div_ceil(size) {
            Self { steps, first: n / size, large: size, small: (n % size).max(1), spare: false }
        } else {
            Self { steps, first: n % steps, large: n / steps + 1, small: n / steps, spare: false }
        }
    }

    /// `steps` full steps of `n` rows; the others are left out.
    pub(super) fn dropping(n: usize, size: usize, steps: usize) -> Self {
        Self { steps, first: steps, large: size, small: n - steps * size, spare: true }
    }

    /// Number of parts of the rows: the steps, and after them the rows that are left out.
    pub(super) fn parts(&self) -> usize {
        self.steps + usize::from(self.spare)
    }

    /// Whether the rows of a part are left out.
    #[inline]
    pub(super) fn is_out(&self, part: u32) -> bool {
        part as usize >= self.steps
    }

    /// Number of rows in steps.
    pub(super) fn held(&self) -> usize {
        self.range(self.steps).start
    }

    /// Where step `s` begins and ends among the positions.
    pub(super) fn range(&self, s: usize) -> std::ops::Range<usize> {
        let begin = |s: usize| s.min(self.first) * self.large + s.saturating_sub(self.first) * self.small;
        begin(s)..begin(s + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        let sizes = |n, size, steps| -> Vec<usize> {
            let shape = Shape::new(n, size, steps);
            (0..steps).map(|s| shape.range(s).len()).collect()
        };
        assert_eq!(sizes(10, 4, 3), [4, 4, 2]);
        assert_eq!(sizes(12, 4, 3), [4, 4, 4]);
        assert_eq!(sizes(10, 4, 4), [3, 3, 2, 2]);
        assert_eq!(sizes(8, 4, 4), [2, 2, 2, 2]);
        assert_eq!(sizes(3, 4, 1), [3]);
        assert_eq!(sizes(3, 4, 3), [1, 1, 1]);
        let dropping = Shape::dropping(10, 3, 2);
        assert_eq!((dropping.parts(), dropping.held(), dropping.range(2)), (3, 6, 6..10));
    }
}
