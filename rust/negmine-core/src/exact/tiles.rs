//! The packed tiles that an index keeps, and releases for a call whose memory limit has no room for them.

use std::sync::{Arc, Mutex, TryLockError};

use crate::scoring::pack::Tile;

/// The most attempts to lock the tiles. The lock is held only while a pointer is copied, unless a fork left it locked.
const ATTEMPTS: usize = 1_000;

/// Tiles of a whole corpus; clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tiles(Arc<Mutex<Option<Arc<Vec<Tile>>>>>);

impl Tiles {
    /// Keeps `tiles`.
    pub(crate) fn keep(&self, tiles: &Arc<Vec<Tile>>) {
        self.exchange(|kept| *kept = Some(Arc::clone(tiles)));
    }

    /// The tiles, if they are kept; `None` if the lock cannot be taken, since tiles can be packed again.
    pub(crate) fn get(&self) -> Option<Arc<Vec<Tile>>> {
        self.exchange(|kept| kept.clone()).flatten()
    }

    /// Releases the memory once no other call uses it.
    pub(crate) fn release(&self) {
        // The memory is freed after the lock is released.
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
