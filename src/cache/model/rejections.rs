//! Rules 5 and 7: rejections, and the refreshes they may cause.

use shuttle::future::block_on;

use super::{World, explore, provider::Turn};
use crate::{
    cache::{Acquired, TooManyRejections},
    provider::Reason,
};

/// The outcome of a rejection.
#[derive(Debug, PartialEq)]
enum After {
    Token(usize),
    Budget,
    Other,
}

impl World {
    fn accept(&self, generation: u64) {
        self.handle.cache.accept(generation);
    }

    fn reject(&self, generation: u64) -> After {
        match self
            .handle
            .cache
            .reject(generation, Reason::Rejected, Vec::new())
        {
            Ok(Acquired::Use(newer)) => After::Token(newer.credential.0),
            Ok(Acquired::Wait(wait)) => match block_on(wait.outcome()) {
                Ok(newer) => After::Token(newer.credential.0),
                Err(_) => After::Other,
            },
            Err(TooManyRejections { .. }) => After::Budget,
            Ok(Acquired::Fail(_)) => After::Other,
        }
    }
}

#[test]
fn rejections_of_one_generation_cause_one_refresh() {
    explore(
        "three reject generation 1",
        |_| Turn::issues(),
        |world| {
            assert_eq!(world.token(), 1);
            world.accept(1);
            let threads = [(); 3].map(|()| world.thread(|world| world.reject(1)));
            for thread in threads {
                assert_eq!(thread.join().unwrap(), After::Token(2));
            }
            assert_eq!(world.log.calls(), 2);
        },
    );
}

#[test]
fn a_late_rejection_never_touches_a_newer_credential() {
    explore(
        "rejections, early and late",
        |_| Turn::issues(),
        |world| {
            assert_eq!(world.token(), 1);
            world.accept(1);
            let late = world.thread(|world| {
                let seen = world.token();
                let after = world.reject(1);
                (seen, after)
            });
            let two = world.thread(|world| {
                assert_eq!(world.reject(1), After::Token(2));
                world.accept(2);
                world.reject(2)
            });
            let (seen, after) = late.join().unwrap();
            assert!(matches!(after, After::Token(token) if token > 1 && token >= seen));
            assert_eq!(two.join().unwrap(), After::Token(3));
            assert_eq!(world.token(), 3);
            assert_eq!(world.log.calls(), 3);
        },
    );
}

#[test]
fn reports_of_one_rejection_cause_one_refresh() {
    explore(
        "two report, one reads",
        |_| Turn::issues(),
        |world| {
            let first = world.credential().unwrap();
            world.accept(1);
            let threads = [(); 2].map(|()| {
                let first = first.clone();
                world.thread(move |world| {
                    world.handle.reject(&first);
                    world.token()
                })
            });
            let reader = world.thread(|world| (world.token(), world.token()));
            for thread in threads {
                assert_eq!(
                    thread.join().unwrap(),
                    2,
                    "the rejected one is not used again"
                );
            }
            let (before, after) = reader.join().unwrap();
            assert!(before <= after && after <= 2);
            assert_eq!(world.log.calls(), 2);
        },
    );
}

#[test]
fn a_never_accepted_credential_is_refreshed_once() {
    explore(
        "endless rejections",
        |_| Turn::issues(),
        |world| {
            assert_eq!(world.token(), 1);
            let threads = [(); 2].map(|()| {
                world.thread(|world| {
                    let again = world.reject(1);
                    (again, world.reject(2))
                })
            });
            for thread in threads {
                assert_eq!(thread.join().unwrap(), (After::Token(2), After::Budget));
            }
            assert_eq!(world.log.calls(), 2);
        },
    );
}
