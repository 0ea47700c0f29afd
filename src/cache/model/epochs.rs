//! Logouts, externally supplied credentials and `invalidate`, concurrent with callers and
//! refreshes.

use shuttle::{future, future::block_on};

use super::{Outcome, World, explore, outcome, provider::Token, provider::Turn, secs};
use crate::provider::Issued;

/// The externally supplied credential.
const EXTERNAL: Token = Token(100);

impl World {
    fn log_out(&self) -> future::JoinHandle<Result<(), crate::Error>> {
        let handle = self.handle.clone();
        future::spawn(async move { handle.log_out().await })
    }

    fn set_credential(&self) {
        self.handle.set_credential(Issued::new(EXTERNAL));
    }

    /// Checks that the logout revoked each credential that was issued.
    fn lost_nothing(&self) {
        let issued = self.log.issued_numbers.lock().unwrap();
        assert_eq!(*issued, *self.log.revoked.borrow());
    }
}

fn is_logged_out(outcome: &Outcome) -> bool {
    outcome.as_ref().is_err_and(crate::Error::is_logged_out)
}

#[test]
fn after_logout_callers_fail_and_no_credential_is_lost() {
    explore(
        "a logout and two callers",
        |_| Turn::issues(),
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
fn a_logout_continues_when_its_caller_is_aborted() {
    explore(
        "a logout that is dropped",
        |_| Turn::issues(),
        |world| {
            assert_eq!(world.token(), 1);
            let log_out = world.log_out();
            log_out.abort();
            if block_on(log_out).is_ok() || is_logged_out(&world.credential()) {
                // The logout's task was started, and finishes without its caller.
                block_on(world.log.logged_out());
                world.lost_nothing();
            }
        },
    );
}

#[test]
fn new_credentials_end_a_logout_and_supersede_a_refresh() {
    explore(
        "a logout, a new credential, a caller",
        |_| Turn::issues(),
        |world| {
            let caller = world.caller();
            let setting = world.thread(|world| world.set_credential());
            block_on(world.log_out()).unwrap().unwrap();
            setting.join().unwrap();
            let now = world.credential();
            assert!(is_logged_out(&now) || now.unwrap().0 == EXTERNAL.0);
            let then = outcome(caller).unwrap();
            assert!(is_logged_out(&then) || [1, EXTERNAL.0].contains(&then.unwrap().0));
            assert!(world.log.calls() <= 1);
        },
    );
}

#[test]
fn new_credentials_supersede_the_refresh_in_flight() {
    explore(
        "a new credential and two callers",
        |_| Turn::issues(),
        |world| {
            let callers = [world.caller(), world.caller()];
            world.set_credential();
            assert_eq!(world.token(), EXTERNAL.0);
            for caller in callers {
                let token = outcome(caller).unwrap().unwrap().0;
                assert!([1, EXTERNAL.0].contains(&token));
            }
            assert_eq!(world.token(), EXTERNAL.0);
            assert!(world.log.calls() <= 1);
        },
    );
}

/// Waiters do not wait for a refresh of an earlier epoch.
#[test]
fn new_credentials_and_logouts_wake_all_waiters() {
    let script = |_| Turn::issues().taking(30).committed();
    explore(
        "a new credential and then a logout, with waiters",
        script,
        |world| {
            let before = world.callers(2);
            world.set_credential();
            for caller in before {
                assert_eq!(outcome(caller).unwrap().unwrap().0, EXTERNAL.0);
            }
            world.handle.invalidate();
            let waits = world.caller();
            let log_out = world.log_out();
            let seen = outcome(waits).unwrap();
            assert!(is_logged_out(&seen), "{seen:?}");
            // A refresh is in flight unless all callers came too late to start one.
            if world.handle.status().refreshing().is_some() {
                world.called();
                world.pass(secs(30));
            }
            block_on(log_out).unwrap().unwrap();
        },
    );
}

/// Rule 3 applies within an epoch: an earlier refresh does not affect this one.
#[test]
fn an_overdue_refresh_does_not_fail_new_credentials() {
    let script = |_| Turn::issues().taking(30).committed();
    explore("a new credential and an overdue refresh", script, |world| {
        let caller = world.caller();
        world.called();
        let setting = world.thread(|world| world.set_credential());
        world.pass(secs(10));
        setting.join().unwrap();
        world.pass(secs(20));
        let _ = outcome(caller).unwrap();
        assert_eq!(world.token(), EXTERNAL.0);
        assert!(world.handle.status().failing().is_none());
    });
}

#[test]
fn after_a_resume_callers_get_a_new_credential() {
    explore(
        "a logout, then a resume",
        |_| Turn::issues(),
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
fn an_invalidated_credential_is_not_used_again() {
    explore(
        "two invalidate, one reads",
        |_| Turn::issues(),
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
