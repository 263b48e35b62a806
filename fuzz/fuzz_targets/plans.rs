//! Plans of batches keep their promises, are the same every time, and give any batch alone as they give it in order.
#![no_main]

use std::collections::HashMap;

use arbitrary::{Arbitrary, Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use negmine_core::base::csr::CsrView;
use negmine_core::batch::{
    ClassBatches, ClusterBatches, Column, Columns, Epoch, MixtureSteps, NoDuplicates, Permutation, Policy,
    Remainder, TopicBatches, rows_of_steps,
};
use negmine_fuzz::run;
use negmine_kernels::Isa;

/// Random numbers of any plan.
#[derive(Arbitrary, Clone, Copy, Debug)]
struct Place {
    seed: u64,
    epoch: u64,
}

#[derive(Arbitrary, Debug)]
enum Case {
    Permutation {
        n: u16,
        place: Place,
        start: u16,
        len: u8,
    },
    Clusters {
        labels: Labels,
        batch: u8,
        together: u8,
        random: u8,
        tree: bool,
        filled: bool,
        place: Place,
    },
    Topics {
        labels: Labels,
        batch: u8,
        share: u8,
        random: u8,
        by_size: bool,
        place: Place,
    },
    Classes {
        labels: Labels,
        per_batch: u8,
        per_class: u8,
        batches: u8,
        seed: u64,
    },
    NoDuplicates {
        rows: Vec<Row>,
        anchors: bool,
        strict: bool,
        size: u8,
        policy: u8,
        remainder: u8,
        place: Place,
    },
    Mixture {
        shares: Vec<Share>,
        steps: u8,
        width: u8,
        long: u8,
    },
}

/// Labels of up to 40 rows.
#[derive(Debug)]
struct Labels(Vec<i64>);

impl<'a> Arbitrary<'a> for Labels {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        let (n, labels) = (bytes.int_in_range(1..=40)?, bytes.int_in_range(1..=8)?);
        let label = |bytes: &mut Unstructured<'a>| Ok(i64::from(bytes.arbitrary::<u8>()? % labels));
        Ok(Self((0..n).map(|_| label(bytes)).collect::<Result<_>>()?))
    }
}

impl Labels {
    /// The rows of every label that has some.
    fn lists(&self) -> Vec<Vec<i64>> {
        let of_label =
            |label| (0..self.0.len() as i64).filter(|row| self.0[*row as usize] == label).collect();
        (0..8).map(of_label).filter(|rows: &Vec<i64>| !rows.is_empty()).collect()
    }
}

/// Lists as offsets and items.
fn flat(lists: &[Vec<i64>]) -> (Vec<i64>, Vec<i64>) {
    let mut offsets = vec![0];
    for list in lists {
        offsets.push(offsets[offsets.len() - 1] + list.len() as i64);
    }
    (offsets, lists.concat())
}

fn are_distinct(rows: &[i64]) -> bool {
    let mut sorted = rows.to_vec();
    sorted.sort_unstable();
    sorted.windows(2).all(|pair| pair[0] != pair[1])
}

fn permutation(n: u64, place: Place, start: u64, len: u64) {
    let order = Permutation::new(n, place.seed, place.epoch);
    let mut all = vec![0; n as usize];
    order.fill(0, &mut all, &run(Isa::Scalar)).expect("all positions");
    let one_by_one: Vec<i64> = (0..n).map(|x| order.index(x) as i64).collect();
    assert_eq!(all, one_by_one);
    let mut some = vec![0; len as usize];
    let filled = order.fill(start, &mut some, &run(Isa::best()));
    assert_eq!(filled.is_ok(), start + len <= n);
    if filled.is_ok() {
        assert_eq!(some, all[start as usize..(start + len) as usize]);
    }
    all.sort_unstable();
    assert!(all.into_iter().eq(0..n as i64));
}

fn clusters(labels: &[i64], plan: &ClusterBatches<'_>, epoch: u64) {
    let (n, step) = (labels.len(), plan.batch * plan.batches_per_step);
    let found = plan.epoch(epoch, &run(Isa::Scalar));
    assert_eq!(found.is_ok(), step > 0 && step <= n && plan.random <= plan.batch);
    let Ok(rows) = found else { return };
    assert_eq!(Ok(&rows), plan.epoch(epoch, &run(Isa::Scalar)).as_ref());
    assert_eq!(rows.len(), plan.emitted * plan.batch);
    let (own, filled) = rows.split_at(rows.len().min(n));
    assert!(are_distinct(own) && own.iter().all(|row| (0..n as i64).contains(row)));
    assert!(filled.iter().zip(own).all(|(a, b)| a == b), "a last step is filled with the first rows");
    if plan.random > 0 || plan.tree {
        return;
    }
    // Without random rows, a cluster that fits a batch is in one piece.
    let mut pieces: HashMap<i64, usize> = HashMap::new();
    for piece in own.chunk_by(|a, b| labels[*a as usize] == labels[*b as usize]) {
        *pieces.entry(labels[piece[0] as usize]).or_default() += 1;
    }
    for (label, pieces) in pieces {
        let size = labels.iter().filter(|other| **other == label).count();
        assert!(pieces <= size.div_ceil(plan.batch), "{pieces} pieces of a cluster of {size}");
    }
}

fn topics(lists: &[Vec<i64>], plan: &TopicBatches<'_>, epoch: u64) {
    const BATCHES: u64 = 3;
    let n: usize = lists.iter().map(Vec::len).sum();
    let first = epoch % 1_000;
    let found = plan.batches(epoch, first..first + BATCHES, &run(Isa::Scalar));
    assert_eq!(found.is_ok(), (1..=n).contains(&plan.batch) && plan.share > 0 && plan.random <= plan.batch);
    let Ok(rows) = found else { return };
    assert_eq!(rows.len(), BATCHES as usize * plan.batch);
    for (number, batch) in (first..).zip(rows.chunks(plan.batch)) {
        let alone = plan.batches(epoch, number..number + 1, &run(Isa::Scalar)).expect("a batch of many");
        assert_eq!(batch, alone);
        assert!(are_distinct(batch) && batch.iter().all(|row| (0..n as i64).contains(row)));
        // No cluster has more than its share while the others have rows for the batch.
        let topical = &batch[..plan.batch - plan.random];
        let room: usize = lists.iter().map(|list| list.len().min(plan.share)).sum();
        let most = lists.iter().map(|list| topical.iter().filter(|row| list.contains(row)).count()).max();
        assert!(room < topical.len() || most.is_none_or(|most| most <= plan.share));
    }
}

fn classes(lists: &[Vec<i64>], plan: &ClassBatches<'_>) {
    let found = plan.batches(0, 0..plan.batches, &run(Isa::Scalar));
    assert_eq!(found.is_ok(), (1..=lists.len()).contains(&plan.per_batch) && plan.per_class > 0);
    if found.is_err() {
        return;
    }
    let class_of: HashMap<i64, usize> = lists
        .iter()
        .enumerate()
        .flat_map(|(class, rows)| rows.iter().map(move |row| (*row, class)))
        .collect();
    let mut drawn = vec![0; lists.len()];
    let mut used: HashMap<i64, usize> = class_of.keys().map(|row| (*row, 0)).collect();
    // Counts go on across epochs.
    for epoch in 0..3 {
        let rows = plan.batches(epoch, 0..plan.batches, &run(Isa::Scalar)).expect("batches as before");
        assert_eq!(rows.len(), plan.batches as usize * plan.per_batch * plan.per_class);
        for (number, batch) in (0..).zip(rows.chunks(plan.per_batch * plan.per_class)) {
            assert_eq!(batch, plan.batches(epoch, number..number + 1, &run(Isa::Scalar)).expect("a batch"));
            let mut present = Vec::new();
            for rows in batch.chunks(plan.per_class) {
                let class = class_of[&rows[0]];
                assert!(rows.iter().all(|row| class_of[row] == class));
                present.push(class as i64);
                drawn[class] += 1;
                for row in rows {
                    *used.get_mut(row).expect("a row of a class") += 1;
                }
                let counts = lists[class].iter().map(|row| used[row]);
                let (least, most) = (counts.clone().min(), counts.max());
                assert!(most.zip(least).is_some_and(|(most, least)| most - least <= 1));
            }
            assert!(are_distinct(&present));
            assert!(
                drawn.iter().max().zip(drawn.iter().min()).is_some_and(|(most, least)| most - least <= 1)
            );
        }
    }
}

/// A row's anchor, positives and negatives.
#[derive(Arbitrary, Clone, Copy, Debug)]
struct Row {
    anchor: u8,
    positives: [u8; 2],
    negatives: [u8; 2],
}

/// Documents are 0 to 5, and the other numbers are no document.
fn document(byte: u8) -> i64 {
    if byte % 9 < 6 { i64::from(byte % 9) } else { -1 }
}

impl Row {
    /// Whether it may not share a step with another row.
    fn conflicts(&self, other: &Self, anchors: bool, strict: bool) -> bool {
        let ids =
            |ids: &[u8]| ids.iter().map(|byte| document(*byte)).filter(|id| *id >= 0).collect::<Vec<_>>();
        let meet = |a: &[i64], b: &[i64]| a.iter().any(|id| b.contains(id));
        let all = |row: &Self| [ids(&row.positives), ids(&row.negatives)].concat();
        let (own, others) = (all(self), all(other));
        (anchors && self.anchor % 12 == other.anchor % 12)
            || meet(&ids(&self.positives), &others)
            || meet(&ids(&other.positives), &own)
            || (strict && meet(&own, &others))
    }
}

fn planned(
    rows: &[Row],
    anchors: bool,
    strict: bool,
    size: usize,
    how: (Policy, Remainder),
    seed: u64,
) -> Option<NoDuplicates> {
    let of =
        |ids: fn(&Row) -> [u8; 2]| rows.iter().flat_map(|row| ids(row).map(document)).collect::<Vec<i64>>();
    let own: Vec<i64> = rows.iter().map(|row| i64::from(row.anchor % 12)).collect();
    let (positives, negatives) = (of(|row| row.positives), of(|row| row.negatives));
    let column = |argument, ids, width| Column { argument, ids, width };
    let columns = Columns {
        rows: rows.len(),
        anchors: column("anchors", if anchors { &own } else { &[] }, usize::from(anchors)),
        positives: column("positives", &positives, 2),
        negatives: column("negatives", &negatives, 2),
        n_anchors: 12,
        n_documents: 6,
        strict,
    };
    let plan = NoDuplicates::new(&columns, size, how.0, how.1, seed, &run(Isa::Scalar));
    assert!(
        plan.is_ok() || size == 0 || size > rows.len() || how.0 != Policy::Extend || how.1 == Remainder::Pad
    );
    plan.ok()
}

/// Checks the steps of an epoch against the contract.
fn steps(
    rows: &[Row],
    anchors: bool,
    strict: bool,
    size: usize,
    how: (Policy, Remainder),
    plan: &NoDuplicates,
    epoch: &Epoch,
) {
    let n = rows.len();
    assert_eq!(epoch.offsets.len(), plan.emitted() + 1);
    assert_eq!((epoch.offsets[0], epoch.offsets[plan.emitted()]), (0, epoch.rows.len() as i64));
    let mut times = vec![0; n];
    let mut pairs = 0;
    for (number, ends) in epoch.offsets.windows(2).enumerate() {
        let step = &epoch.rows[ends[0] as usize..ends[1] as usize];
        assert!(are_distinct(step) && !step.is_empty() && step.len() <= size);
        let is_short = how.1 == Remainder::Short && number + 1 == plan.emitted();
        assert!(!plan.is_full() || is_short || step.len() == size);
        for (i, a) in step.iter().enumerate() {
            times[*a as usize] += 1;
            for b in &step[..i] {
                pairs += u32::from(rows[*a as usize].conflicts(&rows[*b as usize], anchors, strict));
            }
        }
    }
    assert!(how.0 == Policy::Spread || pairs == 0, "{pairs} conflicts");
    let counted = plan.together(&epoch.rows, &epoch.offsets, &run(Isa::Scalar)).expect("counts").0;
    assert_eq!(counted > 0, pairs > 0);
    let held = if how.1 == Remainder::Drop { 0..=1 } else { usize::from(how.0 != Policy::Drop)..=2 };
    assert!(times.iter().all(|times| held.contains(times)), "{times:?}");
    assert!(how.1 != Remainder::Short || how.0 == Policy::Drop || times.iter().all(|times| *times == 1));
}

fn no_duplicates(
    rows: &[Row],
    anchors: bool,
    strict: bool,
    size: usize,
    how: (Policy, Remainder),
    place: Place,
) {
    let Some(plan) = planned(rows, anchors, strict, size, how, place.seed) else { return };
    assert!(plan.bound().steps <= plan.needed());
    let epoch = plan.epoch(place.epoch, &run(Isa::Scalar)).expect("an epoch");
    steps(rows, anchors, strict, size, how, &plan, &epoch);
    let again = NoDuplicates::restored(plan.parts(), &run(Isa::Scalar)).expect("the same parts");
    assert_eq!(again.epoch(place.epoch, &run(Isa::Scalar)), Ok(epoch));
}

/// A share of a mixture.
#[derive(Arbitrary, Clone, Copy, Debug)]
enum Share {
    Whole(u8),
    Part(u16),
    Bits(f64),
}

impl Share {
    fn value(self) -> f64 {
        match self {
            Self::Whole(share) => f64::from(share),
            Self::Part(share) => f64::from(share) / 65_536.0,
            Self::Bits(share) => share,
        }
    }
}

fn mixture(shares: &[Share], steps: usize, width: u64, is_long: bool) {
    let shares: Vec<f64> = shares.iter().map(|share| share.value()).collect();
    let are_shares = shares.iter().all(|share| *share >= 0.0 && share.is_finite())
        && shares.iter().any(|share| *share > 0.0);
    let found = rows_of_steps(&shares, steps, width, &run(Isa::Scalar));
    assert_eq!(found.is_ok(), are_shares);
    let Ok(counts) = found else { return };
    let mut sums = vec![0; shares.len()];
    let total = |source: usize| counts.iter().skip(source).step_by(shares.len()).sum::<i64>() as f64;
    for (step, row) in counts.chunks(shares.len()).enumerate() {
        assert_eq!(row.iter().sum::<i64>(), width as i64);
        for (source, count) in row.iter().enumerate() {
            sums[source] += count;
            let exact = total(source) * (step + 1) as f64 / steps as f64;
            assert!(*count >= 0 && (sums[source] as f64 - exact).abs() < 1.0 + 1e-9, "{shares:?}");
        }
    }
    if !is_long {
        return;
    }
    let plan = MixtureSteps::new(&shares, steps as u64, &run(Isa::Scalar)).expect("shares");
    let (mut before, mut last) = (vec![0; shares.len()], None);
    for epoch in 0..20 {
        let found = plan.epoch(epoch, last.as_ref(), &run(Isa::Scalar)).expect("an epoch");
        assert_eq!(found.before(), before);
        assert_eq!(found.now.iter().sum::<u64>(), steps as u64);
        for ((before, now), mean) in before.iter_mut().zip(&found.now).zip(plan.mean()) {
            *before += u128::from(*now);
            assert!((*before as f64 - (epoch + 1) as f64 * mean).abs() < 1.0, "{shares:?}");
        }
        last = Some(found);
    }
    assert_eq!(last, plan.epoch(19, None, &run(Isa::Scalar)).ok());
}

fuzz_target!(|case: Case| match case {
    Case::Permutation { n, place, start, len } => {
        // Up to 256 rows are shuffled, more go through a cipher.
        let n = u64::from(n % 700);
        permutation(n, place, u64::from(start) % (n + 2), u64::from(len));
    }
    Case::Clusters { labels: Labels(labels), batch, together, random, tree, filled, place } => {
        let (batch, batches_per_step) = (usize::from(batch % 12), 1 + usize::from(together % 3));
        let step = (batch * batches_per_step).max(1);
        let steps = if filled { labels.len().div_ceil(step) } else { labels.len() / step };
        let random = usize::from(random) % (batch + 2);
        let emitted = steps * batches_per_step;
        let plan = ClusterBatches {
            labels: &labels,
            clusters: 8,
            batch,
            batches_per_step,
            random,
            tree,
            emitted,
            seed: place.seed,
        };
        clusters(&labels, &plan, place.epoch);
    }
    Case::Topics { labels, batch, share, random, by_size, place } => {
        let lists = labels.lists();
        let (offsets, items) = flat(&lists);
        let clusters = CsrView::new("clusters", &offsets, &items, lists.len()).expect("lists");
        let (batch, share) = (usize::from(batch) % (items.len() + 2), usize::from(share % 12));
        let random = usize::from(random) % (batch + 2);
        topics(
            &lists,
            &TopicBatches { clusters, batch, share, random, by_size, seed: place.seed },
            place.epoch,
        );
    }
    Case::Classes { labels, per_batch, per_class, batches, seed } => {
        let lists = labels.lists();
        let (offsets, items) = flat(&lists);
        let plan = ClassBatches {
            classes: CsrView::new("classes", &offsets, &items, lists.len()).expect("lists"),
            per_batch: usize::from(per_batch) % (lists.len() + 2),
            per_class: usize::from(per_class % 7),
            batches: u64::from(batches % 6),
            seed,
        };
        classes(&lists, &plan);
    }
    Case::NoDuplicates { mut rows, anchors, strict, size, policy, remainder, place } => {
        // Hard cases are searched exhaustively.
        rows.truncate(7);
        let how = (
            [Policy::Extend, Policy::Drop, Policy::Spread][usize::from(policy % 3)],
            [Remainder::Pad, Remainder::Drop, Remainder::Short][usize::from(remainder % 3)],
        );
        no_duplicates(&rows, anchors, strict, usize::from(size) % (rows.len() + 2), how, place);
    }
    Case::Mixture { mut shares, steps, width, long } => {
        shares.truncate(6);
        // A plan of many epochs looks through a thousand of them when it is made.
        let is_long = long % 32 == 0;
        mixture(&shares, 1 + usize::from(steps % 12), 1 + u64::from(width % 16), is_long);
    }
});
