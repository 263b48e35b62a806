//! Nearest behaviors by Hamming distance of signatures (ETA: Chen and others, arXiv 2108.04468).

use crate::base::csr::Offsets;
use crate::base::error::check_length;
use crate::base::parallel::Run;
use crate::base::{Error, Result};
use crate::sketch::MASKED;

/// The `k` nearest rows of each candidate's own list by Hamming distance, nearest first, ties by row; -1 beyond a
/// list's end. A row with [`MASKED`] signatures is never among them, and a candidate with such signatures has no
/// neighbors.
///
/// # Errors
/// Returns an error on lengths that do not fit, or an interrupt.
pub fn nearest(
    groups: usize,
    candidates: (&[u32], &Offsets),
    behaviors: (&[u32], &Offsets),
    k: usize,
    run: &Run<'_>,
) -> Result<Vec<i64>> {
    let ((candidate_words, of_candidates), (behavior_words, of_behaviors)) = (candidates, behaviors);
    if groups == 0 {
        return Err(Error::Value { argument: "groups", rule: "at least 1", got: "0".to_owned() });
    }
    check_length("candidates", of_candidates.entries() * groups, candidate_words.len())?;
    check_length("behaviors", of_behaviors.entries() * groups, behavior_words.len())?;
    check_length("candidates", of_behaviors.len(), of_candidates.len())?;
    let found = run.map(of_candidates.len(), Vec::new, |keys: &mut Vec<u64>, list, ticker| {
        let rows = of_behaviors.range(list);
        let mut found = Vec::with_capacity(of_candidates.range(list).len() * k);
        for candidate in of_candidates.range(list) {
            ticker.check()?;
            let candidate = &candidate_words[candidate * groups..][..groups];
            keys.clear();
            if candidate[0] != MASKED {
                for (row, words) in
                    rows.clone().zip(behavior_words[rows.start * groups..].chunks_exact(groups))
                {
                    if words[0] != MASKED {
                        let distance: u32 =
                            words.iter().zip(candidate).map(|(a, b)| (a ^ b).count_ones()).sum();
                        keys.push(u64::from(distance) << 32 | row as u64);
                    }
                }
            }
            let n = k.min(keys.len());
            if n > 0 && n < keys.len() {
                keys.select_nth_unstable(n - 1);
            }
            keys[..n].sort_unstable();
            found.extend(keys[..n].iter().map(|key| i64::from(*key as u32)));
            found.resize(found.len() + k - n, -1);
        }
        Ok(found)
    })?;
    Ok(found.concat())
}

#[cfg(test)]
mod tests {
    use negmine_kernels::isa::Isa;

    use super::*;

    #[test]
    fn nearest_first_ties_by_row_masked_rows_never() {
        let run = Run { threads: 2, isa: Isa::active().unwrap(), poll: &|_, _| false };
        let behaviors = [0b111, 0b001, MASKED, 0b000, 0b010, 0b000, 0b110];
        let lists = Offsets::new("offsets", &[0, 6, 7], 7).unwrap();
        let candidates = Offsets::new("offsets", &[0, 2, 3], 3).unwrap();
        let got = nearest(1, (&[0b000, MASKED, 0b111], &candidates), (&behaviors, &lists), 4, &run).unwrap();
        assert_eq!(got, [3, 5, 1, 4, -1, -1, -1, -1, 6, -1, -1, -1]);
    }
}
