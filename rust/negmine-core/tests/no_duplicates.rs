//! Plans without duplicates, held to code of its own: every epoch is verified from the columns alone, the number of
//! steps of small data is compared with the least there is, and packings without slack are planted and found again.
#![allow(clippy::unwrap_used, reason = "a test fails where a value is missing")]

use negmine_core::base::parallel::Run;
use negmine_core::batch::{Column, Columns, Epoch, NoDuplicates, Policy, Remainder};
use negmine_kernels::Isa;
use proptest::prelude::*;

/// Rows of (anchors, positives, negatives).
#[derive(Clone, Debug, Default)]
struct Data {
    anchors: Vec<i64>,
    positives: Vec<Vec<i64>>,
    negatives: Vec<Vec<i64>>,
    strict: bool,
}

impl Data {
    fn len(&self) -> usize {
        self.positives.len()
    }

    fn plan(&self, size: usize, remainder: Remainder) -> negmine_core::base::Result<NoDuplicates> {
        self.plan_of_seed(size, remainder, 1)
    }

    fn plan_of_seed(
        &self,
        size: usize,
        remainder: Remainder,
        seed: u64,
    ) -> negmine_core::base::Result<NoDuplicates> {
        self.plan_by(size, Policy::Extend, remainder, seed)
    }

    fn plan_by(
        &self,
        size: usize,
        policy: Policy,
        remainder: Remainder,
        seed: u64,
    ) -> negmine_core::base::Result<NoDuplicates> {
        let widest = |lists: &[Vec<i64>]| lists.iter().map(Vec::len).max().unwrap_or(0);
        let flat = |lists: &[Vec<i64>]| -> Vec<i64> {
            let width = widest(lists);
            lists
                .iter()
                .flat_map(|list| list.iter().copied().chain(std::iter::repeat_n(-1, width - list.len())))
                .collect()
        };
        let (positives, negatives) = (flat(&self.positives), flat(&self.negatives));
        let column = |argument, ids, width| Column { argument, ids, width };
        let columns = Columns {
            rows: self.len(),
            anchors: column("anchors", &self.anchors, usize::from(!self.anchors.is_empty())),
            positives: column("positives", &positives, widest(&self.positives)),
            negatives: column("negatives", &negatives, widest(&self.negatives)),
            n_anchors: 5_000,
            n_documents: 5_000,
            strict: self.strict,
        };
        NoDuplicates::new(&columns, size, policy, remainder, seed, &run())
    }

    /// The definition, for two rows.
    fn conflict(&self, a: usize, b: usize) -> bool {
        let documents = |row: usize| -> Vec<i64> {
            self.positives[row].iter().chain(self.negatives.get(row).into_iter().flatten()).copied().collect()
        };
        let meet = |x: &[i64], y: &[i64]| x.iter().any(|id| y.contains(id));
        let anchors = !self.anchors.is_empty() && self.anchors[a] == self.anchors[b];
        let (all_a, all_b) = (documents(a), documents(b));
        anchors
            || if self.strict {
                meet(&all_a, &all_b)
            } else {
                meet(&self.positives[a], &all_b) || meet(&self.positives[b], &all_a)
            }
    }

    /// Whether the rows fit `steps` steps: sizes as the contract fixes them.
    fn fits(rivals: &[Vec<bool>], size: usize, steps: usize) -> bool {
        let n = rivals.len();
        let room: Vec<usize> = if steps == n.div_ceil(size) {
            (0..steps).map(|s| size.min(n - s * size)).collect()
        } else {
            (0..steps).map(|s| n / steps + usize::from(s < n % steps)).collect()
        };
        Self::assign(rivals, 0, &mut vec![Vec::new(); steps], &room)
    }

    fn assign(rivals: &[Vec<bool>], row: usize, steps: &mut [Vec<usize>], room: &[usize]) -> bool {
        if row == rivals.len() {
            return true;
        }
        for s in 0..steps.len() {
            if s > 0 && steps[s].is_empty() && steps[s - 1].is_empty() && room[s] == room[s - 1] {
                continue;
            }
            if steps[s].len() < room[s] && steps[s].iter().all(|other| !rivals[row][*other]) {
                steps[s].push(row);
                if Self::assign(rivals, row + 1, steps, room) {
                    return true;
                }
                steps[s].pop();
            }
        }
        false
    }

    fn least(&self, size: usize) -> usize {
        let n = self.len();
        let rivals: Vec<Vec<bool>> = (0..n).map(|a| (0..n).map(|b| self.conflict(a, b)).collect()).collect();
        (n.div_ceil(size)..n).find(|steps| Self::fits(&rivals, size, *steps)).unwrap_or(n)
    }

    /// Checks that steps are full and without conflict; how often each row is in one.
    fn full_steps(&self, plan: &NoDuplicates, epoch: &Epoch, size: usize) -> Vec<usize> {
        let mut times = vec![0; self.len()];
        assert_eq!(epoch.rows.len(), plan.emitted() * size);
        for step in epoch.rows.chunks(size) {
            for (i, a) in step.iter().enumerate() {
                times[*a as usize] += 1;
                for b in &step[..i] {
                    assert!(a != b && !self.conflict(*a as usize, *b as usize), "rows {a} and {b}");
                }
            }
        }
        times
    }

    /// Checks an epoch against the contract.
    fn verify(&self, plan: &NoDuplicates, epoch: &Epoch, size: usize, remainder: Remainder) {
        let n = self.len();
        let mut times = vec![0; n];
        assert_eq!(epoch.offsets.len(), plan.emitted() + 1);
        assert_eq!(epoch.offsets[plan.emitted()] as usize, epoch.rows.len());
        for (number, ends) in epoch.offsets.windows(2).enumerate() {
            let step = &epoch.rows[ends[0] as usize..ends[1] as usize];
            if plan.is_full() {
                let begin = if remainder == Remainder::Short { number * size } else { 0 };
                assert_eq!(step.len(), size.min(n - begin));
            } else {
                assert!(step.len() == n / plan.steps() || step.len() == n / plan.steps() + 1);
            }
            for (i, a) in step.iter().enumerate() {
                times[*a as usize] += 1;
                for b in &step[..i] {
                    assert!(a != b && !self.conflict(*a as usize, *b as usize), "rows {a} and {b}");
                }
            }
        }
        let rest = if plan.is_full() { n % size } else { 0 };
        match remainder {
            Remainder::Drop => {
                assert!(times.iter().all(|count| *count <= 1));
                assert_eq!(times.iter().sum::<usize>(), n - rest);
            }
            Remainder::Pad => {
                assert!(times.iter().all(|count| *count >= 1));
                assert_eq!(times.iter().sum::<usize>(), n + if rest > 0 { size - rest } else { 0 });
            }
            Remainder::Short => assert!(times.iter().all(|count| *count == 1)),
        }
    }
}

fn run() -> Run<'static> {
    Run { threads: 1, isa: Isa::active().unwrap(), poll: &|_, _| false }
}

/// Splitmix64.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % n as u64) as usize
    }
}

#[test]
fn small_data_need_the_least_number_of_steps() {
    let mut random = Random(1);
    let mut from_base = 0;
    for case in 0..30_000 {
        let n = 2 + random.below(7);
        let ids = 1 + random.below(6);
        let mut data = Data { strict: case % 2 == 0, ..Data::default() };
        for _ in 0..n {
            let mut list = |most: usize| -> Vec<i64> {
                let count = random.below(most + 1);
                (0..count).map(|_| random.below(ids) as i64).collect()
            };
            let positives = list(2);
            let negatives = list(3 - positives.len());
            data.positives.push(positives);
            data.negatives.push(negatives);
        }
        if case % 3 == 0 {
            data.anchors = (0..n).map(|_| random.below(n) as i64).collect();
        }
        let size = 1 + random.below(n);
        let least = data.least(size);
        let plan = data.plan(size, Remainder::Drop).unwrap();
        assert_eq!(plan.steps(), least, "case {case}: {data:?}, size {size}");
        assert!(plan.bound().steps <= least);
        for number in 0..3 {
            let epoch = plan.epoch(number, &run()).unwrap();
            data.verify(&plan, &epoch, size, Remainder::Drop);
            from_base += usize::from(epoch.from_base);
        }
        let short = data.plan(size, Remainder::Short).unwrap();
        for epoch in 0..3 {
            data.verify(&short, &short.epoch(epoch, &run()).unwrap(), size, Remainder::Short);
        }
        if let Ok(padded) = data.plan(size, Remainder::Pad) {
            for epoch in 0..3 {
                data.verify(&padded, &padded.epoch(epoch, &run()).unwrap(), size, Remainder::Pad);
            }
        }
    }
    eprintln!("{from_base} epochs of small data from the base");
}

/// What a row does with each of three ids: nothing, a positive, or (unless `strict`) a negative.
fn kinds(strict: bool) -> Vec<[u8; 3]> {
    let uses = if strict { 2 } else { 3 };
    (0..uses * uses * uses).map(|kind| [kind % uses, kind / uses % uses, kind / uses / uses]).collect()
}

/// Whether no other naming of the ids gives a smaller list of kinds.
fn is_first_of_its_names(rows: &[[u8; 3]]) -> bool {
    [[0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]].iter().all(|names| {
        let mut named: Vec<[u8; 3]> = rows.iter().map(|row| names.map(|id: usize| row[id])).collect();
        named.sort_unstable();
        named.as_slice() >= rows
    })
}

/// Holds the number of steps of every instance of `n` rows and three ids, but for names and the order of rows, and of
/// every size of a step to the least there is; how many there were.
fn every_instance(n: usize, strict: bool) -> usize {
    let mut kinds = kinds(strict);
    kinds.sort_unstable();
    let (mut chosen, mut seen) = (vec![0; n], 0);
    let mut least = std::collections::HashMap::new();
    loop {
        let rows: Vec<[u8; 3]> = chosen.iter().map(|kind| kinds[*kind]).collect();
        if is_first_of_its_names(&rows) {
            let ids = |used| {
                let of = |row: &[u8; 3]| (0..3).filter(|id| row[*id] == used).map(|id| id as i64).collect();
                rows.iter().map(of).collect::<Vec<Vec<i64>>>()
            };
            let data = Data { positives: ids(1), negatives: ids(2), strict, ..Data::default() };
            let rivals: u64 = (0..n * n)
                .filter(|pair| pair / n > pair % n && data.conflict(pair / n, pair % n))
                .fold(0, |all, pair| all | 1 << pair);
            for size in 1..=n {
                let expected = *least.entry((rivals, size)).or_insert_with(|| data.least(size));
                let steps = data.plan(size, Remainder::Drop).map(|plan| plan.steps());
                assert_eq!(steps, Ok(expected), "{data:?}, size {size}");
            }
            seen += n;
        }
        // The next list of kinds that does not fall.
        let Some(place) = chosen.iter().rposition(|kind| *kind + 1 < kinds.len()) else { return seen };
        let next = chosen[place] + 1;
        chosen[place..].fill(next);
    }
}

#[test]
fn every_small_instance_of_three_ids_needs_the_least_number_of_steps() {
    let strict: usize = (1..=8).map(|n| every_instance(n, true)).sum();
    let weak: usize = (1..=5).map(|n| every_instance(n, false)).sum();
    eprintln!("{strict} strict instances, {weak} weak ones");
}

#[test]
#[ignore = "tens of millions of instances, for ten minutes"]
fn every_weak_instance_of_eight_rows_and_three_ids_needs_the_least_number_of_steps() {
    for n in 6..=8 {
        eprintln!("{} weak instances of {n} rows", every_instance(n, false));
    }
}

/// Steps without conflict and without slack, their rows shuffled.
fn planted(random: &mut Random, strict: bool) -> (Data, usize, usize) {
    let steps = 2 + random.below(30);
    let size = 2 + random.below(24);
    let width = 1 + random.below(3);
    let ids = size * width + random.below(3 * size * width);
    let mut rows: Vec<Vec<i64>> = Vec::new();
    for _ in 0..steps {
        let mut pool: Vec<i64> = (0..ids as i64).collect();
        for i in (1..pool.len()).rev() {
            pool.swap(i, random.below(i + 1));
        }
        for _ in 0..size {
            let count = 1 + random.below(width);
            rows.push(pool.split_off(pool.len() - count));
        }
    }
    for i in (1..rows.len()).rev() {
        rows.swap(i, random.below(i + 1));
    }
    let mut data = Data { strict, ..Data::default() };
    for mut row in rows {
        let shared = if strict { 0 } else { random.below(row.len()) };
        data.negatives.push(row.split_off(row.len() - shared));
        data.positives.push(row);
    }
    (data, size, steps)
}

#[test]
fn planted_packings_without_slack_are_found() {
    let mut random = Random(7);
    let (mut missed, mut from_base) = (0, 0);
    for case in 0..1_000 {
        let (data, size, steps) = planted(&mut random, case % 2 == 0);
        let plan = data.plan(size, Remainder::Pad).unwrap();
        missed += usize::from(plan.steps() != steps);
        if plan.steps() != steps {
            eprintln!("case {case}: {} steps for {steps} of {size}", plan.steps());
        }
        let epoch = plan.epoch(5, &run()).unwrap();
        from_base += usize::from(epoch.from_base);
        data.verify(&plan, &epoch, size, Remainder::Pad);
    }
    eprintln!("{missed} missed, {from_base} from the base");
    assert_eq!(missed, 0);
}

#[test]
fn ids_in_every_step_are_kept_apart() {
    // 50 ids and 50 others, each in as many rows as there are steps: rows are the edges of a regular bipartite graph,
    // which has as many colors (König 1916). There is no slack, and every other row has no such id.
    let mut random = Random(5);
    for (steps, frequent, others) in [(40, 50, 50), (40, 50, 0), (25, 8, 3), (100, 20, 5)] {
        let mut ends: Vec<i64> = (0..frequent).flat_map(|id| vec![id; steps]).collect();
        for i in (1..ends.len()).rev() {
            ends.swap(i, random.below(i + 1));
        }
        let mut data = Data { strict: true, ..Data::default() };
        for (place, end) in ends.iter().enumerate() {
            data.positives.push(vec![place as i64 / steps as i64, 1_000 + end]);
        }
        let light = others * steps;
        data.positives.extend((0..light).map(|row| vec![2_000 + row as i64]));
        data.negatives = vec![Vec::new(); data.positives.len()];
        let size = frequent as usize + others;
        let plan = data.plan(size, Remainder::Pad).unwrap();
        assert_eq!(plan.steps(), steps);
        for epoch in 0..3 {
            let found = plan.epoch(epoch, &run()).unwrap();
            assert!(!found.from_base);
            data.verify(&plan, &found, size, Remainder::Pad);
        }
    }
}

#[test]
fn many_copies_of_one_document_force_as_many_steps() {
    let mut data = Data::default();
    for row in 0..3_000_i64 {
        data.anchors.push(row);
        data.positives.push(vec![if row % 10 == 0 { 0 } else { row }]);
        data.negatives.push(if row % 4 == 1 { vec![0] } else { vec![3_000 + row % 7] });
    }
    // Document 0: a positive of 300 rows and a negative of 750, in steps of at most 9.
    let plan = data.plan(100, Remainder::Pad).unwrap();
    assert_eq!((plan.bound().exclusive, plan.bound().shared), (300, 750));
    assert_eq!(plan.bound().steps, 300 + 94);
    assert!(!plan.is_full());
    eprintln!("{} steps against {}", plan.steps(), plan.bound().steps);
    for epoch in 0..3 {
        data.verify(&plan, &plan.epoch(epoch, &run()).unwrap(), 100, Remainder::Pad);
    }
}

#[test]
fn every_epoch_and_seed_has_an_order_of_its_own_and_the_same_number_of_steps() {
    let mut random = Random(3);
    let mut data = Data { strict: true, ..Data::default() };
    for _ in 0..5_000 {
        data.positives.push(vec![random.below(4_000) as i64, random.below(4_000) as i64]);
    }
    data.negatives = vec![Vec::new(); 5_000];
    let plan = data.plan(128, Remainder::Pad).unwrap();
    assert!(plan.is_full());
    let first = plan.epoch(0, &run()).unwrap();
    assert!(!first.from_base);
    assert_eq!(first, plan.epoch(0, &run()).unwrap());
    assert_ne!(first.rows, plan.epoch(1, &run()).unwrap().rows);
    let other = data.plan_of_seed(128, Remainder::Pad, 2).unwrap();
    assert_ne!(first.rows, other.epoch(0, &run()).unwrap().rows);
    for epoch in 0..5 {
        data.verify(&plan, &plan.epoch(epoch, &run()).unwrap(), 128, Remainder::Pad);
    }
}

#[test]
fn a_last_step_that_cannot_be_filled_is_an_error() {
    // Two steps of 2 and a rest of 1, and one anchor in every step: no row may stand next to the rest.
    let data = Data {
        anchors: vec![0, 1, 2, 3, 4],
        positives: vec![vec![5], vec![5], vec![5], vec![9], vec![9]],
        negatives: vec![vec![9], vec![9], vec![9], vec![], vec![]],
        strict: false,
    };
    assert!(data.plan(2, Remainder::Drop).is_ok());
    let padded = data.plan(3, Remainder::Pad);
    assert!(padded.is_ok() || padded.unwrap_err().to_string().contains("remainder"));
    assert!(data.plan(6, Remainder::Pad).unwrap_err().to_string().contains("batch_size"));
    assert!(data.plan(0, Remainder::Pad).unwrap_err().to_string().contains("batch_size"));
}

#[test]
fn rows_of_a_frequent_id_are_left_out_in_turn() {
    // 900 rows of 10 a step; one id in 240 of them, another in 150, 20 in both.
    let mut data = Data { strict: true, ..Data::default() };
    for row in 0..900_i64 {
        let mut ids = vec![10 + row];
        ids.extend((row < 240).then_some(0));
        ids.extend((220..370).contains(&row).then_some(1));
        data.positives.push(ids);
        data.negatives.push(Vec::new());
    }
    let plan = data.plan_by(10, Policy::Drop, Remainder::Pad, 5).unwrap();
    // F steps use 530 rows of neither, and F of each id at most.
    assert!(plan.steps() >= 64 && plan.steps() * 10 <= 530 + 2 * plan.steps(), "{} steps", plan.steps());
    let mut used = vec![0; 900];
    let mut before = vec![1; 900];
    for epoch in 0..8 {
        let found = plan.epoch(epoch, &run()).unwrap();
        assert!(!found.from_base);
        let times = data.full_steps(&plan, &found, 10);
        // Of rows of one id alone, those left out go first.
        for group in [0..220, 240..370] {
            let first: Vec<usize> = group.clone().filter(|row| before[*row] == 0).collect();
            let kept = first.iter().filter(|row| times[**row] == 1).count();
            let again = group.clone().filter(|row| before[*row] == 1 && times[*row] == 1).count();
            assert!(
                epoch == 0 || kept == first.len() || again <= 20,
                "epoch {epoch}: {kept} of {}, {again}",
                first.len()
            );
        }
        for (all, times) in used.iter_mut().zip(&times) {
            *all += times;
        }
        before = times;
    }
    for group in [0..220, 240..370, 370..900] {
        let (least, most) = (used[group.clone()].iter().min().unwrap(), used[group].iter().max().unwrap());
        assert!(most - least <= 2, "{least} to {most}");
    }
}

#[test]
fn dropping_without_need_is_the_plan_without_it() {
    let data = Data {
        positives: (0..50).map(|row| vec![row % 10]).collect(),
        negatives: vec![Vec::new(); 50],
        ..Data::default()
    };
    let plain = data.plan(10, Remainder::Pad).unwrap().epoch(3, &run()).unwrap();
    for policy in [Policy::Drop, Policy::Spread] {
        let plan = data.plan_by(10, policy, Remainder::Pad, 1).unwrap();
        assert_eq!(plan.epoch(3, &run()).unwrap(), plain);
        assert_eq!(plan.together(&plain.rows, &plain.offsets, &run()), Ok((0, 0)));
    }
}

#[test]
fn a_frequent_id_is_spread_evenly() {
    for strict in [true, false] {
        let mut data = Data { strict, ..Data::default() };
        for row in 0..1_000_i64 {
            data.positives.push(vec![if row < 330 { 0 } else { 10 + row % 200 }]);
            data.negatives.push(vec![if (300..600).contains(&row) { 1 } else { 2_000 + row }]);
        }
        let plan = data.plan_by(25, Policy::Spread, Remainder::Pad, 3).unwrap();
        assert_eq!((plan.steps(), plan.emitted()), (40, 40));
        for number in 0..3 {
            let epoch = plan.epoch(number, &run()).unwrap();
            assert_eq!(
                plan.together(&epoch.rows, &epoch.offsets, &run()).unwrap().1,
                0,
                "nothing beyond an even share"
            );
            let mut pairs = 0;
            for step in epoch.rows.chunks(25) {
                assert!(step.iter().filter(|row| **row < 330).count() <= 9);
                for (i, a) in step.iter().enumerate() {
                    for b in &step[..i] {
                        let both_frequent = *a < 330 && *b < 330;
                        let shared = (300..600).contains(a) && (300..600).contains(b);
                        let conflict = data.conflict(*a as usize, *b as usize);
                        assert!(!conflict || both_frequent || strict && shared, "rows {a} and {b}");
                        pairs += u64::from(both_frequent) + u64::from(strict && shared);
                    }
                }
            }
            assert_eq!(plan.together(&epoch.rows, &epoch.offsets, &run()).unwrap().0, pairs);
            let mut sorted = epoch.rows;
            sorted.sort_unstable();
            assert!(sorted.into_iter().eq(0..1_000));
        }
    }
}

#[test]
fn a_plan_is_restored_from_its_parts() {
    let mut random = Random(11);
    let mut data = Data::default();
    for _ in 0..200 {
        data.positives.push(vec![random.below(60) as i64]);
        data.negatives.push(vec![random.below(60) as i64, random.below(500) as i64]);
    }
    for policy in [Policy::Extend, Policy::Drop, Policy::Spread] {
        let plan = data.plan_by(10, policy, Remainder::Drop, 9).unwrap();
        let again = NoDuplicates::restored(plan.parts(), &run()).unwrap();
        assert_eq!(again.parts(), plan.parts());
        for epoch in 0..2 {
            assert_eq!(again.epoch(epoch, &run()).unwrap(), plan.epoch(epoch, &run()).unwrap());
        }
    }
    let mut parts = data.plan(10, Remainder::Drop).unwrap().parts();
    parts.base[3] = 200;
    assert!(NoDuplicates::restored(parts, &run()).is_err());
}

#[test]
fn an_interrupt_ends_the_call() {
    let data = Data {
        positives: (0..400).map(|row| vec![row % 20]).collect(),
        negatives: vec![Vec::new(); 400],
        ..Data::default()
    };
    let plan = data.plan(20, Remainder::Pad).unwrap();
    let stop = Run { poll: &|_, _| true, ..run() };
    assert_eq!(plan.epoch(0, &stop), Err(negmine_core::base::Error::Interrupted));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn epochs_keep_the_contract(
        rows in prop::collection::vec(
            (0..40_i64, prop::collection::vec(0..60_i64, 0..3), prop::collection::vec(0..60_i64, 0..4)),
            1..150,
        ),
        strict: bool,
        size in 1..20_usize,
        epoch: u64,
    ) {
        let mut data = Data { strict, ..Data::default() };
        for (anchor, positives, negatives) in rows {
            data.anchors.push(anchor);
            data.positives.push(positives);
            data.negatives.push(negatives);
        }
        let size = size.min(data.len());
        let plan = data.plan(size, Remainder::Drop).unwrap();
        prop_assert!(plan.steps() >= plan.bound().steps);
        data.verify(&plan, &plan.epoch(epoch, &run()).unwrap(), size, Remainder::Drop);
    }

    #[test]
    fn dropping_and_spreading_keep_the_contract(
        rows in prop::collection::vec(
            (prop::collection::vec(0..12_i64, 0..3), prop::collection::vec(0..40_i64, 0..4)),
            2..120,
        ),
        strict: bool,
        pad: bool,
        size in 1..12_usize,
        epoch: u64,
    ) {
        let mut data = Data { strict, ..Data::default() };
        for (positives, negatives) in rows {
            data.positives.push(positives);
            data.negatives.push(negatives);
        }
        let n = data.len();
        let size = size.min(n);
        let remainder = if pad { Remainder::Pad } else { Remainder::Drop };
        if let Ok(plan) = data.plan_by(size, Policy::Drop, remainder, 3) {
            let times = data.full_steps(&plan, &plan.epoch(epoch, &run()).unwrap(), size);
            prop_assert!(plan.is_full() && pad || times.iter().all(|count| *count <= 1));
        }
        let plan = data.plan_by(size, Policy::Spread, remainder, 3).unwrap_or_else(|error| panic!("{error}"));
        let found = plan.epoch(epoch, &run()).unwrap();
        prop_assert_eq!(found.rows.len(), plan.emitted() * size);
        let mut times = vec![0; n];
        for step in found.rows.chunks(size) {
            let mut sorted = step.to_vec();
            sorted.sort_unstable();
            sorted.dedup();
            prop_assert_eq!(sorted.len(), size);
            for row in sorted {
                times[row as usize] += 1;
            }
        }
        let range = if pad { 1..=2 } else { 0..=1 };
        prop_assert!(times.iter().all(|count| range.contains(count)));
    }
}
