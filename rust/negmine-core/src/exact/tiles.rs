//! Packed documents that an index keeps, and gives up where a call has no memory for them.

use std::sync::{Arc, Mutex, TryLockError};

use crate::scoring::pack::Tile;

/// Attempts to get at the tiles. The lock is held for the time of a pointer's copy, unless a fork left it locked.
const ATTEMPTS: usize = 1_000;

/// Tiles of a whole corpus; clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tiles(Arc<Mutex<Option<Arc<Vec<Tile>>>>>);

impl Tiles {
    /// Keeps `tiles`.
    pub(crate) fn keep(&self, tiles: &Arc<Vec<Tile>>) {
        self.exchange(|kept| *kept = Some(Arc::clone(tiles)));
    }

    /// The tiles, if they are kept. Where that cannot be known, none: they can be packed again.
    pub(crate) fn get(&self) -> Option<Arc<Vec<Tile>>> {
        self.exchange(|kept| kept.clone()).flatten()
    }

    /// Gives the memory back, once no other call uses it.
    pub(crate) fn release(&self) {
        // Freed after the lock.
        drop(self.exchange(Option::take));
    }

    fn exchange<T>(&self, with: impl FnOnce(&mut Option<Arc<Vec<Tile>>>) -> T) -> Option<T> {
        for _ in 0..ATTEMPTS {
            match self.0.try_lock() {
                Ok(mut kept) => return Some(with(&mut kept)),
                Err(TryLockError::Poisoned(kept)) => return Some(with(&mut kept.into_inner())),
                Err(TryLockError::WouldBlock) => std::thread::yield_now(),
            }
        }
        None
    }
}
