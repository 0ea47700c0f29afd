//! Rules 1, 2 and 3: callers share one refresh and its failure.

use super::{explore, outcome, outcomes, provider::Turn, secs};
use crate::error::Error;

#[test]
fn concurrent_callers_cause_one_refresh() {
    explore(
        "two callers",
        |_| Turn::issues(),
        |world| {
            for outcome in outcomes(world.callers(2)) {
                assert_eq!(outcome.unwrap().0, 1);
            }
            assert_eq!(world.log.calls(), 1);
        },
    );
    explore(
        "four callers",
        |_| Turn::issues(),
        |world| {
            for outcome in outcomes(world.callers(4)) {
                assert_eq!(outcome.unwrap().0, 1);
            }
            assert_eq!(world.log.calls(), 1);
        },
    );
}

#[test]
fn dropping_a_caller_does_not_affect_the_others() {
    explore(
        "one of three callers dropped",
        |_| Turn::issues(),
        |world| {
            let [first, second, dropped] = [world.caller(), world.caller(), world.caller()];
            dropped.abort();
            for caller in [first, second] {
                assert_eq!(outcome(caller).unwrap().unwrap().0, 1);
            }
            assert_eq!(world.log.calls(), 1);
        },
    );
}

#[test]
fn a_refresh_outlives_all_its_callers() {
    explore(
        "all callers dropped",
        |_| Turn::issues(),
        |world| {
            let callers = world.callers(2);
            for caller in &callers {
                caller.abort();
            }
            let gone = outcomes(callers);
            assert!(gone.into_iter().all(|it| it.unwrap().0 == 1));
            assert_eq!(world.token(), 1);
            assert_eq!(world.log.calls(), 1);
        },
    );
}

#[test]
fn all_waiters_share_one_failure() {
    explore(
        "a failure",
        |_| Turn::fails(),
        |world| {
            let errors: Vec<Error> = outcomes(world.callers(3))
                .into_iter()
                .map(|outcome| outcome.unwrap_err())
                .collect();
            assert!(errors.iter().all(Error::is_provider));
            assert!(
                errors
                    .iter()
                    .all(|error| error.retry_after() == Some(secs(2)))
            );
            assert_eq!(world.log.calls(), 1);
        },
    );
}

#[test]
fn callers_share_the_attempt_after_a_failure() {
    let script = |call| match call {
        1 => Turn::fails(),
        _ => Turn::issues(),
    };
    explore("a failure, then time passes", script, |world| {
        let passing = world.thread(|world| world.pass(secs(2)));
        for outcome in outcomes(world.callers(3)) {
            assert!(outcome.is_ok_and(|token| token.0 == 2) || world.log.calls() <= 2);
        }
        passing.join().unwrap();
        // The backoff began when the failure was recorded, which may be before or after the time
        // passed.
        world.pass(secs(2));
        assert_eq!(world.token(), 2);
        assert_eq!(world.log.calls(), 2);
    });
}
