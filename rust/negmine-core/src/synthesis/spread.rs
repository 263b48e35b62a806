//! Mean distances within groups of rows.

use negmine_kernels::canonical;

use crate::base::Result;
use crate::base::csr::CsrView;
use crate::base::matrix::Rows;
use crate::base::parallel::Run;

/// The mean Euclidean distance of two different members of each group; 0 for groups of fewer than two.
///
/// # Errors
/// Returns an error on members that are out of range or not ascending, values that are not finite, lack of memory, or an interrupt.
pub fn mean_distances(rows: &Rows<'_>, groups: CsrView<'_>, run: &Run<'_>) -> Result<Vec<f64>> {
    groups.check_rows("groups", rows.len(), false)?;
    let width = rows.width();
    let sums = run.map(
        groups.entries(),
        || [vec![0.0; width], vec![0.0; width]],
        |[own, other], place, ticker| {
            let group = groups.range(groups.holding(place));
            let own = rows.finite_row(run.isa, groups.items()[place] as usize, own)?;
            let mut sum = 0.0;
            for (number, row) in groups.items()[place + 1..group.end].iter().enumerate() {
                if number % 4096 == 0 {
                    ticker.check()?;
                }
                let other = rows.finite_row(run.isa, *row as usize, other)?;
                sum += canonical::squared_distance_with(run.isa, own, other).sqrt();
            }
            Ok(sum)
        },
    )?;
    let mean = |group: usize| {
        let range = groups.range(group);
        let n = range.len() as f64;
        if range.len() < 2 { 0.0 } else { sums[range].iter().sum::<f64>() / (n * (n - 1.0) / 2.0) }
    };
    Ok((0..groups.len()).map(mean).collect())
}

#[cfg(test)]
mod tests {
    use ndarray::array;
    use negmine_kernels::isa::Isa;

    use super::*;
    use crate::base::matrix::Elements;

    #[test]
    fn means_are_over_pairs_of_a_group() {
        let x = array![[0.0_f32, 0.0], [3.0, 4.0], [0.0, 1.0], [6.0, 8.0], [1.0, 1.0]];
        let rows = Rows::new("X", Elements::F32(x.view())).unwrap();
        let groups = CsrView::new("groups", &[0, 3, 3, 4], &[0, 1, 3, 4], 3).unwrap();
        let run = Run { threads: 2, isa: Isa::active().unwrap(), poll: &|_, _| false };
        assert_eq!(mean_distances(&rows, groups, &run).unwrap(), [(5.0 + 5.0 + 10.0) / 3.0, 0.0, 0.0]);
    }
}
