//! Parallel map over numbered items with scoped threads; no thread pool outlives a call, so a fork loses nothing.
//!
//! Items are handed out in ascending order from one counter and results are returned in item order, so a result never
//! depends on the schedule; of several errors the one of the lowest item is reported, for every lower item had been
//! handed out before and runs to its end. Spawning costs about 50 us for two threads, which is negligible compared with
//! a mining call.
//!
//! **One clock per call.** A call may consist of thousands of short pieces, each shorter than the interval between two
//! reports. The clock therefore belongs to the call ([`Watch`]) and not to a piece: every loop polls as often as it
//! likes, and the watch passes a report on only when one is due. A loop without threads polls with [`Run::tick`].

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use negmine_kernels::fpenv::DefaultFloatEnv;
use negmine_kernels::isa::Isa;

use super::{Error, Result};

/// Time between two reports to the caller.
const REPORT_EVERY: Duration = Duration::from_millis(50);

/// Operations of some nanoseconds between two polls of a loop.
const OPERATIONS: usize = 1 << 16;

/// How a call runs. No field changes a result.
#[derive(Clone, Copy)]
pub struct Run<'a> {
    /// Threads, the calling one included; at least 1.
    pub threads: usize,
    /// The instruction set.
    pub isa: Isa,
    /// Called on the calling thread with (finished items, all items), more often than the caller needs reports: see
    /// [`Watch`]. True means stop.
    pub poll: &'a (dyn Fn(usize, usize) -> bool + Sync),
}

/// Forwards the progress reports of the pieces of one call: about every 50 ms, never backwards while the total stays
/// the same, and once at the end of the call.
pub struct Watch<'a> {
    report: &'a (dyn Fn(usize, usize) -> bool + Sync),
    begun: Instant,
    state: Mutex<State>,
}

/// The state of a watch for the current total.
#[derive(Clone, Copy)]
struct State {
    /// Time after the start of the call at which the next report is due.
    due: Duration,
    total: usize,
    /// The number of finished items in the last report.
    reported: Option<usize>,
    /// Whether a report was answered with a wish to stop, which holds for the rest of the call.
    stopped: bool,
}

impl State {
    /// Whether the final report, that all items are done, is still missing.
    fn is_open(&self) -> bool {
        self.reported != Some(self.total)
    }
}

impl<'a> Watch<'a> {
    /// Starts the clock of a call; the first report is due after 50 ms.
    #[must_use]
    pub fn new(report: &'a (dyn Fn(usize, usize) -> bool + Sync)) -> Self {
        let state = State { due: REPORT_EVERY, total: 0, reported: None, stopped: false };
        Self { report, begun: Instant::now(), state: Mutex::new(state) }
    }

    /// The function for [`Run::poll`]: reports if a report is due. True means stop.
    pub fn poll(&self, done: usize, total: usize) -> bool {
        self.poll_at(self.begun.elapsed(), done, total)
    }

    fn poll_at(&self, now: Duration, done: usize, total: usize) -> bool {
        let mut state = self.lock();
        let before = *state;
        if before.stopped {
            return true;
        }
        if total != before.total {
            *state = State { total, reported: None, ..before };
        }
        let due = now >= state.due;
        let done = done.min(total).max(state.reported.unwrap_or(0));
        if due {
            state.reported = Some(done);
        }
        // The caller's code may be slow, and may call this function again.
        drop(state);
        let closes = total != before.total && before.reported.is_some() && before.is_open();
        let mut stop = closes && (self.report)(before.total, before.total);
        if due {
            stop |= (self.report)(done, total);
            // Counted from the end of the report, which may itself take long.
            self.lock().due = self.begun.elapsed().max(now) + REPORT_EVERY;
        }
        if stop {
            self.lock().stopped = true;
        }
        stop
    }

    /// Reports that the call is complete, unless the last report said so.
    pub fn finish(&self) -> bool {
        let state = *self.lock();
        state.is_open() && (self.report)(state.total, state.total)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The interrupt check of a worker between two pieces of its work.
pub struct Ticker<'a> {
    stop: &'a AtomicBool,
    /// Present on the calling thread only, which alone may call the caller's code.
    poll: Option<&'a dyn Fn() -> bool>,
}

impl Ticker<'_> {
    /// Returns an error once the call was asked to stop.
    ///
    /// # Errors
    /// Returns [`Error::Interrupted`].
    pub fn check(&self) -> Result<()> {
        if self.poll.is_some_and(|poll| poll()) {
            self.stop.store(true, Ordering::Relaxed);
        }
        if self.stop.load(Ordering::Relaxed) { Err(Error::Interrupted) } else { Ok(()) }
    }
}

/// The polls of a loop of the calling thread whose steps differ in length.
pub(crate) struct Pace<'a> {
    run: &'a Run<'a>,
    operations: usize,
}

impl<'a> Pace<'a> {
    pub(crate) fn new(run: &'a Run<'a>) -> Self {
        Self { run, operations: 0 }
    }

    /// Counts the operations of a step, of some nanoseconds each, and polls after enough of them.
    ///
    /// # Errors
    /// Returns [`Error::Interrupted`].
    #[inline]
    pub(crate) fn step(&mut self, operations: usize) -> Result<()> {
        self.operations += operations;
        if self.operations < OPERATIONS {
            return Ok(());
        }
        self.operations = 0;
        self.run.tick(0, 1)
    }
}

impl Run<'_> {
    /// Polls from a loop of the calling thread, which has finished `done` of `total` items. It takes some 30 ns.
    ///
    /// # Errors
    /// Returns [`Error::Interrupted`].
    pub fn tick(&self, done: usize, total: usize) -> Result<()> {
        if (self.poll)(done, total) { Err(Error::Interrupted) } else { Ok(()) }
    }

    /// The parts of a result, one after the other.
    ///
    /// # Errors
    /// Returns [`Error::Interrupted`].
    pub(crate) fn concat<T: Copy>(&self, parts: Vec<Vec<T>>) -> Result<Vec<T>> {
        let mut pace = Pace::new(self);
        let mut all = Vec::with_capacity(parts.iter().map(Vec::len).sum());
        for part in parts {
            pace.step(part.len())?;
            all.extend_from_slice(&part);
        }
        Ok(all)
    }

    /// Runs work that cannot be interrupted on a thread of its own, while this one polls. After an interrupt the thread
    /// works on until its end, some seconds at most, and its result is dropped.
    ///
    /// # Errors
    /// Returns [`Error::Interrupted`].
    pub(crate) fn aside<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        self.tick(0, 1)?;
        let slot = Arc::new(Mutex::new(Some(work)));
        let caller = std::thread::current();
        let start = move || {
            let _env = DefaultFloatEnv::new();
            let work = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
            let outcome = work.map(|work| work());
            caller.unpark();
            outcome
        };
        let outcome = match std::thread::Builder::new().spawn(start.clone()) {
            Ok(thread) => {
                while !thread.is_finished() {
                    std::thread::park_timeout(Duration::from_millis(1));
                    self.tick(0, 1)?;
                }
                thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            }
            // As in `map`, a thread that cannot be started is not a failure.
            Err(_) => start(),
        };
        outcome.ok_or(Error::Interrupted)
    }

    /// Runs a part of a call, whose own progress counts as `steps` of the `total` steps of the whole, in whole steps.
    /// With an empty range the progress does not change.
    pub fn part<T>(&self, steps: Range<usize>, total: usize, work: impl FnOnce(&Run<'_>) -> T) -> T {
        let width = steps.len() as u128;
        let poll = |done: usize, all: usize| {
            let share = (width * done.min(all) as u128).checked_div(all as u128).unwrap_or(0);
            (self.poll)(steps.start + share as usize, total)
        };
        work(&Run { poll: &poll, ..*self })
    }

    /// Runs `work` on items `0..items`, each worker with a state of its own from `state`; results in item order.
    ///
    /// # Errors
    /// The error of the lowest item that failed, or [`Error::Interrupted`].
    pub fn map<S, T: Send>(
        &self,
        items: usize,
        state: impl Fn() -> S + Sync,
        work: impl Fn(&mut S, usize, &Ticker<'_>) -> Result<T> + Sync,
    ) -> Result<Vec<T>> {
        // The calling thread may get no item of a short piece.
        self.tick(0, items)?;
        let next = AtomicUsize::new(0);
        let done = AtomicUsize::new(0);
        let stop = AtomicBool::new(false);
        let failure: Mutex<Option<(usize, Error)>> = Mutex::new(None);
        let worker = |poll: Option<&dyn Fn() -> bool>| -> Vec<(usize, T)> {
            let _env = DefaultFloatEnv::new();
            let ticker = Ticker { stop: &stop, poll };
            let mut results = Vec::new();
            let mut own = None;
            loop {
                let item = next.fetch_add(1, Ordering::Relaxed);
                if item >= items {
                    return results;
                }
                let outcome =
                    ticker.check().and_then(|()| work(own.get_or_insert_with(&state), item, &ticker));
                match outcome {
                    Ok(result) => results.push((item, result)),
                    Err(error) => {
                        // Higher items no longer matter; lower items have already been handed out.
                        next.fetch_max(items, Ordering::Relaxed);
                        let mut first = failure.lock().unwrap_or_else(PoisonError::into_inner);
                        if first.as_ref().is_none_or(|(other, _)| item < *other) {
                            *first = Some((item, error));
                        }
                        return results;
                    }
                }
                done.fetch_add(1, Ordering::Relaxed);
            }
        };
        let poll = || (self.poll)(done.load(Ordering::Relaxed), items);
        let mut results = std::thread::scope(|scope| {
            // A thread that cannot be started is one fewer, not a failure.
            let others: Vec<_> = (1..self.threads.min(items))
                .map_while(|_| std::thread::Builder::new().spawn_scoped(scope, || worker(None)).ok())
                .collect();
            let mut results = worker(Some(&poll));
            for other in others {
                while !other.is_finished() {
                    std::thread::park_timeout(Duration::from_millis(1));
                    if poll() {
                        stop.store(true, Ordering::Relaxed);
                    }
                }
                match other.join() {
                    Ok(part) => results.extend(part),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            results
        });
        let failure = failure.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, error)) = failure {
            return Err(error);
        }
        // The wish may have come while this thread waited for workers that had nothing left to be stopped in.
        if stop.load(Ordering::Relaxed) {
            return Err(Error::Interrupted);
        }
        results.sort_unstable_by_key(|(item, _)| *item);
        Ok(results.into_iter().map(|(_, result)| result).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A run whose reports are written down, and what it reported.
    fn reports(work: impl FnOnce(&Run<'_>) -> Result<()>) -> Vec<(usize, usize)> {
        let seen = Mutex::new(Vec::new());
        let report = |done, total| {
            seen.lock().unwrap().push((done, total));
            false
        };
        let watch = Watch::new(&report);
        let poll = |done, total| watch.poll(done, total);
        work(&Run { threads: 2, isa: Isa::active().unwrap(), poll: &poll }).unwrap();
        assert!(!watch.finish());
        seen.into_inner().unwrap()
    }

    #[test]
    fn work_aside_is_waited_for_or_left() {
        let run = Run { threads: 1, isa: Isa::active().unwrap(), poll: &|_, _| false };
        assert_eq!(run.aside(|| 3), Ok(3));
        let (sender, receiver) = std::sync::mpsc::channel::<()>();
        let polled = AtomicUsize::new(0);
        let poll = |_, _| polled.fetch_add(1, Ordering::Relaxed) == 2;
        let run = Run { threads: 1, isa: Isa::active().unwrap(), poll: &poll };
        // It ends after the call has been interrupted, and not before.
        let waits = move || receiver.recv().is_ok();
        assert_eq!(run.aside(waits), Err(Error::Interrupted));
        drop(sender);
    }

    #[test]
    fn a_loop_polls_after_enough_operations() {
        let polled = AtomicUsize::new(0);
        let poll = |_, _| polled.fetch_add(1, Ordering::Relaxed) == 3;
        let run = Run { threads: 1, isa: Isa::active().unwrap(), poll: &poll };
        let mut pace = Pace::new(&run);
        let steps = (1..100).find(|_| pace.step(OPERATIONS / 4) == Err(Error::Interrupted));
        assert_eq!(steps, Some(16));
        assert_eq!(pace.step(1), Ok(()));
    }

    #[test]
    fn many_short_pieces_share_one_clock() {
        let pieces = 60;
        let seen = reports(|run| {
            for piece in 0..pieces {
                run.part(piece..piece + 1, pieces, |run| {
                    run.map(
                        2,
                        || (),
                        |(), _, _| {
                            std::thread::sleep(Duration::from_millis(5));
                            Ok(())
                        },
                    )
                })?;
            }
            Ok(())
        });
        // At least 300 ms, in pieces of which none need last as long as a report takes to be due.
        assert!(seen.len() > 2, "{seen:?}");
        assert!(seen.is_sorted() && seen.iter().all(|(_, total)| *total == pieces), "{seen:?}");
        assert_eq!(seen.last(), Some(&(pieces, pieces)));
    }

    #[test]
    fn a_loop_without_threads_is_interrupted() {
        let watch = Watch::new(&|_, _| true);
        let hour = Duration::from_hours(1);
        let poll = |done, total| watch.poll_at(hour, done, total);
        let run = Run { threads: 1, isa: Isa::active().unwrap(), poll: &poll };
        assert_eq!(run.tick(0, 1), Err(Error::Interrupted));
    }

    #[test]
    fn a_wish_to_stop_that_comes_while_workers_end_is_not_lost() {
        // The calling thread polls as the piece starts, before its own item, and then as it waits for the other worker,
        // which ends only after that poll was answered.
        let polled = AtomicUsize::new(0);
        let poll = |_, _| polled.fetch_add(1, Ordering::Relaxed) + 1 == 3;
        let run = Run { threads: 2, isa: Isa::active().unwrap(), poll: &poll };
        let (caller, both) = (std::thread::current().id(), std::sync::Barrier::new(2));
        let work = |(): &mut (), _: usize, _: &Ticker<'_>| {
            both.wait();
            while std::thread::current().id() != caller && polled.load(Ordering::Relaxed) < 3 {
                std::thread::yield_now();
            }
            Ok(())
        };
        assert_eq!(run.map(2, || (), work), Err(Error::Interrupted));

        let answers = AtomicUsize::new(0);
        let report = |_, _| answers.fetch_add(1, Ordering::Relaxed) == 0;
        let watch = Watch::new(&report);
        let hour = Duration::from_hours(1);
        assert!(watch.poll_at(hour, 1, 2));
        assert!(watch.poll_at(hour, 1, 2), "for the rest of the call");
        assert_eq!(answers.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn the_last_report_of_a_call_says_that_all_is_done() {
        let short = reports(|run| run.map(3, || (), |(), _, _| Ok(())).map(drop));
        assert_eq!(short.last(), Some(&(3, 3)));
        assert_eq!(reports(|_| Ok(())), [(0, 0)]);
    }

    #[test]
    fn progress_never_goes_back_and_every_reported_total_is_completed_once() {
        let seen = Mutex::new(Vec::new());
        let report = |done, total| {
            seen.lock().unwrap().push((done, total));
            false
        };
        let watch = Watch::new(&report);
        // Far from the present, so that the test does not depend on how long it takes.
        let start = Duration::from_hours(1);
        for (now, done, total) in
            [(0, 3, 4), (10, 4, 4), (60, 2, 4), (120, 1, 5), (130, 9, 9), (200, 2, 7), (260, 7, 7)]
        {
            assert!(!watch.poll_at(start + Duration::from_millis(now), done, total));
        }
        assert!(!watch.finish());
        assert_eq!(seen.into_inner().unwrap(), [(3, 4), (3, 4), (4, 4), (1, 5), (5, 5), (2, 7), (7, 7)]);
    }

    #[test]
    fn a_part_counts_as_its_steps_of_the_whole() {
        let seen = Mutex::new(Vec::new());
        let poll = |done, total| {
            seen.lock().unwrap().push((done, total));
            false
        };
        let run = Run { threads: 1, isa: Isa::active().unwrap(), poll: &poll };
        run.part(4..8, 10, |run| run.part(100..200, 200, |run| run.tick(1, 2))).unwrap();
        run.part(8..8, 10, |run| run.tick(3, 4)).unwrap();
        run.part(8..10, 10, |run| run.tick(0, 0)).unwrap();
        assert_eq!(seen.into_inner().unwrap(), [(7, 10), (8, 10), (8, 10)]);
    }
}
