//! Runs the real cache and its refreshes under shuttle, whose schedulers choose the next thread:
//! first depth-first through all schedules, up to a limit, then at random.
//!
//! A scheduler may switch threads at each use of a primitive from `sync` (locks, atomics, snapshot
//! swaps, tasks). Timers and the channel to the waiters are tokio's own, and no switch happens
//! within them. The clock is paused, and a thread of the scenario advances it, so a deadline can
//! pass between any two steps. A thread that waits forever is reported as a deadlock, and endless
//! loops are reported too.
//!
//! Weak memory ordering is not covered: all threads see atomic operations in the same order.
//!
//! ```sh
//! RUSTFLAGS="--cfg tower_auth_model" CARGO_TARGET_DIR=target/model cargo test --lib model:: -- --nocapture
//! ```
//!
//! `TOWER_AUTH_SCHEDULES` sets the number of random schedules per scenario and scheduler.

#![allow(clippy::unwrap_used, reason = "scenarios are tests")]

mod epochs;
pub(super) mod primitives;
mod provider;
mod refreshes;
mod rejections;
mod times;

use std::{env, sync::Arc, time::Duration};

use shuttle::{
    Config, Runner, future,
    scheduler::{DfsScheduler, PctScheduler, RandomScheduler, Scheduler},
    thread,
};
use tokio::{runtime::Runtime, time::advance};

use self::provider::{Log, Script, Scripted, Token};
use super::{Cache, Handle, RefreshSettings, handle::CurrentCredential};
use crate::{error::Error, provider::erase};

type Outcome = Result<CurrentCredential<Token>, Error>;

/// One run of a scenario: a cache over a scripted provider, and a clock.
#[derive(Clone)]
struct World {
    handle: Handle<Token>,
    log: Arc<Log>,
    clock: Arc<Runtime>,
}

impl World {
    fn new(script: Script, clock: Arc<Runtime>) -> Self {
        let log = Arc::new(Log::default());
        let cache = Cache::new(
            erase(Scripted::new(script, Arc::clone(&log))),
            RefreshSettings::default(),
        );
        Self {
            handle: Handle::new(Arc::new(cache)),
            log,
            clock,
        }
    }

    /// Spawns a caller, which can be aborted.
    fn caller(&self) -> future::JoinHandle<Outcome> {
        let handle = self.handle.clone();
        future::spawn(async move { handle.credential().await })
    }

    fn callers(&self, count: usize) -> Vec<future::JoinHandle<Outcome>> {
        (0..count).map(|_| self.caller()).collect()
    }

    fn thread<T: Send + 'static>(
        &self,
        work: impl FnOnce(Self) -> T + Send + 'static,
    ) -> thread::JoinHandle<T> {
        let world = self.clone();
        thread::spawn(move || work(world))
    }

    fn credential(&self) -> Outcome {
        future::block_on(self.handle.credential())
    }

    /// Returns the number of the credential that this caller gets.
    fn token(&self) -> usize {
        self.credential().unwrap().0
    }

    /// Waits until the provider has been called.
    fn called(&self) {
        future::block_on(self.log.called());
    }

    /// Waits for the end of the in-flight refresh, if there is one.
    fn ended(&self) {
        if let Some(refresh) = self.handle.cache.refresh() {
            future::block_on(refresh.ended());
        }
    }

    /// Advances the clock and wakes the timers.
    fn pass(&self, time: Duration) {
        thread::yield_now();
        self.clock.block_on(advance(time));
    }
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Returns the result of a caller, or `None` if it was aborted.
fn outcome(caller: future::JoinHandle<Outcome>) -> Option<Outcome> {
    future::block_on(caller).ok()
}

fn outcomes(callers: Vec<future::JoinHandle<Outcome>>) -> Vec<Outcome> {
    callers.into_iter().filter_map(outcome).collect()
}

/// Runs a scenario under many schedules, and prints how many it ran.
fn explore(name: &str, script: Script, scenario: fn(&World)) {
    let random = number("TOWER_AUTH_SCHEDULES", 1_000);
    let in_order = 10 * random;
    let orderly = run(DfsScheduler::new(Some(in_order), false), script, scenario);
    let all = if orderly < in_order { " (all)" } else { "" };
    let random = [
        run(RandomScheduler::new(random), script, scenario),
        run(PctScheduler::new(3, random), script, scenario),
    ];
    println!(
        "{name}: {orderly} schedules depth-first{all}, {} at random, {} by priority",
        random[0], random[1]
    );
}

fn run(scheduler: impl Scheduler + 'static, script: Script, scenario: fn(&World)) -> usize {
    let clock = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let clock = Arc::new(clock);
    let mut config = Config::new();
    config.stack_size = 512 * 1024;
    let _entered = clock.enter();
    let clock = Arc::clone(&clock);
    Runner::new(scheduler, config).run(move || {
        // A failed schedule can be replayed only if nothing else is random.
        fastrand::seed(7);
        scenario(&World::new(script, Arc::clone(&clock)));
    })
}

fn number(variable: &str, default: usize) -> usize {
    match env::var(variable) {
        Ok(number) => number.parse().unwrap(),
        Err(_) => default,
    }
}
