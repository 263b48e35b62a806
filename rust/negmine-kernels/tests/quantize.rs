//! The bounds of quantization hold for exact real numbers, and every instruction set gives the same bits.

mod common;

use common::{Random, WIDTHS, for_each_isa};
use negmine_kernels::Isa;
use negmine_kernels::quantize::{
    RowCode, first_non_finite, quantize_row, quantize_row_among, round_down, round_up,
};
use proptest::prelude::*;

/// A sum of f64 terms as a pair of numbers (twice the precision), for checks that must not share the rounding of what
/// they check.
#[derive(Clone, Copy, Default)]
struct Twofold {
    high: f64,
    low: f64,
}

impl Twofold {
    fn sum(a: f64, b: f64) -> Self {
        let high = a + b;
        let part = high - a;
        Twofold { high, low: (a - (high - part)) + (b - part) }
    }

    fn product(a: f64, b: f64) -> Self {
        let high = a * b;
        Twofold { high, low: a.mul_add(b, -high) }
    }

    fn add(self, other: Self) -> Self {
        let sum = Twofold::sum(self.high, other.high);
        Twofold::sum(sum.high, sum.low + self.low + other.low)
    }

    fn square(self) -> Self {
        let square = Twofold::product(self.high, self.high);
        Twofold::sum(square.high, square.low + 2.0 * self.high * self.low)
    }

    /// Whether it is at most the square of `root`, to some 100 bits.
    fn at_most_square_of(self, root: f32) -> bool {
        let square = Twofold::product(f64::from(root), f64::from(root));
        let difference = self.add(Twofold { high: -square.high, low: -square.low });
        difference.high + difference.low <= self.high * 1e-29
    }
}

/// Checks the promise on one row.
fn check_bounds(x: &[f32], factor: f64, codes: &[i8], code: RowCode, name: &str) {
    let (mut error, mut norm) = (Twofold::default(), Twofold::default());
    for (x, i) in x.iter().zip(codes) {
        let y = Twofold::product(f64::from(*x), factor);
        let stored = f64::from(code.scale) * f64::from(*i);
        norm = norm.add(y.square());
        error = error.add(y.add(Twofold { high: -stored, low: 0.0 }).square());
    }
    assert!(code.norm.is_infinite() || norm.at_most_square_of(code.norm), "{name}: norm {}", code.norm);
    assert!(code.error.is_infinite() || error.at_most_square_of(code.error), "{name}: error {}", code.error);
    // And not by much: one step of f32, and the 2^-52 of the norm.
    let (exact_norm, exact_error) = (norm.high.sqrt(), error.high.sqrt());
    if exact_norm < 1e38 {
        assert!(f64::from(code.norm) <= f64::from(round_up(exact_norm * (1.0 + 1e-11)).next_up()), "{name}");
        let loose = exact_error * (1.0 + 1e-11) + exact_norm * 1e-15;
        assert!(f64::from(code.error) <= f64::from(round_up(loose).next_up()), "{name}");
    }
}

/// Quantizes on every instruction set, compares the bits with the scalar form and checks the promise.
fn check(x: &[f32], factor: f64, name: &str) {
    let mut expected_codes = vec![99; x.len() + 5];
    let expected = quantize_row(Isa::Scalar, x, factor, &mut expected_codes);
    let sum: i32 = expected_codes.iter().map(|code| i32::from(*code)).sum();
    assert_eq!(expected.code_sum, sum, "{name}");
    assert!(expected_codes.iter().all(|code| *code >= -127), "{name}");
    assert!(expected_codes[x.len()..].iter().all(|code| *code == 0), "{name}: padding");
    check_bounds(x, factor, &expected_codes, expected, name);
    for_each_isa(|isa| {
        let mut codes = vec![99; x.len() + 5];
        let code = quantize_row(isa, x, factor, &mut codes);
        assert_eq!(codes, expected_codes, "{isa}: {name}");
        assert_eq!(bits(code), bits(expected), "{isa}: {name}");
    });
}

fn bits(code: RowCode) -> (u32, u32, u32, i32) {
    (code.scale.to_bits(), code.error.to_bits(), code.norm.to_bits(), code.code_sum)
}

/// What a cosine index passes.
fn inverse_norm(x: &[f32]) -> f64 {
    let square = negmine_kernels::canonical::dot(x, x);
    if square == 0.0 { 0.0 } else { 1.0 / square.sqrt() }
}

/// Rows that are hard on a quantizer.
fn adversarial(kind: usize, width: usize, random: &mut Random) -> Vec<f32> {
    let mut row = random.row(width, 1.0);
    match kind {
        0 => {}
        1 => {
            if width > 0 {
                row[random.below(width)] = 1e30;
            }
        }
        2 => row.iter_mut().for_each(|x| *x *= 1e-39),
        3 => row.fill(random.signed()),
        4 => row.iter_mut().enumerate().for_each(|(j, x)| *x = if j % 2 == 0 { 0.7 } else { -0.7 }),
        5 => row.fill(if random.bits() & 1 == 0 { 0.0 } else { -0.0 }),
        6 => row.iter_mut().for_each(|x| *x = random.any_finite()),
        7 => row.iter_mut().for_each(|x| *x = f32::MAX * x.signum()),
        8 => row.iter_mut().for_each(|x| *x = f32::from_bits(random.below(300) as u32)),
        9 => row.iter_mut().enumerate().for_each(|(j, x)| *x = (j % 128) as f32 + 0.5),
        _ => row.iter_mut().for_each(|x| *x *= 1e-30),
    }
    row
}
const KINDS: usize = 11;

#[test]
fn adversarial_rows_at_awkward_widths() {
    let mut random = Random(1);
    for width in WIDTHS {
        for kind in 0..KINDS {
            let row = adversarial(kind, width, &mut random);
            for factor in [1.0, inverse_norm(&row), 2.0_f64.powi(-60), 2.0_f64.powi(90), 0.0] {
                check(&row, factor, &format!("kind {kind}, width {width}, factor {factor:e}"));
            }
        }
    }
}

#[test]
fn the_largest_coordinate_has_code_127_and_small_rows_are_exact() {
    for_each_isa(|isa| {
        let mut codes = [0; 4];
        let code = quantize_row(isa, &[127.0, -127.0, 64.0, -1.0], 1.0, &mut codes);
        assert_eq!((codes, code.scale, code.code_sum), ([127, -127, 64, -1], 1.0, 63));
        assert!(code.error <= code.norm * 1e-15);
    });
}

#[test]
fn zero_tiny_and_huge_rows() {
    for_each_isa(|isa| {
        let mut codes = [9; 3];
        assert_eq!(quantize_row(isa, &[0.0, -0.0, 0.0], 1.0, &mut codes), RowCode::default());
        assert_eq!(codes, [0; 3]);
        assert_eq!(quantize_row(isa, &[], 1.0, &mut []), RowCode::default());

        // A largest coordinate below 127 * 2^-149 has no scale; the whole row is error.
        let tiny = quantize_row(isa, &[f32::from_bits(126), 0.0, 0.0], 1.0, &mut codes);
        assert_eq!((tiny.scale, tiny.error, tiny.code_sum), (0.0, tiny.norm, 0));
        let smallest = quantize_row(isa, &[f32::from_bits(127), 0.0, 0.0], 1.0, &mut codes);
        assert_eq!(smallest.scale.to_bits(), 1);

        // The norm leaves f32 first, the scale later.
        let huge = quantize_row(isa, &[f32::MAX; 3], 1.0, &mut codes);
        assert!(huge.norm.is_infinite() && huge.scale > 0.0 && codes == [127; 3]);
        let beyond = quantize_row(isa, &[f32::MAX; 3], 256.0, &mut codes);
        assert_eq!((beyond.scale, beyond.error, beyond.norm), (0.0, f32::INFINITY, f32::INFINITY));
        assert_eq!(codes, [0; 3]);
    });
}

#[test]
fn the_first_bad_coordinate_is_found() {
    let mut random = Random(2);
    for width in WIDTHS {
        let mut row: Vec<f32> = (0..width).map(|_| random.any_finite()).collect();
        for_each_isa(|isa| assert_eq!(first_non_finite(isa, &row), None));
        for bad in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::from_bits(0x7f80_0001)] {
            for at in (0..width).rev().step_by(1 + width / 40) {
                row[at] = bad;
                for_each_isa(|isa| assert_eq!(first_non_finite(isa, &row), Some(at), "{isa}, {bad}"));
            }
            row.fill(1.0);
        }
    }
}

#[test]
fn a_row_that_is_not_finite_is_refused() {
    for isa in Isa::available() {
        for bad in [f32::NAN, f32::INFINITY] {
            let refused = std::panic::catch_unwind(|| quantize_row(isa, &[1.0, bad], 1.0, &mut [0; 2]));
            assert!(refused.is_err());
        }
        for factor in [f64::NAN, f64::INFINITY, -1.0, 1e-100, 1e100] {
            assert!(std::panic::catch_unwind(|| quantize_row(isa, &[1.0], factor, &mut [0])).is_err());
        }
    }
}

#[test]
fn directed_roundings() {
    let max = f64::from(f32::MAX);
    for (x, down, up) in [
        (0.0, 0.0, 0.0),
        (1.0, 1.0, 1.0),
        (1.0 + 1e-12, 1.0, 1.0_f32.next_up()),
        (-1.0 - 1e-12, (-1.0_f32).next_down(), -1.0),
        (1e-300, 0.0, f32::from_bits(1)),
        (-1e-300, -f32::from_bits(1), 0.0),
        (max, f32::MAX, f32::MAX),
        (max * (1.0 + 1e-12), f32::MAX, f32::INFINITY),
        (1e300, f32::MAX, f32::INFINITY),
        (-1e300, f32::NEG_INFINITY, f32::MIN),
        (f64::INFINITY, f32::INFINITY, f32::INFINITY),
        (f64::NEG_INFINITY, f32::NEG_INFINITY, f32::NEG_INFINITY),
    ] {
        assert_eq!((round_down(x), round_up(x)), (down, up), "{x:e}");
    }
    assert!(round_up(f64::NAN).is_nan() && round_down(f64::NAN).is_nan());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn adversarial_rows(seed in any::<u64>(), kind in 0..KINDS, width in 1_usize..=4097, exponent in -200_i32..=200) {
        let mut random = Random(seed);
        let row = adversarial(kind, width, &mut random);
        check(&row, inverse_norm(&row), "cosine");
        check(&row, 2.0_f64.powi(exponent), "power of two");
        check(&row, 1.0, "plain");
    }

    #[test]
    fn rounding_brackets(bits in any::<u64>()) {
        let x = f64::from_bits(bits);
        prop_assume!(!x.is_nan());
        let (down, up) = (round_down(x), round_up(x));
        prop_assert!(f64::from(down) <= x && x <= f64::from(up));
        prop_assert!(down.to_bits() == up.to_bits() || down.next_up().to_bits() == up.to_bits());
    }
}

#[test]
fn rows_that_share_a_scale_keep_the_promise() {
    let mut random = Random(11);
    for width in WIDTHS {
        let x = random.row(width, 0.1);
        let own = x.iter().fold(0.0_f32, |largest, x| largest.max(x.abs()));
        for largest in [own, 1.5 * own, 200.0 * own, 1e30] {
            let mut expected: Option<(RowCode, Vec<i8>)> = None;
            for_each_isa(|isa| {
                let mut codes = vec![1; width];
                let code = quantize_row_among(isa, &x, largest, &mut codes);
                assert!(largest == 0.0 || f64::from(code.scale) * 127.0 >= f64::from(largest));
                let error: f64 = x
                    .iter()
                    .zip(&codes)
                    .map(|(x, i)| (f64::from(*x) - f64::from(code.scale) * f64::from(*i)).powi(2))
                    .sum();
                assert!(f64::from(code.error) >= error.sqrt() * (1.0 - 1e-12));
                let got = (code, codes);
                assert_eq!(expected.get_or_insert_with(|| got.clone()), &got, "{isa}");
            });
        }
    }
}

#[test]
#[should_panic(expected = "no coordinate above the largest")]
fn a_coordinate_above_the_shared_largest_is_refused() {
    quantize_row_among(Isa::Scalar, &[0.5, -2.0], 1.0, &mut [0; 2]);
}
