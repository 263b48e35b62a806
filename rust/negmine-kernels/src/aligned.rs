//! Aligned buffers on huge pages, and prefetch hints, for crates that forbid `unsafe`.
//!
//! A vector load that crosses a cache line costs two loads, so panels should start at a multiple of 64 bytes, which
//! `Vec` does not promise; [`Aligned`] does. Scattered reads of a large buffer miss the translation cache as well as
//! the data caches; from [`LARGE`] on, a buffer starts at the boundary of a huge page and asks the system for such
//! pages (Linux; elsewhere, or if the system declines, it is an ordinary buffer).

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

/// Bytes of a cache line, and the minimum alignment of a buffer.
pub const LINE: usize = 64;

/// Bytes of a huge page; buffers of at least this size are aligned to it.
pub const LARGE: usize = 2 << 20;

/// A number type without padding, for which all bits are a valid value. Sealed.
pub trait Plain: Copy + Default + Send + Sync + sealed::Sealed + 'static {}

mod sealed {
    pub trait Sealed {}
}

macro_rules! plain {
    ($($type:ty),*) => {$(
        impl sealed::Sealed for $type {}
        impl Plain for $type {}
    )*};
}
plain!(u8, i8, u16, i32, u32, i64, u64, f32, f64);

/// The bytes of numbers, in this machine's order, to be read from a file.
#[must_use]
pub fn as_bytes_mut<T: Plain>(numbers: &mut [T]) -> &mut [u8] {
    let bytes = size_of_val(numbers);
    // SAFETY: the numbers have no padding and all bits are valid for them; the slice covers exactly their memory, and
    // borrows it.
    unsafe { std::slice::from_raw_parts_mut(numbers.as_mut_ptr().cast::<u8>(), bytes) }
}

/// A buffer of fixed length that starts at a multiple of 64 bytes. It reads and writes as a slice.
pub struct Aligned<T: Plain> {
    start: NonNull<T>,
    len: usize,
    /// Bytes of the allocation before `start`.
    before: usize,
    owned: PhantomData<T>,
}

// SAFETY: the buffer is owned and reached through references only, like a `Vec`, and its elements are `Send`.
unsafe impl<T: Plain> Send for Aligned<T> {}
// SAFETY: as above; shared references give shared slices, and the elements are `Sync`.
unsafe impl<T: Plain> Sync for Aligned<T> {}

impl<T: Plain> Aligned<T> {
    /// A buffer of `len` zeros.
    ///
    /// # Panics
    /// If the size in bytes overflows.
    #[must_use]
    pub fn zeroed(len: usize) -> Self {
        Self::try_zeroed(len).unwrap_or_else(|| handle_alloc_error(layout::<T>(len)))
    }

    /// The same, or `None` if the system refuses the memory.
    #[must_use]
    pub fn try_zeroed(len: usize) -> Option<Self> {
        let layout = try_layout::<T>(len)?;
        if layout.size() == 0 {
            return Some(Aligned { start: NonNull::dangling(), len, before: 0, owned: PhantomData });
        }
        // SAFETY: the layout has a size.
        let base = NonNull::new(unsafe { alloc_zeroed(layout) })?;
        let before = if is_large::<T>(len) { base.align_offset(LARGE) } else { 0 };
        // SAFETY: a large allocation is longer than the buffer by `LARGE` bytes, and the offset of an aligned address
        // is less.
        let start = unsafe { base.add(before) };
        prefer_large_pages(start, len * size_of::<T>());
        Some(Aligned { start: start.cast(), len, before, owned: PhantomData })
    }
}

impl<T: Plain> Deref for Aligned<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        // SAFETY: `start` is aligned and points to `len` elements, initialized as zeros, or `len` is 0.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl<T: Plain> DerefMut for Aligned<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as in `deref`; the exclusive reference to the buffer makes this the only one to its elements.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

impl<T: Plain> Drop for Aligned<T> {
    fn drop(&mut self) {
        let layout = layout::<T>(self.len);
        if layout.size() != 0 {
            // SAFETY: `zeroed` allocated it with this layout, which depends on the length alone, `before` bytes before
            // the start.
            unsafe { dealloc(self.start.as_ptr().cast::<u8>().sub(self.before), layout) };
        }
    }
}

impl<T: Plain> Clone for Aligned<T> {
    fn clone(&self) -> Self {
        let mut copy = Aligned::zeroed(self.len);
        copy.copy_from_slice(self);
        copy
    }
}

impl<T: Plain> Default for Aligned<T> {
    fn default() -> Self {
        Aligned::zeroed(0)
    }
}

impl<T: Plain> fmt::Debug for Aligned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Aligned").field("len", &self.len).finish_non_exhaustive()
    }
}

fn layout<T: Plain>(len: usize) -> Layout {
    try_layout::<T>(len).expect("a buffer that can be addressed")
}

/// The layout of an allocation. A large one is not aligned by the allocator, which would write its zeros at once and
/// keep the caller from answering signals; the system hands out zeroed pages when they are first touched.
fn try_layout<T: Plain>(len: usize) -> Option<Layout> {
    let array = Layout::array::<T>(len).ok()?;
    if is_large::<T>(len) {
        let size = array.size().checked_add(LARGE)?;
        return Layout::from_size_align(size, array.align()).ok();
    }
    array.align_to(LINE).ok()
}

fn is_large<T: Plain>(len: usize) -> bool {
    len.saturating_mul(size_of::<T>()) >= LARGE
}

/// A vector of zeros for results that the caller will own. A large one is on huge pages: with small pages, most of the
/// first write would be spent waiting for the system to hand them out one at a time.
///
/// # Panics
/// If the size in bytes overflows.
#[must_use]
pub fn zeros<T: Plain>(len: usize) -> Vec<T> {
    try_zeros(len).unwrap_or_else(|| handle_alloc_error(layout::<T>(len)))
}

/// The same, or `None` if the system refuses the memory.
#[must_use]
pub fn try_zeros<T: Plain>(len: usize) -> Option<Vec<T>> {
    let layout = Layout::array::<T>(len).ok()?;
    if layout.size() == 0 {
        return Some(Vec::new());
    }
    // SAFETY: the layout has a size.
    let start = NonNull::new(unsafe { alloc_zeroed(layout) })?;
    prefer_large_pages(start, layout.size());
    let items = NonNull::slice_from_raw_parts(start.cast::<T>(), len);
    // SAFETY: the global allocator gave `start` for this layout, which is that of a boxed slice of `len` items; all of
    // them are initialized, as all bits zero is a value of a plain number.
    Some(unsafe { Box::from_raw(items.as_ptr()) }.into_vec())
}

/// Asks for huge pages before the first write decides on small ones.
fn prefer_large_pages(start: NonNull<u8>, bytes: usize) {
    #[cfg(target_os = "linux")]
    {
        let before = start.as_ptr().align_offset(LARGE);
        let whole_pages = bytes.saturating_sub(before) / LARGE * LARGE;
        if whole_pages > 0 {
            // SAFETY: advice on pages that lie wholly inside an allocation of ours, so the first of them does too; it
            // changes no contents, and a refusal has no effect.
            unsafe { libc::madvise(start.as_ptr().add(before).cast(), whole_pages, libc::MADV_HUGEPAGE) };
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (start, bytes);
}

/// Asks the processor to fetch a row that will be read soon, with one request per cache line. The call reads nothing
/// and does not wait; on a processor without such an instruction it does nothing.
///
/// The hint names the L2 cache, not L1: a row of 1.5 KB fills every slot that L1 has for outstanding lines, and every
/// other read then waits (measured on scattered rows of 384 f32, Zen 4: two thirds of the time).
#[inline]
pub fn prefetch<T: Plain>(row: &[T]) {
    let last = row.last().map(std::ptr::from_ref);
    for address in row.iter().step_by(LINE / size_of::<T>()).map(std::ptr::from_ref).chain(last) {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: every x86-64 processor has the instruction, and it accesses nothing.
        unsafe {
            std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T1 }>(address.cast());
        }
        #[cfg(target_arch = "aarch64")]
        // SAFETY: every 64-bit ARM processor has the instruction, and it accesses nothing.
        unsafe {
            std::arch::asm!("prfm pldl2keep, [{}]", in(reg) address, options(nostack, readonly, preserves_flags));
        }
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
        let _ = address;
    }
}
