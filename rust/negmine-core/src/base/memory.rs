//! Fallible allocation: results can be as large as memory, and a lack of memory must be an error instead of the end of
//! the process.

use negmine_kernels::aligned::{self, Aligned, Plain};

use super::{Error, Result};

/// Reserves capacity for `additional` items.
///
/// # Errors
/// Returns [`Error::Allocation`].
#[inline]
pub fn reserve<T>(items: &mut Vec<T>, additional: usize) -> Result<()> {
    if items.capacity() - items.len() < additional {
        grow(items, additional)?;
    }
    Ok(())
}

#[cold]
fn grow<T>(items: &mut Vec<T>, additional: usize) -> Result<()> {
    items.try_reserve(additional).map_err(|_| refused::<T>(items.len().saturating_add(additional)))
}

/// Appends one item.
///
/// # Errors
/// Returns [`Error::Allocation`].
#[inline]
pub fn push<T>(items: &mut Vec<T>, item: T) -> Result<()> {
    reserve(items, 1)?;
    items.push(item);
    Ok(())
}

/// An empty vector with room for `len` items.
///
/// # Errors
/// Returns [`Error::Allocation`].
pub fn with_capacity<T>(len: usize) -> Result<Vec<T>> {
    let mut items = Vec::new();
    items.try_reserve_exact(len).map_err(|_| refused::<T>(len))?;
    Ok(items)
}

/// A vector of `len` zeros.
///
/// # Errors
/// Returns [`Error::Allocation`].
pub fn zeros<T: Plain>(len: usize) -> Result<Vec<T>> {
    aligned::try_zeros(len).ok_or_else(|| refused::<T>(len))
}

/// An aligned buffer of `len` zeros, for kernels.
///
/// # Errors
/// Returns [`Error::Allocation`].
pub fn aligned_zeros<T: Plain>(len: usize) -> Result<Aligned<T>> {
    Aligned::try_zeroed(len).ok_or_else(|| refused::<T>(len))
}

/// Checks that the system can allocate `bytes` bytes now, and releases them: for work that allocates them in pieces
/// that are too small and too many for separate checks.
///
/// # Errors
/// Returns [`Error::Allocation`].
pub fn ensure_available(bytes: usize) -> Result<()> {
    with_capacity::<u8>(bytes).map(drop)
}

/// A copy of `items`.
///
/// # Errors
/// Returns [`Error::Allocation`].
pub fn copied<T: Copy>(items: &[T]) -> Result<Vec<T>> {
    let mut copy = with_capacity(items.len())?;
    copy.extend_from_slice(items);
    Ok(copy)
}

/// The error of an allocation of `len` items that failed.
pub(crate) fn refused<T>(len: usize) -> Error {
    Error::Allocation { bytes: len.saturating_mul(size_of::<T>()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_had_is_an_error() {
        let bytes = usize::MAX / 16;
        assert_eq!(with_capacity::<u64>(bytes / 8).err(), Some(Error::Allocation { bytes: bytes / 8 * 8 }));
        assert_eq!(with_capacity::<u64>(usize::MAX).err(), Some(Error::Allocation { bytes: usize::MAX }));
        let mut items = vec![1_u8];
        assert_eq!(reserve(&mut items, bytes), Err(Error::Allocation { bytes: bytes + 1 }));
        assert_eq!(push(&mut items, 2), Ok(()));
        assert_eq!(copied(&items), Ok(vec![1, 2]));
    }
}
