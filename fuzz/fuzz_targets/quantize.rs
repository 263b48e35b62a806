//! Int8 codes of any rows: the bounds that they come with hold for exact numbers, the interval of a pair holds its
//! canonical score, and every instruction set gives the same bits.
#![no_main]

use arbitrary::{Arbitrary, Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use ndarray::ArrayView2;
use negmine_core::base::matrix::{Elements, Rows};
use negmine_core::scoring::quantized::{QuantizedRows, quantize_rows};
use negmine_core::scoring::{Metric, Slack};
use negmine_fuzz::exact::Sum;
use negmine_fuzz::oracle;
use negmine_fuzz::run;
use negmine_fuzz::values::Kind;
use negmine_kernels::Isa;
use negmine_kernels::quantize::{RowCode, quantize_row, quantize_row_among};

/// Two rows of one width, and a factor.
#[derive(Debug)]
struct Case {
    metric: Metric,
    width: usize,
    rows: Vec<f32>,
    factor: f64,
    larger: f32,
}

impl<'a> Arbitrary<'a> for Case {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        let metric = *bytes.choose(&[Metric::Cosine, Metric::Ip, Metric::L2])?;
        let width =
            if bytes.ratio(1, 16)? { bytes.int_in_range(1..=70)? } else { bytes.int_in_range(1..=12)? };
        let (exponent, fraction) = (bytes.int_in_range(-300..=299)?, bytes.arbitrary::<u32>()?);
        let factor = match bytes.arbitrary::<u8>()? % 4 {
            0 => 0.0,
            1 => 2.0_f64.powi(exponent),
            _ => 2.0_f64.powi(exponent) * (1.0 + f64::from(fraction) / f64::from(u32::MAX)),
        };
        let larger = Kind::Wild.value(bytes)?.abs();
        let (first, second): (Kind, Kind) = (bytes.arbitrary()?, bytes.arbitrary()?);
        let mut rows = Vec::with_capacity(2 * width);
        for kind in [first, second] {
            for _ in 0..width {
                rows.push(kind.value(bytes)?);
            }
        }
        Ok(Self { metric, width, rows, factor, larger })
    }
}

/// `error >= ||x factor - scale codes||` and `norm >= ||x factor||`, in exact numbers.
fn check_row(x: &[f32], factor: f64, codes: &[i8], code: &RowCode) {
    let (scale, mut norm, mut error) = (f64::from(code.scale), Sum::default(), Sum::default());
    for (&x, &code) in x.iter().zip(codes) {
        let (x, code) = (f64::from(x), f64::from(code));
        norm.add(&[x, factor, x, factor]);
        error.add(&[x, factor, -2.0 * code, scale]);
        error.add(&[code, code, scale, scale]);
    }
    error.add_sum(&norm);
    for (exact, bound) in [(norm, code.norm), (error, code.error)] {
        let mut square = Sum::default();
        if bound.is_finite() {
            square.add(&[f64::from(bound), f64::from(bound)]);
            assert!(exact <= square, "{code:?}");
        }
    }
    assert!(codes.iter().all(|code| *code >= -127));
    assert_eq!(code.code_sum, codes.iter().map(|code| i32::from(*code)).sum::<i32>());
}

fn check_kernel(case: &Case) {
    let x = &case.rows[..case.width];
    let largest = x.iter().fold(case.larger, |largest, x| largest.max(x.abs()));
    let mut before: Option<[(RowCode, Vec<i8>); 2]> = None;
    for isa in Isa::available() {
        let mut codes = [vec![1; case.width + 3], vec![1; case.width + 3]];
        let own = quantize_row(isa, x, case.factor, &mut codes[0]);
        let among = quantize_row_among(isa, x, largest, &mut codes[1]);
        assert!(codes.iter().all(|codes| codes[case.width..] == [0; 3]));
        if before.is_none() {
            check_row(x, case.factor, &codes[0], &own);
            check_row(x, 1.0, &codes[1], &among);
        }
        let [first, second] = codes;
        let found = [(own, first), (among, second)];
        assert_eq!(*before.get_or_insert_with(|| found.clone()), found, "{isa}");
    }
}

/// The bound of a pair, for exact numbers of rows times their factors.
fn check_pair(case: &Case, found: &QuantizedRows) {
    let (q, d) = case.rows.split_at(case.width);
    let codes = found.codes.chunks_exact(found.stride);
    let [codes_q, codes_d] = [0, 1].map(|row| codes.clone().nth(row).expect("codes of two rows"));
    let product = codes_q.iter().zip(codes_d).map(|(a, b)| i32::from(*a) * i32::from(*b)).sum::<i32>();
    let factor = |row: usize| match (case.metric, found.squared_norms[row]) {
        (Metric::Cosine, 0.0) => 0.0,
        (Metric::Cosine, squared) => 1.0 / squared.sqrt(),
        _ => 1.0,
    };
    let ([scale_q, scale_d], [norm_q, norm_d], [error_q, error_d]) = (
        [found.scales[0], found.scales[1]],
        [found.norms[0], found.norms[1]],
        [found.errors[0], found.errors[1]],
    );
    let lost = (norm_q + error_q) * error_d + error_q * norm_d;
    if lost.is_finite() {
        let (mut miss, mut bound) = (Sum::default(), Sum::default());
        for (q, d) in q.iter().zip(d) {
            miss.add(&[f64::from(*q), factor(0), f64::from(*d), factor(1)]);
        }
        miss.add(&[-scale_q, scale_d, f64::from(product)]);
        for pair in [[norm_q, error_d], [error_q, error_d], [error_q, norm_d]] {
            bound.add(&pair);
        }
        assert!(miss.magnitude() <= bound, "{found:?}");
    }
    // The interval that decides a search holds the canonical score.
    let slack = Slack::CERTIFIED.canonical;
    let estimate = scale_q * scale_d * f64::from(product);
    let lost = lost + (lost + norm_q * norm_d) * slack;
    let (low, high) = if case.metric == Metric::L2 {
        let squares = found.squared_norms[0] + found.squared_norms[1];
        let lost = 2.0 * lost + squares * slack;
        (2.0 * estimate - squares - lost, 2.0 * estimate - squares + lost)
    } else {
        (estimate - lost, estimate + lost)
    };
    let score = oracle::score(case.metric, q, d);
    assert!(!(score < low || score > high), "{score} outside {low} to {high}");
}

fn check_rows(case: &Case) {
    let view = ArrayView2::from_shape((2, case.width), &case.rows).expect("two rows");
    let rows = Rows::new("rows", Elements::F32(view)).expect("rows of one width");
    let mut before: Option<QuantizedRows> = None;
    for isa in Isa::available() {
        let found = quantize_rows(case.metric, &rows, &[0, 1], &run(isa)).expect("finite rows");
        match &before {
            None => {
                check_pair(case, &found);
                before = Some(found);
            }
            Some(before) => {
                assert_eq!(before.codes, found.codes, "{isa}");
                assert_eq!(
                    (&before.scales, &before.errors, &before.norms, &before.squared_norms),
                    (&found.scales, &found.errors, &found.norms, &found.squared_norms),
                    "{isa}"
                );
            }
        }
    }
}

fuzz_target!(|case: Case| {
    check_kernel(&case);
    check_rows(&case);
});
