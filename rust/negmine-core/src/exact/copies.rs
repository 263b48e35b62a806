//! Rows with the same values: they are found by a hash, compared value by value, and represented by the first of them.

use negmine_kernels::isa::Isa;
use negmine_kernels::sketch::splitmix;

use crate::base::Result;
use crate::base::matrix::Rows;
use crate::base::memory::{push, with_capacity, zeros};
use crate::base::parallel::Run;
use crate::base::sort::sort;
use crate::base::union_find::Link;

/// Rows that are hashed between two checks for an interrupt.
const ROWS_PER_ITEM: usize = 64;

/// Rows that are compared between two checks for an interrupt.
const ROWS_PER_CHECK: usize = 64;

/// The most bytes per row that the search for copies takes at a time: keys, as many again while they are sorted, a
/// link, and a mark.
pub(crate) const BYTES_PER_ROW: usize = 2 * size_of::<(u64, u32)>() + size_of::<Link>() + 1;

/// The rows of a matrix that are neither zero nor copies of an earlier row.
pub(crate) struct Distinct {
    /// The rows, ascending.
    pub(crate) rows: Vec<u32>,
    /// The other rows, unless zero, with the first row of the same values, in any order.
    pub(crate) copies: Vec<Link>,
}

/// Finds the distinct rows.
///
/// # Errors
/// Returns an error on a value that is not finite, lack of memory, or an interrupt.
pub(crate) fn distinct(rows: &Rows<'_>, run: &Run<'_>) -> Result<Distinct> {
    let n = rows.len();
    let mut keys = hashes(rows, run)?;
    sort(&mut keys, run)?;
    let mut first: Vec<u8> = zeros(n)?;
    let (mut copies, mut buffers) = (Vec::new(), [vec![0.0; rows.width()], vec![0.0; rows.width()]]);
    let mut compared = 0_usize;
    for same_hash in keys.chunk_by(|a, b| a.0 == b.0) {
        let a = same_hash[0].1;
        first[a as usize] = 1;
        for &(_, b) in &same_hash[1..] {
            if compared.is_multiple_of(ROWS_PER_CHECK) {
                run.tick(n, n)?;
            }
            compared += 1;
            // Other values of the same hash only cost time: such a row is compared like every distinct one.
            if equal(rows, run.isa, a, b, &mut buffers) {
                push(&mut copies, Link { a, b, similarity: 1.0 })?;
            } else {
                first[b as usize] = 1;
            }
        }
    }
    drop(keys);
    let mut firsts = with_capacity(first.iter().map(|&mark| usize::from(mark)).sum())?;
    firsts.extend((0_u32..).zip(&first).filter(|(_, mark)| **mark == 1).map(|(row, _)| row));
    Ok(Distinct { rows: firsts, copies })
}

/// The hash and the number of every row that is not zero.
fn hashes(rows: &Rows<'_>, run: &Run<'_>) -> Result<Vec<(u64, u32)>> {
    let n = rows.len();
    let parts = run.map(
        n.div_ceil(ROWS_PER_ITEM),
        || vec![0.0; rows.width()],
        |buffer, item, _| {
            let own = item * ROWS_PER_ITEM..n.min((item + 1) * ROWS_PER_ITEM);
            let mut keys = Vec::with_capacity(own.len());
            for row in own {
                let values = rows.finite_row(run.isa, row, buffer)?;
                if values.iter().any(|&x| x != 0.0) {
                    keys.push((hash(values), row as u32));
                }
            }
            Ok(keys)
        },
    )?;
    let mut keys = with_capacity(parts.iter().map(Vec::len).sum())?;
    keys.extend(parts.into_iter().flatten());
    Ok(keys)
}

/// A hash of the bits of some values, by four independent chains, since a single one waits for every step.
fn hash(values: &[f32]) -> u64 {
    let mut lanes = [1_u64, 2, 3, 4];
    let (blocks, rest) = values.as_chunks::<8>();
    for block in blocks {
        for (lane, pair) in lanes.iter_mut().zip(block.as_chunks::<2>().0) {
            *lane = splitmix(*lane ^ (u64::from(pair[0].to_bits()) | u64::from(pair[1].to_bits()) << 32));
        }
    }
    let rest = rest.iter().fold(0, |hash, x| splitmix(hash ^ u64::from(x.to_bits())));
    lanes.iter().fold(rest, |hash, lane| splitmix(hash ^ lane))
}

fn equal(rows: &Rows<'_>, isa: Isa, a: u32, b: u32, [first, second]: &mut [Vec<f32>; 2]) -> bool {
    let (a, b) = (rows.row(isa, a as usize, first), rows.row(isa, b as usize, second));
    a.iter().zip(b).all(|(x, y)| x.to_bits() == y.to_bits())
}
