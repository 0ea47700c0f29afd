//! Rules 2, 4 and 12: deadlines, and the end of a credential's life.

use super::{explore, outcomes, provider::Turn, secs};

#[test]
fn the_deadline_answers_the_waiters_and_the_answer_is_not_lost() {
    let script = |_| Turn::brings().taking(60).committed();
    explore("a committed refresh, overdue", script, |world| {
        let time = world.thread(|world| {
            world.called();
            // Past the deadline, past the grace for waiters, to the end.
            for seconds in [10, 1, 49] {
                world.pass(secs(seconds));
            }
        });
        for outcome in outcomes(world.callers(2)) {
            match outcome {
                Ok(token) => assert_eq!(token.0, 1),
                Err(error) => assert!(error.is_timeout(), "{error:#}"),
            }
        }
        time.join().unwrap();
        world.landed();
        assert_eq!(world.token(), 1);
        assert_eq!(world.log.calls(), 1);
    });
}

#[test]
fn a_refresh_that_hangs_is_dropped_and_the_next_one_works() {
    let script = |call| match call {
        1 => Turn::brings().taking(1_000_000),
        _ => Turn::brings(),
    };
    explore("a refresh that hangs", script, |world| {
        let time = world.thread(|world| {
            world.called();
            for seconds in [10, 1] {
                world.pass(secs(seconds));
            }
        });
        for outcome in outcomes(world.callers(2)) {
            match outcome {
                // Who came after the deadline and its backoff.
                Ok(token) => assert_eq!(token.0, 2),
                Err(error) => assert!(error.is_timeout(), "{error:#}"),
            }
        }
        time.join().unwrap();
        world.landed();
        world.pass(secs(30));
        assert_eq!(world.token(), 2);
        assert_eq!(world.log.calls(), 2);
    });
}

#[test]
fn an_early_refresh_is_one_and_nobody_waits() {
    explore(
        "an early refresh",
        |_| Turn::lasting(100),
        |world| {
            assert_eq!(world.token(), 1);
            world.pass(secs(80));
            for outcome in outcomes(world.callers(3)) {
                assert!(outcome.unwrap().0 <= 2);
            }
            world.landed();
            assert_eq!(world.token(), 2);
            assert_eq!(world.log.calls(), 2);
        },
    );
}

#[test]
fn a_failed_early_refresh_changes_nothing_until_the_end() {
    let script = |call| match call {
        1 => Turn::lasting(100),
        _ => Turn::fails(),
    };
    explore("an early refresh that fails", script, |world| {
        assert_eq!(world.token(), 1);
        let time = world.thread(|world| [70, 27].map(|seconds| world.pass(secs(seconds))));
        for outcome in outcomes(world.callers(3)) {
            assert_eq!(outcome.unwrap().0, 1);
        }
        time.join().unwrap();
        // The last seconds, in which callers wait for the refresh.
        for outcome in outcomes(world.callers(2)) {
            assert_eq!(outcome.unwrap().0, 1);
        }
        world.pass(secs(3));
        assert!(world.credential().is_err());
    });
}

#[test]
fn at_the_end_of_a_life_callers_share_one_refresh() {
    explore(
        "an expiry",
        |_| Turn::lasting(100),
        |world| {
            assert_eq!(world.token(), 1);
            let time = world.thread(|world| world.pass(secs(100)));
            for outcome in outcomes(world.callers(3)) {
                assert!(outcome.unwrap().0 <= 2);
            }
            time.join().unwrap();
            assert_eq!(world.token(), 2);
            assert_eq!(world.log.calls(), 2);
        },
    );
}
