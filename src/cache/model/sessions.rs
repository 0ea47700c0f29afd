//! Log-out, new credentials from outside, and `invalidate`, beside callers and refreshes.

use shuttle::{future, future::block_on};

use super::{Outcome, World, explore, outcome, provider::Token, provider::Turn, secs};
use crate::provider::Issued;

/// What came from outside.
const SEEDED: Token = Token(100);

impl World {
    fn log_out(&self) -> future::JoinHandle<Result<(), crate::Error>> {
        let handle = self.handle.clone();
        future::spawn(async move { handle.log_out().await })
    }

    fn set_credential(&self) {
        self.handle.set_credential(Issued::new(SEEDED));
    }

    /// Each credential that was brought was handed back at log-out.
    fn lost_nothing(&self) {
        let brought = self.log.brought.lock().unwrap();
        assert_eq!(*brought, *self.log.forgotten.borrow());
    }
}

fn is_logged_out(outcome: &Outcome) -> bool {
    outcome.as_ref().is_err_and(crate::Error::is_logged_out)
}

#[test]
fn after_a_log_out_nobody_gets_a_credential_and_none_is_lost() {
    explore(
        "a log-out beside two callers",
        |_| Turn::brings(),
        |world| {
            let callers = [world.caller(), world.caller()];
            block_on(world.log_out()).unwrap().unwrap();
            assert!(is_logged_out(&world.credential()));
            for caller in callers {
                let outcome = outcome(caller).unwrap();
                assert!(is_logged_out(&outcome) || outcome.unwrap().0 == 1);
            }
            assert!(world.log.calls() <= 1);
            world.lost_nothing();
        },
    );
}

#[test]
fn a_log_out_goes_on_if_nobody_waits_for_it() {
    explore(
        "a log-out that is dropped",
        |_| Turn::brings(),
        |world| {
            assert_eq!(world.token(), 1);
            let forget = world.log_out();
            forget.abort();
            if block_on(forget).is_ok() || is_logged_out(&world.credential()) {
                // The task is there, and comes to its end without its caller.
                block_on(world.log.logged_out());
                world.lost_nothing();
            }
        },
    );
}

#[test]
fn new_credentials_end_a_log_out_and_what_was_on_its_way_is_not_used() {
    explore(
        "a log-out, a seed, a caller",
        |_| Turn::brings(),
        |world| {
            let caller = world.caller();
            let seeding = world.thread(|world| world.set_credential());
            block_on(world.log_out()).unwrap().unwrap();
            seeding.join().unwrap();
            let now = world.credential();
            assert!(is_logged_out(&now) || now.unwrap().0 == SEEDED.0);
            let then = outcome(caller).unwrap();
            assert!(is_logged_out(&then) || [1, SEEDED.0].contains(&then.unwrap().0));
            assert!(world.log.calls() <= 1);
        },
    );
}

#[test]
fn a_seed_beats_the_refresh_under_way() {
    explore(
        "a seed beside two callers",
        |_| Turn::brings(),
        |world| {
            let callers = [world.caller(), world.caller()];
            world.set_credential();
            assert_eq!(world.token(), SEEDED.0);
            for caller in callers {
                let token = outcome(caller).unwrap().unwrap().0;
                assert!([1, SEEDED.0].contains(&token));
            }
            assert_eq!(world.token(), SEEDED.0);
            assert!(world.log.calls() <= 1);
        },
    );
}

/// A refresh that is of no use any more holds nobody.
#[test]
fn those_who_wait_hear_at_once_of_new_credentials_and_of_a_log_out() {
    let script = |_| Turn::brings().taking(30).committed();
    explore(
        "a seed, and then a log-out, beside those who wait",
        script,
        |world| {
            let before = world.callers(2);
            world.set_credential();
            for caller in before {
                assert_eq!(outcome(caller).unwrap().unwrap().0, SEEDED.0);
            }
            world.handle.invalidate();
            let waits = world.caller();
            let forget = world.log_out();
            let seen = outcome(waits).unwrap();
            assert!(is_logged_out(&seen), "{seen:?}");
            // Unless all of them came too late to start one.
            if world.handle.status().refreshing().is_some() {
                world.called();
                world.pass(secs(30));
            }
            block_on(forget).unwrap().unwrap();
        },
    );
}

/// Rule 3 ends with the session: a refresh of the one before says nothing about this one.
#[test]
fn a_refresh_that_is_overdue_is_no_failure_of_new_credentials() {
    let script = |_| Turn::brings().taking(30).committed();
    explore("a seed, and a refresh overdue", script, |world| {
        let caller = world.caller();
        world.called();
        let seeding = world.thread(|world| world.set_credential());
        world.pass(secs(10));
        seeding.join().unwrap();
        world.pass(secs(20));
        let _ = outcome(caller).unwrap();
        assert_eq!(world.token(), SEEDED.0);
        assert!(world.handle.status().failing().is_none());
    });
}

#[test]
fn resuming_starts_afresh() {
    explore(
        "a log-out, resumed",
        |_| Turn::brings(),
        |world| {
            assert_eq!(world.token(), 1);
            let caller = world.thread(|world| world.credential());
            block_on(world.log_out()).unwrap().unwrap();
            world.handle.resume();
            assert_eq!(world.token(), 2);
            let seen = caller.join().unwrap();
            assert!(is_logged_out(&seen) || seen.unwrap().0 <= 2);
            assert_eq!(world.log.calls(), 2);
        },
    );
}

#[test]
fn what_was_invalidated_is_not_used_again() {
    explore(
        "two invalidate, one reads",
        |_| Turn::brings(),
        |world| {
            assert_eq!(world.token(), 1);
            let threads = [(); 2].map(|()| {
                world.thread(|world| {
                    let seen = world.token();
                    world.handle.invalidate();
                    assert!(world.token() > seen);
                })
            });
            let reader = world.thread(|world| {
                let seen = [world.token(), world.token(), world.token()];
                assert!(seen.is_sorted(), "{seen:?}");
            });
            for thread in threads {
                thread.join().unwrap();
            }
            reader.join().unwrap();
            assert!((2..=3).contains(&world.log.calls()));
        },
    );
}
