//! Sizes of the processor's caches, as the system reports them.

use std::fs;
use std::sync::OnceLock;

/// Where Linux describes the caches of the first core.
const PLACE: &str = "/sys/devices/system/cpu/cpu0/cache";

/// Bytes of the data caches of one core by level, those of level 1 first; 0 where the system does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Caches {
    /// Levels 1 to 3. A cache that several cores share has its whole size.
    pub levels: [usize; 3],
}

/// The caches of this machine; read once.
#[must_use]
pub fn caches() -> Caches {
    static CACHES: OnceLock<Caches> = OnceLock::new();
    *CACHES.get_or_init(read)
}

fn read() -> Caches {
    let mut caches = Caches::default();
    for index in 0..8 {
        let text = |name| fs::read_to_string(format!("{PLACE}/index{index}/{name}")).unwrap_or_default();
        let level: usize = text("level").trim().parse().unwrap_or(0);
        if (1..=3).contains(&level) && text("type").trim() != "Instruction" {
            caches.levels[level - 1] = bytes(text("size").trim());
        }
    }
    caches
}

/// A size such as "48K", 0 if it is none.
fn bytes(text: &str) -> usize {
    let (number, unit) = match text.as_bytes().last() {
        Some(b'K') => (&text[..text.len() - 1], 1 << 10),
        Some(b'M') => (&text[..text.len() - 1], 1 << 20),
        _ => (text, 1),
    };
    number.parse().map_or(0, |number: usize| number.saturating_mul(unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        assert_eq!(bytes("48K"), 48 << 10);
        assert_eq!(bytes("2M"), 2 << 20);
        assert_eq!(bytes("512"), 512);
        assert_eq!([bytes(""), bytes("K"), bytes("many")], [0; 3]);
    }

    #[test]
    fn larger_levels_are_larger() {
        let [first, second, third] = caches().levels;
        assert!(second == 0 || first <= second);
        assert!(third == 0 || second <= third);
    }
}
