//! The floating-point environment in which results are defined, and a guard that sets it.
//!
//! Some libraries leave a thread in a mode where denormals are flushed to zero, and threads inherit it. Bounds would no
//! longer hold and bits would differ, so every computing thread takes a guard first. On x86-64 the mode is the MXCSR
//! register: rounding direction, flush-to-zero, denormals-are-zero, and exception masks. On 64-bit ARM it is FPCR, which
//! also has the default NaN and the alternative binary16. Elsewhere the guard does nothing.

use std::marker::PhantomData;

/// A guard: while it lives, this thread rounds to nearest, keeps denormals and masks all exceptions; dropping it
/// restores the previous mode.
///
/// It belongs to its thread: it is neither `Send` nor `Sync`. Guards may nest, the last one made being dropped first.
#[must_use = "the environment is restored when the guard is dropped"]
#[derive(Debug)]
pub struct DefaultFloatEnv {
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    saved: register::Mode,
    not_send: PhantomData<*const ()>,
}

impl DefaultFloatEnv {
    /// Saves this thread's mode and sets the default.
    #[inline]
    pub fn new() -> Self {
        DefaultFloatEnv {
            #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
            saved: register::replace(register::DEFAULT),
            not_send: PhantomData,
        }
    }
}

impl Default for DefaultFloatEnv {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for DefaultFloatEnv {
    #[inline]
    fn drop(&mut self) {
        #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
        register::replace(self.saved);
    }
}

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod register {
    use std::arch::asm;

    /// The value of MXCSR.
    pub(super) type Mode = u32;

    /// Round to nearest, no flush-to-zero, no denormals-are-zero, all exceptions masked and none raised.
    pub(super) const DEFAULT: Mode = 0x1f80;

    /// Sets MXCSR and returns its previous value.
    pub(super) fn replace(new: Mode) -> Mode {
        let mut old = 0_u32;
        // SAFETY: stores to and loads from two locals. Every x86-64 processor has MXCSR. `new` is the default, which is
        // the mode that compiled code assumes, or a value that this function has read from the register. The block
        // counts as reading and writing memory, so no memory access moves across it.
        unsafe {
            asm!(
                "stmxcsr [{old}]",
                "ldmxcsr [{new}]",
                old = in(reg) &raw mut old,
                new = in(reg) &raw const new,
                options(nostack),
            );
        }
        old
    }
}

#[cfg(target_arch = "aarch64")]
#[allow(unsafe_code)]
mod register {
    use std::arch::asm;

    /// The value of FPCR.
    pub(super) type Mode = u64;

    /// Round to nearest, no flush-to-zero, NaN payloads kept, IEEE binary16, no exception trapped.
    pub(super) const DEFAULT: Mode = 0;

    /// Sets FPCR and returns its previous value.
    pub(super) fn replace(new: Mode) -> Mode {
        let old;
        // SAFETY: reads and writes one register, which every 64-bit ARM processor has. `new` is the default, which is
        // the mode that compiled code assumes, or a value that this function has read from the register. The block
        // counts as reading and writing memory, so no memory access moves across it.
        unsafe {
            asm!("mrs {old}, fpcr", "msr fpcr, {new}", old = out(reg) old, new = in(reg) new, options(nostack))
        };
        old
    }
}
