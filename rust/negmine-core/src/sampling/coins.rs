//! A seeded coin per row and epoch.

use crate::base::Result;
use crate::base::memory::with_capacity;
use crate::base::philox::{Draws, Stream, unit};

/// Whether the coin of each row shows heads, which has the probability of the row. A coin depends on seed, epoch and row
/// alone.
///
/// # Errors
/// Returns an error on lack of memory.
pub fn coins(rows: &[i64], probabilities: &[f64], seed: u64, epoch: u64) -> Result<Vec<bool>> {
    let draws = Draws::new(seed, Stream::Coin);
    let mut heads = with_capacity(rows.len())?;
    heads.extend(
        rows.iter()
            .zip(probabilities)
            .map(|(&row, &p)| unit(draws.by_document(epoch, 0, row as u64, None)) < p),
    );
    Ok(heads)
}
