//! Scoped threads over numbered items; no pool outlives a call, so nothing can be lost in a fork.
//!
//! Items are handed out in rising order from one counter and results are returned in item order, so a result never
//! depends on the schedule; of several errors the one of the lowest item is reported, for every lower item had been
//! handed out before and runs to its end. Spawning costs about 50 us for two threads: nothing beside a mining call.

use std::cell::Cell;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use negmine_kernels::fpenv::DefaultFloatEnv;
use negmine_kernels::isa::Isa;

use super::{Error, Result};

/// How often the calling thread asks whether it should stop.
const POLL_EVERY: Duration = Duration::from_millis(50);

/// How a call runs. None of it changes a result.
#[derive(Clone, Copy)]
pub struct Run<'a> {
    /// Threads, the calling one included; at least 1.
    pub threads: usize,
    /// The instruction set.
    pub isa: Isa,
    /// Called on the calling thread about every 50 ms with (finished items, all items); true means stop.
    pub poll: &'a (dyn Fn(usize, usize) -> bool + Sync),
}

/// What a worker asks between two pieces of its work.
pub struct Ticker<'a> {
    stop: &'a AtomicBool,
    /// Only the calling thread may call the caller's code.
    poll: Option<&'a dyn Fn() -> bool>,
}

impl Ticker<'_> {
    /// Returns an error once the call was asked to stop.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn check(&self) -> Result<()> {
        if self.poll.is_some_and(|poll| poll()) {
            self.stop.store(true, Ordering::Relaxed);
        }
        if self.stop.load(Ordering::Relaxed) { Err(Error::Interrupted) } else { Ok(()) }
    }
}

impl Run<'_> {
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
                        // Nothing above this item matters any more; what lies below is already in work.
                        next.fetch_max(items, Ordering::Relaxed);
                        let mut first = failure.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                        if first.as_ref().is_none_or(|(other, _)| item < *other) {
                            *first = Some((item, error));
                        }
                        return results;
                    }
                }
                done.fetch_add(1, Ordering::Relaxed);
            }
        };
        let last = Cell::new(Instant::now());
        let poll = || {
            let due = last.get().elapsed() >= POLL_EVERY;
            if due {
                last.set(Instant::now());
            }
            due && (self.poll)(done.load(Ordering::Relaxed), items)
        };
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
        let failure = failure.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some((_, error)) = failure {
            return Err(error);
        }
        results.sort_unstable_by_key(|(item, _)| *item);
        Ok(results.into_iter().map(|(_, result)| result).collect())
    }
}
