//! Random programs: events for a layer, its credential and its servers, one after the other.

use std::time::Duration;

use proptest::{collection::vec, prelude::*};

/// One event.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    Request {
        replayable: bool,
    },
    Burst(u8),
    /// Forty requests at this interval.
    Traffic(Duration),
    /// Drops the n-th open request.
    Cancel(u8),
    /// Time passes step by step.
    Pass(Duration),
    /// Time passes in one step: nothing runs in between.
    Jump(Duration),
    Endpoint(Endpoint),
    Api(Api),
    /// The lifetime of credentials issued from now on.
    Lifetime(Option<Duration>),
    /// The API rejects all credentials issued so far.
    Revoke,
    Invalidate,
    Report,
    SetCredential,
    LogOut,
    Resume,
}

/// The behavior of the token endpoint.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Endpoint {
    Issues {
        after: Duration,
    },
    /// Issues the same credential again.
    Repeats,
    FailsTemporarily {
        retry_after: Option<Duration>,
    },
    Refuses,
    RequiresLogin,
    Hangs,
    /// Commits, and takes longer than any caller waits.
    CommitsAndTakesLong,
    Panics,
}

/// The behavior of the API.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Api {
    Works {
        after: Duration,
    },
    IsDown,
    /// Rejects every credential.
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
        1 => Just(Action::SetCredential),
        1 => Just(Action::LogOut),
        1 => Just(Action::Resume),
    ]
}

fn endpoints() -> impl Strategy<Value = Endpoint> {
    prop_oneof![
        6 => spans().prop_map(|span| Endpoint::Issues { after: span.min(Duration::from_secs(9)) }),
        1 => Just(Endpoint::Repeats),
        2 => proptest::option::of(spans())
            .prop_map(|retry_after| Endpoint::FailsTemporarily { retry_after }),
        2 => Just(Endpoint::Refuses),
        1 => Just(Endpoint::RequiresLogin),
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

/// Generates durations from 0 to hours, including the layer's own time limits.
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
