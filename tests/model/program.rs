//! Random programs: what happens to a layer, its credential and its servers, one after the other.

use std::time::Duration;

use proptest::{collection::vec, prelude::*};

/// One thing that happens.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    Request {
        replayable: bool,
    },
    Burst(u8),
    /// Forty requests, so much time apart.
    Traffic(Duration),
    /// Somebody loses interest in the n-th of the requests under way.
    Cancel(u8),
    /// Time passes, moment by moment.
    Pass(Duration),
    /// Time passes at once: nothing ran in between.
    Jump(Duration),
    Endpoint(Endpoint),
    Api(Api),
    /// Of the credentials issued from now on.
    Lifetime(Option<Duration>),
    /// The API accepts no credential any more that was issued so far.
    Revoke,
    Invalidate,
    Report,
    Seed,
    Forget,
    Resume,
}

/// What the token endpoint does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Endpoint {
    Brings {
        after: Duration,
    },
    /// The same credential again.
    Repeats,
    FailsForNow {
        asks_to_wait: Option<Duration>,
    },
    Refuses,
    WantsALogin,
    Hangs,
    /// Says that it must not be interrupted, and takes longer than anybody waits.
    CommitsAndTakesLong,
    Panics,
}

/// What the API does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Api {
    Works {
        after: Duration,
    },
    IsDown,
    /// Accepts no credential, whatever it is.
    DeniesAll,
}

pub(crate) fn programs() -> impl Strategy<Value = Vec<Action>> {
    vec(actions(), 1..60)
}

fn actions() -> impl Strategy<Value = Action> {
    prop_oneof![
        10 => proptest::bool::weighted(0.8).prop_map(|replayable| Action::Request { replayable }),
        4 => (2..8u8).prop_map(Action::Burst),
        1 => (10..2000u64).prop_map(|every| Action::Traffic(Duration::from_millis(every))),
        3 => any::<u8>().prop_map(Action::Cancel),
        10 => spans().prop_map(Action::Pass),
        2 => spans().prop_map(Action::Jump),
        6 => endpoints().prop_map(Action::Endpoint),
        4 => apis().prop_map(Action::Api),
        3 => proptest::option::weighted(0.8, spans()).prop_map(Action::Lifetime),
        4 => Just(Action::Revoke),
        1 => Just(Action::Invalidate),
        1 => Just(Action::Report),
        1 => Just(Action::Seed),
        1 => Just(Action::Forget),
        1 => Just(Action::Resume),
    ]
}

fn endpoints() -> impl Strategy<Value = Endpoint> {
    prop_oneof![
        6 => spans().prop_map(|span| Endpoint::Brings { after: span.min(Duration::from_secs(9)) }),
        1 => Just(Endpoint::Repeats),
        2 => proptest::option::of(spans())
            .prop_map(|asks_to_wait| Endpoint::FailsForNow { asks_to_wait }),
        2 => Just(Endpoint::Refuses),
        1 => Just(Endpoint::WantsALogin),
        1 => Just(Endpoint::Hangs),
        1 => Just(Endpoint::CommitsAndTakesLong),
        1 => Just(Endpoint::Panics),
    ]
}

fn apis() -> impl Strategy<Value = Api> {
    prop_oneof![
        5 => spans().prop_map(|span| Api::Works { after: span.min(Duration::from_secs(60)) }),
        1 => Just(Api::IsDown),
        1 => Just(Api::DeniesAll),
    ]
}

/// From nothing to hours, and what lies at the borders of the layer's own times.
fn spans() -> impl Strategy<Value = Duration> {
    prop_oneof![
        2 => Just(Duration::ZERO),
        3 => (1..1000u64).prop_map(Duration::from_millis),
        5 => (1..120u64).prop_map(Duration::from_secs),
        2 => (120..20_000u64).prop_map(Duration::from_secs),
        2 => proptest::sample::select(vec![50, 999, 1000, 1001, 10_000, 10_100, 30_000, 300_000])
            .prop_map(Duration::from_millis),
    ]
}
