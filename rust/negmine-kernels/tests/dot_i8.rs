//! The panel scan finds exactly the documents that the definition finds, with exact inner products.

mod common;

use common::{Random, WIDTHS, for_each_isa};
use negmine_kernels::Isa;
use negmine_kernels::dot_i8::{
    Hit, MAX_WIDTH, PANEL, Panel, QueryTile, dot_packed, pack_panel, packed_len, padded_width, scan_panel,
};
use proptest::prelude::*;

/// Codes and bounds of one panel, not packed.
struct Documents {
    width: usize,
    codes: Vec<Vec<i8>>,
    scale: [f32; PANEL],
    error: [f32; PANEL],
    norm: [f32; PANEL],
    offset: Option<[f32; PANEL]>,
    valid: u64,
}

impl Documents {
    fn random(random: &mut Random, width: usize, valid: u64) -> Self {
        let mut positive = || std::array::from_fn(|_| random.signed().abs() + 0.01);
        let (scale, error, norm, offset) = (positive(), positive(), positive(), positive());
        let offset = (random.bits() & 1 == 1).then_some(offset);
        let codes = (0..PANEL)
            .map(|lane| if valid >> lane & 1 == 1 { random.codes(width) } else { vec![0; width] })
            .collect();
        Documents { width, codes, scale, error, norm, offset, valid }
    }

    fn packed(&self, isa: Isa) -> Vec<u8> {
        let mut rows = Vec::new();
        for codes in &self.codes {
            rows.extend_from_slice(codes);
            rows.resize(rows.len() + padded_width(self.width) - self.width, 0);
        }
        let mut packed = vec![0; packed_len(self.width)];
        pack_panel(isa, &rows, self.width, &mut packed);
        packed
    }

    fn panel<'a>(&'a self, codes: &'a [u8]) -> Panel<'a> {
        let (scale, error, norm, offset) = (&self.scale, &self.error, &self.norm, self.offset.as_ref());
        Panel { codes, scale, error, norm, offset, valid: self.valid }
    }
}

/// A query: codes, error weight, norm weight, offset weight, threshold.
type Query = (Vec<i8>, f32, f32, f32, f32);

fn tile(width: usize, queries: &[Query]) -> QueryTile {
    let mut tile = QueryTile::new(width);
    for (codes, error, norm, offset, threshold) in queries {
        tile.push(codes, *error, *norm, *offset, *threshold);
    }
    tile
}

fn inner(a: &[i8], b: &[i8]) -> i32 {
    a.iter().zip(b).map(|(x, y)| i32::from(*x) * i32::from(*y)).sum()
}

/// The bound of the definition.
fn bound((codes, error, norm, offset, _): &Query, documents: &Documents, lane: usize) -> f32 {
    let mut high = norm * documents.norm[lane];
    if let Some(offsets) = documents.offset {
        high = offset.mul_add(offsets[lane], high);
    }
    high = error.mul_add(documents.error[lane], high);
    (inner(codes, &documents.codes[lane]) as f32).mul_add(documents.scale[lane], high)
}

/// What the definition says, without tiles, panels or vectors.
fn expected(queries: &[Query], documents: &Documents) -> Vec<Hit> {
    let mut hits = Vec::new();
    for (place, query) in queries.iter().enumerate() {
        for lane in (0..PANEL).filter(|lane| documents.valid >> lane & 1 == 1) {
            let (high, threshold) = (bound(query, documents, lane), query.4);
            if high >= threshold || high.is_nan() || threshold.is_nan() {
                let dot = inner(&query.0, &documents.codes[lane]);
                hits.push(Hit { query: place as u32, lane: lane as u32, dot });
            }
        }
    }
    hits
}

fn check(isa: Isa, queries: &[Query], documents: &Documents) {
    let packed = documents.packed(isa);
    let mut hits = vec![Hit { query: 77, lane: 77, dot: 77 }];
    scan_panel(isa, &tile(documents.width, queries), documents.panel(&packed), &mut hits);
    assert_eq!(hits.remove(0).query, 77, "hits are appended");
    let (width, n) = (documents.width, queries.len());
    assert!(hits == expected(queries, documents), "{isa}, width {width}, {n} queries");
}

/// Thresholds between "everything" and "nothing", most of them near the middle of what the query scores.
fn random_queries(random: &mut Random, width: usize, n: usize) -> Vec<Query> {
    (0..n)
        .map(|q| {
            let spread = 5000.0 * (width as f32).sqrt();
            let threshold = match q % 5 {
                0 => f32::NEG_INFINITY,
                1 => f32::INFINITY,
                _ => random.signed() * spread,
            };
            (random.codes(width), random.signed(), random.signed(), random.signed(), threshold)
        })
        .collect()
}

#[test]
fn one_document_of_a_panel_has_the_product_of_its_codes() {
    let mut random = Random(5);
    for width in WIDTHS.into_iter().filter(|width| *width > 0) {
        let documents = Documents::random(&mut random, width, u64::MAX);
        let mut query = random.codes(width);
        query.resize(padded_width(width), 0);
        for_each_isa(|isa| {
            let packed = documents.packed(isa);
            for lane in [0, 1, 31, 63] {
                assert_eq!(dot_packed(&query, &packed, lane), inner(&query, &documents.codes[lane]));
            }
        });
    }
    let (query, packed) = (vec![127_i8; MAX_WIDTH], vec![255_u8; packed_len(MAX_WIDTH)]);
    assert_eq!(dot_packed(&query, &packed, 63), 127 * 127 * MAX_WIDTH as i32);
}

#[test]
fn awkward_widths_and_tile_lengths() {
    let mut random = Random(1);
    for width in WIDTHS {
        for n in [0, 1, 2, 3, 4, 5, 6, 7, 11, 12, 13] {
            let valid = if n % 2 == 0 { u64::MAX } else { random.bits() };
            let documents = Documents::random(&mut random, width, valid);
            let queries = random_queries(&mut random, width, n);
            for_each_isa(|isa| check(isa, &queries, &documents));
        }
    }
}

#[test]
fn panels_have_the_stated_layout_on_every_instruction_set() {
    let mut random = Random(2);
    for width in WIDTHS {
        let documents = Documents::random(&mut random, width, u64::MAX);
        for_each_isa(|isa| {
            let packed = documents.packed(isa);
            for (g, group) in packed.chunks(PANEL * 4).enumerate() {
                for (lane, bytes) in group.chunks(4).enumerate() {
                    for (d, byte) in bytes.iter().enumerate() {
                        let code = documents.codes[lane].get(g * 4 + d).map_or(0, |code| i32::from(*code));
                        assert_eq!(i32::from(*byte), code + 128, "{isa}, width {width}, lane {lane}");
                    }
                }
            }
        });
    }
}

#[test]
fn equality_and_nan_are_hits_and_missing_documents_never() {
    let mut random = Random(3);
    let mut documents = Documents::random(&mut random, 12, 0x00ff_00ff_00ff_00fe);
    documents.scale = [1.0; PANEL];
    documents.error = [0.0; PANEL];
    documents.norm = [0.0; PANEL];
    documents.offset = None;
    documents.error[4] = f32::INFINITY;
    documents.norm[5] = f32::INFINITY;
    documents.scale[6] = f32::NAN;
    let codes = random.codes(12);
    let exact = inner(&codes, &documents.codes[1]) as f32;
    let queries = vec![
        (codes.clone(), 0.0, 0.0, 0.0, exact),
        (codes.clone(), 0.0, 0.0, 0.0, exact.next_up()),
        (codes.clone(), 1.0, 1.0, 0.0, f32::INFINITY),
        (codes.clone(), 0.0, 0.0, 0.0, f32::NAN),
        (codes, f32::NAN, 0.0, 0.0, 0.0),
    ];
    for_each_isa(|isa| {
        check(isa, &queries, &documents);
        let (packed, mut hits) = (documents.packed(isa), Vec::new());
        scan_panel(isa, &tile(12, &queries), documents.panel(&packed), &mut hits);
        let has = |query, lane| hits.iter().any(|hit| (hit.query, hit.lane) == (query, lane));
        assert!(has(0, 1) && !has(1, 1), "equality is a hit, one step below is not");
        for query in 0..queries.len() as u32 {
            assert!(has(query, 4) && has(query, 5) && has(query, 6), "doubt is a hit");
            assert!(!has(query, 0), "there is no document 0");
        }
        assert_eq!(hits.iter().filter(|hit| hit.query == 3).count(), 31);
    });
}

#[test]
fn the_widest_rows_do_not_overflow() {
    for (q, d) in [(127, 127), (127, -127), (-127, 127), (-127, -127)] {
        let documents = Documents {
            width: MAX_WIDTH,
            codes: vec![vec![d; MAX_WIDTH]; PANEL],
            scale: [1.0; PANEL],
            error: [0.0; PANEL],
            norm: [0.0; PANEL],
            offset: None,
            valid: u64::MAX,
        };
        let queries = vec![(vec![q; MAX_WIDTH], 0.0, 0.0, 0.0, f32::NEG_INFINITY); 7];
        for_each_isa(|isa| {
            let (packed, mut hits) = (documents.packed(isa), Vec::new());
            scan_panel(isa, &tile(MAX_WIDTH, &queries), documents.panel(&packed), &mut hits);
            assert_eq!(hits.len(), 7 * PANEL);
            let dot = i32::from(q) * i32::from(d) * MAX_WIDTH as i32;
            assert!(hits.iter().all(|hit| hit.dot == dot), "{isa}");
        });
    }
}

#[test]
fn a_tile_is_reused_and_its_thresholds_change() {
    let mut random = Random(4);
    let documents = Documents::random(&mut random, 33, u64::MAX);
    let queries = random_queries(&mut random, 33, 8);
    for_each_isa(|isa| {
        let mut reused = tile(33, &random_queries(&mut Random(5), 33, 13));
        reused.clear();
        assert!(reused.is_empty());
        for (codes, error, norm, offset, threshold) in &queries {
            reused.push(codes, *error, *norm, *offset, f32::NAN);
            reused.set_threshold(reused.len() - 1, *threshold);
            assert_eq!(reused.threshold(reused.len() - 1).to_bits(), threshold.to_bits());
        }
        let (packed, mut hits) = (documents.packed(isa), Vec::new());
        scan_panel(isa, &reused, documents.panel(&packed), &mut hits);
        assert!(hits == expected(&queries, &documents), "{isa}");
    });
}

#[test]
#[should_panic(expected = "a panel of the tile's width")]
fn a_panel_of_another_width_is_refused() {
    let documents = Documents::random(&mut Random(6), 8, u64::MAX);
    let packed = documents.packed(Isa::Scalar);
    scan_panel(Isa::best(), &QueryTile::new(12), documents.panel(&packed), &mut Vec::new());
}

#[test]
fn one_document_that_is_not_finite_is_found() {
    let mut random = Random(7);
    for lane in 0..PANEL {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for array in 0..4 {
                let mut documents = Documents::random(&mut random, 20, u64::MAX);
                let mut offset = [0.5; PANEL];
                let values = [&mut documents.scale, &mut documents.error, &mut documents.norm, &mut offset];
                values.into_iter().nth(array).unwrap()[lane] = bad;
                documents.offset = Some(offset);
                let queries: Vec<Query> = [0.0, 1.0, -1.0, f32::INFINITY]
                    .map(|weight| (random.codes(20), weight, weight, weight, 1e20))
                    .into();
                for_each_isa(|isa| check(isa, &queries, &documents));
            }
        }
    }
}

#[test]
fn bounds_that_overflow_are_found() {
    let mut documents = Documents::random(&mut Random(8), 20, u64::MAX);
    (documents.error, documents.norm, documents.offset) = ([1.0; PANEL], [1.0; PANEL], Some([1.0; PANEL]));
    documents.scale = [1e-3; PANEL];
    let codes = Random(9).codes(20);
    // The bound is infinite after two terms, for every third; in another order it would be finite.
    let queries = vec![(codes.clone(), -3e38, 3e38, 3e38, 3.3e38), (codes, 3e38, 3e38, -3e38, 3.3e38)];
    assert!(bound(&queries[0], &documents, 0).is_infinite());
    for_each_isa(|isa| check(isa, &queries, &documents));
}

/// A number of a kind: plain, zero, tiny, huge, or any bits, NaN and infinity included.
fn any_of_kind(random: &mut Random, kind: usize) -> f32 {
    match kind {
        0 | 1 => random.signed(),
        2 => 0.0,
        3 => random.signed() * 1e-38,
        4 => random.signed() * 1e-30,
        5 => random.signed() * 1e30,
        6 => random.any_finite(),
        7 => random.signed() * 1e4,
        _ => f32::from_bits(random.bits() as u32),
    }
}

/// Thresholds that one document's bound just meets or just misses: a kernel that looks at anything else before the bound
/// must not lose it.
fn check_just_met(seed: u64) {
    let mut random = Random(seed);
    let width = random.below(140);
    let mut documents = Documents::random(&mut random, width, u64::MAX);
    let kinds: [usize; 7] = std::array::from_fn(|_| random.below(11).saturating_sub(2));
    for lane in 0..PANEL {
        documents.scale[lane] = any_of_kind(&mut random, kinds[0]).abs();
        documents.error[lane] = any_of_kind(&mut random, kinds[1]);
        documents.norm[lane] = any_of_kind(&mut random, kinds[2]);
        if let Some(offset) = &mut documents.offset {
            offset[lane] = any_of_kind(&mut random, kinds[3]);
        }
    }
    if random.bits() & 1 == 1 {
        // All documents alike: what the panel as a whole can reach, each of them does.
        let (scale, error, norm) = (documents.scale[0], documents.error[0], documents.norm[0]);
        (documents.scale, documents.error, documents.norm) = ([scale; PANEL], [error; PANEL], [norm; PANEL]);
        documents.offset = documents.offset.map(|offset| [offset[0]; PANEL]);
    }
    if random.bits() & 3 == 1 {
        // One document unlike the others.
        let lane = random.below(PANEL);
        documents.scale[lane] = f32::from_bits(random.bits() as u32 & 0x7fff_ffff);
        documents.error[random.below(PANEL)] = f32::from_bits(random.bits() as u32);
    }
    let queries: Vec<Query> = (0..random.below(30))
        .map(|_| {
            let mut weight = |kind| any_of_kind(&mut random, kind);
            let (error, norm, offset) = (weight(kinds[4]), weight(kinds[5]), weight(kinds[6]));
            let mut query = (random.codes(width), error, norm, offset, 0.0);
            let high = bound(&query, &documents, random.below(PANEL));
            query.4 = if random.bits() & 1 == 1 { high } else { high.next_up() };
            query
        })
        .collect();
    for_each_isa(|isa| check(isa, &queries, &documents));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn a_threshold_that_a_document_just_meets(seed in any::<u64>()) {
        check_just_met(seed);
    }
}

proptest! {
    #[test]
    fn random_tiles(seed in any::<u64>(), width in 0_usize..200, n in 0_usize..20) {
        let mut random = Random(seed);
        let valid = random.bits() | random.bits();
        let documents = Documents::random(&mut random, width, valid);
        let queries = random_queries(&mut random, width, n);
        for_each_isa(|isa| check(isa, &queries, &documents));
    }
}
