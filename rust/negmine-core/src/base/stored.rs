//! Types of elements as they are stored, in memory or in a file.

/// An element type of more than one byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wide {
    /// float32
    F32,
    /// float64
    F64,
    /// float16
    F16,
    /// bfloat16
    Bf16,
}

/// The order of an element's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteOrder {
    /// The byte order of this machine.
    Native,
    /// The opposite byte order.
    Swapped,
}

impl Wide {
    /// Bytes of an element.
    #[must_use]
    pub fn size(self) -> usize {
        match self {
            Self::F64 => 8,
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
        }
    }

    /// An element from its bytes in this machine's order, missing ones being 0.
    pub(crate) fn read(self, bytes: [u8; 8]) -> f64 {
        let [a, b, c, d, ..] = bytes;
        match self {
            Self::F64 => f64::from_ne_bytes(bytes),
            Self::F32 => f64::from(f32::from_ne_bytes([a, b, c, d])),
            Self::F16 => half::f16::from_ne_bytes([a, b]).to_f64(),
            Self::Bf16 => half::bf16::from_ne_bytes([a, b]).to_f64(),
        }
    }
}

/// The type of stored elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// A type of more than one byte.
    Wide(Wide, ByteOrder),
    /// int8
    I8,
    /// uint8
    U8,
}

impl Stored {
    /// Bytes of an element.
    #[must_use]
    pub fn size(self) -> usize {
        match self {
            Self::Wide(wide, _) => wide.size(),
            Self::I8 | Self::U8 => 1,
        }
    }
}
