//! Detection and choice of vector instruction sets.
//!
//! One process uses one instruction set, [`Isa::active`]: the best that is available, or one that the environment
//! variable `NEGMINE_ISA` forces. It can be forced down, never up: an instruction set that the processor lacks is an
//! error that names those it has. Kernels do not read the active choice; they take an [`Isa`] and check that it is
//! available (one relaxed load and a bit test), so a safe caller can never reach an instruction that faults.

use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};

/// The name of the environment variable that forces an instruction set.
pub const ENVIRONMENT: &str = "NEGMINE_ISA";

/// A set of vector instructions, in ascending order of preference; no processor has those of two architectures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Isa {
    /// Portable code: the reference for tests, and the code for other architectures.
    Scalar,
    /// AVX2, FMA and F16C: int8 dot products through 16-bit products.
    Avx2,
    /// AVX2, FMA, F16C and AVX-VNNI: 256-bit int8 dot products in the encoding of processors without AVX-512, which some
    /// with AVX-512 have too.
    AvxVnni,
    /// AVX-512 as below, with 256-bit int8 dot products.
    Vnni256,
    /// AVX-512 F, BW, DQ, VL and VNNI on 512-bit vectors.
    Avx512,
    /// NEON, which every 64-bit ARM processor has: int8 dot products through 16-bit products.
    Neon,
    /// NEON with the instructions of the dotprod extension: int8 dot products by `sdot`.
    NeonDotprod,
}

/// One bit for each available instruction set; 0 means "not detected yet", since `Scalar` is always available.
static AVAILABLE: AtomicU8 = AtomicU8::new(0);

/// The active instruction set plus 1; 0 means "not chosen yet". Written once.
static ACTIVE: AtomicU8 = AtomicU8::new(0);

impl Isa {
    /// Every instruction set, in ascending order of preference.
    pub const ALL: [Isa; 7] =
        [Isa::Scalar, Isa::Avx2, Isa::AvxVnni, Isa::Vnni256, Isa::Avx512, Isa::Neon, Isa::NeonDotprod];

    /// The lower-case name: `scalar`, `avx2`, `avxvnni`, `vnni256`, `avx512`, `neon` or `neon_dotprod`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Isa::Scalar => "scalar",
            Isa::Avx2 => "avx2",
            Isa::AvxVnni => "avxvnni",
            Isa::Vnni256 => "vnni256",
            Isa::Avx512 => "avx512",
            Isa::Neon => "neon",
            Isa::NeonDotprod => "neon_dotprod",
        }
    }

    /// The instruction set of that name, whether or not this processor has it.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Isa> {
        Isa::ALL.into_iter().find(|isa| isa.name() == name)
    }

    /// Whether this processor has the instruction set.
    #[inline]
    #[must_use]
    pub fn is_available(self) -> bool {
        available_bits() & self.bit() != 0
    }

    /// The instruction sets of this processor, in ascending order of preference; the first is always `Scalar`.
    #[must_use]
    pub fn available() -> Vec<Isa> {
        Isa::ALL.into_iter().filter(|isa| isa.is_available()).collect()
    }

    /// The highest instruction set of this processor.
    #[must_use]
    pub fn best() -> Isa {
        Isa::ALL.into_iter().rfind(|isa| isa.is_available()).unwrap_or(Isa::Scalar)
    }

    /// The instruction set of this process: [`Isa::best`] unless `NEGMINE_ISA` forces one. The variable is read by
    /// the first call that succeeds; later changes have no effect.
    ///
    /// # Errors
    /// If `NEGMINE_ISA` holds a name that is unknown or an instruction set that this processor lacks.
    pub fn active() -> Result<Isa, IsaError> {
        if let Some(isa) = Isa::ALL.into_iter().find(|isa| ACTIVE.load(Ordering::Relaxed) == *isa as u8 + 1) {
            return Ok(isa);
        }
        let requested = std::env::var_os(ENVIRONMENT).map(|name| name.to_string_lossy().into_owned());
        let isa = Isa::choose(requested.as_deref())?;
        match ACTIVE.compare_exchange(0, isa as u8 + 1, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => Ok(isa),
            // Another thread chose first, and its choice is used.
            Err(chosen) => Ok(Isa::ALL.into_iter().find(|isa| *isa as u8 + 1 == chosen).unwrap_or(isa)),
        }
    }

    /// The choice of [`Isa::active`] for a value of `NEGMINE_ISA`; an empty value counts as absent.
    ///
    /// # Errors
    /// As [`Isa::active`].
    pub fn choose(requested: Option<&str>) -> Result<Isa, IsaError> {
        match requested.map(str::trim) {
            None | Some("") => Ok(Isa::best()),
            Some(name) => Isa::from_name(name)
                .filter(|isa| isa.is_available())
                .ok_or_else(|| IsaError { requested: name.to_owned(), available: Isa::available() }),
        }
    }

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// `NEGMINE_ISA` asks for an instruction set that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IsaError {
    /// The value of the variable.
    pub requested: String,
    /// The detected instruction sets, in ascending order of preference.
    pub available: Vec<Isa>,
}

impl fmt::Display for IsaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let available: Vec<&str> = self.available.iter().map(|isa| isa.name()).collect();
        let (available, requested) = (available.join(", "), &self.requested);
        write!(f, "`{ENVIRONMENT}` must be one of {available} on this processor; got {requested:?}.")
    }
}

impl std::error::Error for IsaError {}

#[inline]
fn available_bits() -> u8 {
    match AVAILABLE.load(Ordering::Relaxed) {
        0 => detect(),
        bits => bits,
    }
}

#[cold]
fn detect() -> u8 {
    let bits = Isa::Scalar.bit() | detect_vector();
    AVAILABLE.store(bits, Ordering::Relaxed);
    bits
}

#[cfg(target_arch = "x86_64")]
fn detect_vector() -> u8 {
    let mut bits = 0;
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c")
    {
        bits |= Isa::Avx2.bit();
        if is_x86_feature_detected!("avxvnni") {
            bits |= Isa::AvxVnni.bit();
        }
        let avx512 = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512vnni");
        if avx512 {
            bits |= Isa::Vnni256.bit() | Isa::Avx512.bit();
        }
    }
    bits
}

#[cfg(target_arch = "aarch64")]
fn detect_vector() -> u8 {
    use std::arch::is_aarch64_feature_detected;

    let mut bits = 0;
    // The kernels read four codes as one little-endian word.
    if cfg!(target_endian = "little") && is_aarch64_feature_detected!("neon") {
        bits |= Isa::Neon.bit();
        if is_aarch64_feature_detected!("dotprod") {
            bits |= Isa::NeonDotprod.bit();
        }
    }
    bits
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn detect_vector() -> u8 {
    0
}
