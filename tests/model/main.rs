//! Runs random programs against the whole layer, with paused time, and compares the results with a
//! reference model of the rules.
//!
//! `TOWER_AUTH_PROGRAMS` sets the number of programs and makes them different each time. Without
//! it, they are always the same.

mod program;
mod reference;
mod server;
mod source;
mod world;

use std::{env, sync::Mutex};

use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use tokio::runtime::Builder;

use self::{program::Action, reference::Seen, world::World};

/// The seed of the programs that are always the same.
const SEED: u64 = 31_415_926_535;

/// Checks rules 1 to 7, 11 and 12.
#[test]
fn every_program_keeps_the_rules_and_recovers() {
    let config = Config {
        cases: cases(),
        failure_persistence: None,
        max_shrink_iters: 20_000,
        ..Config::default()
    };
    let cases = config.cases;
    let seen = Mutex::new(Seen::default());
    let mut runner = match env::var_os("TOWER_AUTH_PROGRAMS") {
        Some(_) => TestRunner::new(config),
        None => {
            let seed = SEED.to_le_bytes().repeat(4);
            TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &seed))
        }
    };
    runner
        .run(&program::programs(), |program| {
            // Runs before the lock is taken, because a failing program must not poison the lock.
            let ran = run(&program);
            seen.lock().unwrap().add(ran);
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{error:#}"));
    let mut seen = seen.into_inner().unwrap();
    println!("{cases} programs: {seen:?}");
    // The generator must cover every case that the rules mention.
    assert!(seen.least() > cases as usize / 50, "{seen:?}");
}

fn run(program: &[Action]) -> Seen {
    // Seeds the crate's jitter.
    fastrand::seed(SEED);
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut world = World::new();
        for action in program {
            world.act(action).await;
        }
        world.recovers().await
    })
}

fn cases() -> u32 {
    match env::var("TOWER_AUTH_PROGRAMS") {
        Ok(number) => number.parse().unwrap(),
        Err(_) => 5_000,
    }
}
