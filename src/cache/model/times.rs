//! Rules 2, 4 and 12: deadlines and expiry.

use super::{explore, outcomes, provider::Turn, secs};

#[test]
fn an_overdue_committed_refresh_is_still_published() {
    let script = |_| Turn::issues().taking(60).committed();
    explore("a committed refresh, overdue", script, |world| {
        let time = world.thread(|world| {
            world.called();
            // Passes the deadline, then the watchdog's limit, then the end of the refresh.
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
        world.ended();
        assert_eq!(world.token(), 1);
        assert_eq!(world.log.calls(), 1);
    });
}

#[test]
fn a_hanging_refresh_is_dropped_and_the_next_succeeds() {
    let script = |call| match call {
        1 => Turn::issues().taking(1_000_000),
        _ => Turn::issues(),
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
                // This caller arrived after the deadline and the backoff that followed it.
                Ok(token) => assert_eq!(token.0, 2),
                Err(error) => assert!(error.is_timeout(), "{error:#}"),
            }
        }
        time.join().unwrap();
        world.ended();
        world.pass(secs(30));
        assert_eq!(world.token(), 2);
        assert_eq!(world.log.calls(), 2);
    });
}

#[test]
fn callers_share_an_early_refresh_and_do_not_wait() {
    explore(
        "an early refresh",
        |_| Turn::issues_for(100),
        |world| {
            assert_eq!(world.token(), 1);
            world.pass(secs(80));
            for outcome in outcomes(world.callers(3)) {
                assert!(outcome.unwrap().0 <= 2);
            }
            world.ended();
            assert_eq!(world.token(), 2);
            assert_eq!(world.log.calls(), 2);
        },
    );
}

#[test]
fn a_failed_early_refresh_changes_nothing_until_expiry() {
    let script = |call| match call {
        1 => Turn::issues_for(100),
        _ => Turn::fails(),
    };
    explore("an early refresh that fails", script, |world| {
        assert_eq!(world.token(), 1);
        let time = world.thread(|world| [70, 27].map(|seconds| world.pass(secs(seconds))));
        for outcome in outcomes(world.callers(3)) {
            assert_eq!(outcome.unwrap().0, 1);
        }
        time.join().unwrap();
        // In the last seconds before the expiry, callers wait for the refresh.
        for outcome in outcomes(world.callers(2)) {
            assert_eq!(outcome.unwrap().0, 1);
        }
        world.pass(secs(3));
        assert!(world.credential().is_err());
    });
}

#[test]
fn callers_at_the_expiry_share_one_refresh() {
    explore(
        "an expiry",
        |_| Turn::issues_for(100),
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
