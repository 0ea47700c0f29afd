//! Tests every transition, with artificial times and without a runtime.

mod programs;
mod reference;

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::*;
use crate::{cache::Backoff, error::ProviderError, provider::Issued, time::Moment};

fn secs(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// A state, with its external inputs.
struct Machine {
    state: State<u32>,
    env: Env,
    /// All refreshes that were started.
    started: Vec<Start<u32>>,
    held_back: Vec<Duration>,
    wakes: usize,
}

/// The outcome for a caller, in a form that can be compared.
#[derive(Clone, Debug, PartialEq)]
enum Got {
    Use(u32),
    Wait,
    WaitOr(u32),
    Fail(String),
    AskInitial,
    TooMany(Duration),
}

fn fails(text: &str) -> Got {
    Got::Fail(text.to_owned())
}

impl Machine {
    fn new() -> Self {
        Self::with(RefreshSettings::default())
    }

    /// Creates a machine whose provider was asked for its initial credential and had none.
    fn with(settings: RefreshSettings) -> Self {
        let now = Moment {
            monotonic: Instant::now(),
            wall: SystemTime::now(),
        };
        let mut machine = Self {
            state: State::new(settings),
            env: Env {
                now,
                accepted: 0,
                draw: 0.0,
                has_runtime: true,
            },
            started: Vec::new(),
            held_back: Vec::new(),
            wakes: 0,
        };
        assert_eq!(machine.acquire(), Got::AskInitial);
        assert!(machine.state.offer_initial(None, &machine.env).is_none());
        machine
    }

    /// Creates a machine with credential 1, valid for `lifetime` seconds.
    fn holding(lifetime: f64) -> Self {
        let mut machine = Self::new();
        assert_eq!(machine.acquire(), Got::Wait);
        machine.brings(1, lifetime);
        machine
    }

    fn pass(&mut self, seconds: f64) {
        self.env.now.monotonic += secs(seconds);
        self.env.now.wall += secs(seconds);
    }

    fn apply(&mut self, effects: Effects<u32>) {
        self.started.extend(effects.start);
        self.held_back.extend(effects.held_back);
        self.wakes += usize::from(effects.wake_waiters);
    }

    fn got(next: Next<u32>) -> Got {
        match next {
            Next::Use(snapshot) => Got::Use(snapshot.credential),
            Next::Wait { fallback: None } => Got::Wait,
            Next::Wait {
                fallback: Some(fallback),
            } => Got::WaitOr(fallback.credential),
            Next::Fail(error) => Got::Fail(match error.provider_error() {
                Some(error) => error.get_ref().to_string(),
                None => error.to_string(),
            }),
            Next::AskInitial => Got::AskInitial,
        }
    }

    fn acquire(&mut self) -> Got {
        let (next, effects) = self.state.acquire(&self.env);
        self.apply(effects);
        Self::got(next)
    }

    fn reject(&mut self, generation: u64) -> Got {
        self.reject_because(Reason::Rejected, generation)
    }

    fn reject_because(&mut self, reason: Reason, generation: u64) -> Got {
        let cause = (reason, Vec::new());
        let (next, effects) = self.state.reject(generation, cause, &self.env);
        self.apply(effects);
        match next {
            Ok(next) => Self::got(next),
            Err(refused) => Got::TooMany(refused.retry_at - self.env.now.monotonic),
        }
    }

    fn report(&mut self, generation: u64) {
        let effects = self.state.invalidate_rejected(generation, &self.env);
        self.apply(effects);
    }

    fn invalidate(&mut self) {
        let effects = self.state.invalidate(&self.env);
        self.apply(effects);
    }

    fn set_credential(&mut self, token: u32) {
        let effects = self
            .state
            .set_credential(received(token, 3600.0), &self.env);
        self.apply(effects);
    }

    fn log_out(&mut self) -> Option<u32> {
        let (last, effects) = self.state.log_out();
        self.apply(effects);
        last.map(|last| last.credential)
    }

    fn last(&self) -> &Start<u32> {
        self.started.last().unwrap()
    }

    fn complete(&mut self, result: Result<Received<u32>, Error>) -> (Outcome<u32>, Option<u32>) {
        self.state.complete(self.last().id, result, &self.env)
    }

    fn brings(&mut self, token: u32, lifetime: f64) {
        let (outcome, _) = self.complete(Ok(received(token, lifetime)));
        assert!(matches!(outcome, Outcome::Published(_)));
    }

    /// Completes the refresh with the current credential.
    fn repeats(&mut self, lifetime: f64) {
        let current = self.state.current.clone().unwrap();
        let again = Received {
            same_as: Some(current.generation),
            ..received(current.credential, lifetime)
        };
        assert!(matches!(self.complete(Ok(again)).0, Outcome::Published(_)));
    }

    fn fails(&mut self, error: ProviderError) {
        let (outcome, _) = self.complete(Err(Error::provider(error)));
        assert!(matches!(outcome, Outcome::Failed(_)));
    }

    fn generation(&self) -> Option<u64> {
        self.state.current.as_ref().map(|it| it.generation)
    }

    fn reasons(&self) -> Vec<Reason> {
        self.started.iter().map(|start| start.reason).collect()
    }
}

fn received(token: u32, lifetime: f64) -> Received<u32> {
    Received {
        issued: Issued::new(token).expires_in(secs(lifetime)),
        same_as: None,
    }
}

/// Rule 1, P1.
#[test]
fn all_callers_share_one_refresh() {
    let mut machine = Machine::new();
    for _ in 0..10_000 {
        assert_eq!(machine.acquire(), Got::Wait);
    }
    machine.brings(1, 3600.0);
    assert_eq!(machine.acquire(), Got::Use(1));
    machine.pass(3600.0);
    for _ in 0..10_000 {
        assert_eq!(machine.acquire(), Got::Wait);
    }
    assert_eq!(machine.reasons(), [Reason::Initial, Reason::Expired]);
}

#[test]
fn a_refresh_gets_the_previous_credential_and_a_deadline() {
    let settings = RefreshSettings::default().refresh_timeout(secs(3.0));
    let mut machine = Machine::with(settings);
    machine.acquire();
    assert!(machine.last().previous.is_none());
    machine.brings(1, 3600.0);
    machine.invalidate();
    machine.acquire();
    let start = machine.last();
    assert_eq!(start.previous.as_ref().unwrap().credential, 1);
    assert_eq!(start.deadline - machine.env.now.monotonic, secs(3.0));
}

#[test]
fn the_initial_credential_is_used_before_a_refresh() {
    let mut machine = Machine::new();
    machine.state = State::new(RefreshSettings::default());
    assert_eq!(machine.acquire(), Got::AskInitial);
    let initial = Some(received(7, 60.0));
    assert!(machine.state.offer_initial(initial, &machine.env).is_none());
    assert_eq!(machine.acquire(), Got::Use(7));
    assert!(machine.started.is_empty());
}

#[test]
fn new_credentials_beat_the_initial_one() {
    let mut machine = Machine::new();
    machine.state = State::new(RefreshSettings::default());
    machine.set_credential(9);
    let initial = Some(received(7, 60.0));
    let unused = machine.state.offer_initial(initial, &machine.env);
    assert_eq!(*unused.unwrap().issued.credential(), 7);
    assert_eq!(machine.acquire(), Got::Use(9));
}

/// Rule 3, P4, P5.
#[test]
fn callers_get_the_last_error_until_the_next_attempt() {
    let mut machine = Machine::new();
    machine.acquire();
    let error = ProviderError::transient("busy").with_retry_after(secs(7.0));
    machine.fails(error);
    for _ in 0..7 {
        assert_eq!(machine.acquire(), fails("busy"));
        assert_eq!(machine.reject(1), fails("busy"));
        machine.pass(0.999);
    }
    machine.pass(0.007);
    assert_eq!(machine.acquire(), Got::Wait);
    machine.brings(1, 3600.0);
    assert_eq!(machine.acquire(), Got::Use(1));
    assert!(machine.state.status(machine.env.now).failing().is_none());
}

/// Rule 3, P7.
#[test]
fn attempts_continue_after_permanent_failures() {
    let mut machine = Machine::new();
    for pause in [2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0] {
        assert_eq!(machine.acquire(), Got::Wait);
        machine.fails(ProviderError::permanent("no such client"));
        machine.pass(pause - 0.001);
        assert_eq!(machine.acquire(), fails("no such client"));
        machine.pass(0.001);
    }
}

/// Rule 3.
#[test]
fn transient_delays_double_and_are_jittered() {
    let settings = Backoff::default().transient(secs(1.0), secs(3.0));
    let mut machine = Machine::with(RefreshSettings::default().backoff(settings));
    for (draw, pause) in [(0.5, 0.5), (0.5, 1.0), (0.1, 0.3), (0.0, 0.05)] {
        machine.env.draw = draw;
        assert_eq!(machine.acquire(), Got::Wait);
        machine.fails(ProviderError::transient("x"));
        machine.pass(pause - 0.001);
        assert_eq!(machine.acquire(), fails("x"));
        machine.pass(0.001);
    }
}

/// Rule 3.
#[test]
fn only_a_resume_or_new_credentials_end_login_required() {
    for resumes in [false, true] {
        let mut machine = Machine::new();
        machine.acquire();
        machine.fails(ProviderError::login_required("revoked"));
        machine.pass(1e6);
        machine.invalidate();
        assert_eq!(machine.acquire(), fails("revoked"));
        if resumes {
            let _ = machine.state.resume();
            assert_eq!(machine.acquire(), Got::Wait);
        } else {
            machine.set_credential(9);
            assert_eq!(machine.acquire(), Got::Use(9));
        }
    }
}

/// Rule 4, P6.
#[test]
fn a_failed_early_refresh_changes_nothing_for_callers() {
    let mut machine = Machine::holding(3600.0);
    machine.pass(3300.0);
    assert_eq!(machine.acquire(), Got::Use(1));
    assert_eq!(machine.last().reason, Reason::Early);
    machine.fails(ProviderError::permanent("x"));
    for _ in 0..289 {
        assert_eq!(machine.acquire(), Got::Use(1));
        if machine.state.in_flight.is_some() {
            machine.fails(ProviderError::permanent("x"));
        }
        machine.pass(1.0);
    }
    assert_eq!(machine.started.len(), 10, "attempts continue, with backoff");
}

/// Rule 4: in the last seconds, callers wait, unless an attempt has just failed.
#[test]
fn an_expiring_credential_is_the_fallback_until_it_expires() {
    let mut machine = Machine::holding(3600.0);
    machine.pass(3591.0);
    assert_eq!(machine.acquire(), Got::WaitOr(1));
    let snapshot = machine.state.current.clone().unwrap();
    machine.fails(ProviderError::permanent("x"));
    assert!(machine.state.is_usable(&snapshot, machine.env.now));
    assert_eq!(machine.acquire(), Got::Use(1), "in the backoff");
    machine.pass(9.0);
    assert!(!machine.state.is_usable(&snapshot, machine.env.now));
    assert_eq!(machine.acquire(), Got::Wait);
}

#[test]
fn an_invalidated_credential_is_not_a_fallback() {
    let mut machine = Machine::holding(3600.0);
    let snapshot = machine.state.current.clone().unwrap();
    machine.invalidate();
    assert!(!machine.state.is_usable(&snapshot, machine.env.now));
    machine.set_credential(9);
    assert!(!machine.state.is_usable(&snapshot, machine.env.now));
}

/// Rule 5, P15.
#[test]
fn a_late_rejection_does_not_touch_a_newer_credential() {
    let mut machine = Machine::holding(3600.0);
    machine.env.accepted = 1;
    assert_eq!(machine.reject(1), Got::Wait);
    machine.brings(2, 3600.0);
    for _ in 0..1000 {
        assert_eq!(machine.reject(1), Got::Use(2));
        machine.report(1);
        let _ = machine.state.note_rejection(1, &machine.env);
    }
    assert_eq!(machine.acquire(), Got::Use(2));
    assert_eq!(machine.reasons(), [Reason::Initial, Reason::Rejected]);
}

/// Rule 5, P15.
#[test]
fn rejections_of_one_generation_join_one_refresh() {
    let mut machine = Machine::holding(3600.0);
    for _ in 0..1000 {
        assert_eq!(machine.reject(1), Got::Wait);
    }
    assert_eq!(machine.started.len(), 2);
    assert_eq!(machine.acquire(), Got::Use(1), "on other routes it works");
}

#[test]
fn a_rejection_names_its_reason() {
    let mut machine = Machine::holding(3600.0);
    assert_eq!(machine.reject_because(Reason::StepUp, 1), Got::Wait);
    assert_eq!(machine.last().reason, Reason::StepUp);
}

/// Rule 7, P16.
#[test]
fn an_unaccepted_credential_causes_one_refresh() {
    let mut machine = Machine::holding(3600.0);
    assert_eq!(machine.reject(1), Got::Wait);
    machine.brings(2, 3600.0);
    for _ in 0..1000 {
        assert_eq!(machine.reject(2), Got::TooMany(secs(1.0)));
        machine.report(2);
    }
    assert_eq!(machine.acquire(), Got::Use(2));
    assert_eq!(machine.started.len(), 2);
    assert_eq!(machine.held_back, [secs(1.0)], "reported once");
    machine.pass(1.0);
    assert_eq!(machine.reject(2), Got::Wait);
}

/// Rule 7.
#[test]
fn accepted_credentials_are_refreshed_five_times() {
    let mut machine = Machine::holding(3600.0);
    for generation in 1..=5 {
        machine.env.accepted = generation;
        assert_eq!(machine.reject(generation), Got::Wait);
        machine.brings(10, 3600.0);
    }
    machine.env.accepted = 6;
    assert_eq!(machine.reject(6), Got::TooMany(secs(1.0)));
    machine.pass(30.0);
    assert_eq!(machine.reject(6), Got::Wait, "unrejected for 30 s");
}

/// Rule 7, P17: returning the same credential again does not count as a success.
#[test]
fn a_repeated_credential_does_not_end_the_backoff() {
    let mut machine = Machine::holding(36_000.0);
    let mut waits = Vec::new();
    for _ in 0..300 {
        if machine.reject(1) == Got::Wait {
            machine.repeats(36_000.0);
            waits.push(machine.started.len());
        }
        machine.pass(1.0);
    }
    assert_eq!(machine.generation(), Some(1));
    assert!((5..=9).contains(&waits.len()), "{}", waits.len());
}

/// Rule 7: only 30 s without any rejection reset the budget.
#[test]
fn every_rejection_of_the_current_credential_counts() {
    let during_the_refresh = |machine: &mut Machine| {
        machine.pass(29.0);
        assert_eq!(machine.reject(1), Got::Wait);
        machine.fails(ProviderError::transient("x"));
    };
    let in_the_backoff = |machine: &mut Machine| {
        let error = ProviderError::transient("x").with_retry_after(secs(30.0));
        machine.fails(error);
        machine.pass(29.0);
        assert_eq!(machine.reject(1), fails("x"));
    };
    let without_a_refresh = |machine: &mut Machine| {
        machine.fails(ProviderError::transient("x"));
        machine.pass(29.0);
        let _ = machine.state.note_rejection(1, &machine.env);
    };
    let cases: [fn(&mut Machine); 3] = [during_the_refresh, in_the_backoff, without_a_refresh];
    for rejects_again in cases {
        let mut machine = Machine::holding(3600.0);
        assert_eq!(machine.reject(1), Got::Wait);
        rejects_again(&mut machine);
        machine.pass(2.0);
        assert_eq!(machine.reject(1), Got::TooMany(secs(1.0)));
    }
}

/// Rule 7.
#[test]
fn the_thirty_seconds_start_when_the_credential_is_published() {
    let mut machine = Machine::holding(3600.0);
    assert_eq!(machine.reject(1), Got::Wait);
    machine.pass(20.0);
    machine.brings(2, 3600.0);
    machine.pass(29.9);
    assert_eq!(machine.reject(2), Got::TooMany(secs(1.0)));
}

#[test]
fn a_report_invalidates_once() {
    let mut machine = Machine::holding(3600.0);
    for _ in 0..10 {
        machine.report(1);
    }
    assert!(machine.held_back.is_empty());
    assert_eq!(machine.acquire(), Got::Wait);
    assert_eq!(machine.last().reason, Reason::Rejected);
}

#[test]
fn rejecting_an_invalidated_credential_costs_no_budget() {
    let mut machine = Machine::holding(3600.0);
    machine.report(1);
    assert_eq!(machine.reject(1), Got::Wait);
    assert!(machine.held_back.is_empty());
}

#[test]
fn reports_of_a_permanent_credential_change_nothing() {
    let mut machine = Machine::new();
    machine.acquire();
    let permanent = Received {
        issued: Issued::permanent(1),
        same_as: None,
    };
    assert!(matches!(
        machine.complete(Ok(permanent)).0,
        Outcome::Published(_)
    ));
    machine.report(1);
    machine.pass(1e9);
    assert_eq!(machine.acquire(), Got::Use(1));
}

#[test]
fn reports_during_a_refresh_or_its_backoff_change_nothing() {
    let mut machine = Machine::holding(3600.0);
    machine.pass(3400.0);
    machine.acquire();
    machine.report(1);
    assert_eq!(machine.acquire(), Got::Use(1));
    machine.fails(ProviderError::permanent("x"));
    machine.report(1);
    assert_eq!(machine.acquire(), Got::Use(1));
    machine.pass(2.0);
    machine.report(1);
    assert_eq!(machine.acquire(), Got::Wait, "the next attempt is due");
}

#[test]
fn an_invalidated_credential_is_refreshed_before_its_next_use() {
    let mut machine = Machine::new();
    machine.invalidate();
    assert_eq!(machine.acquire(), Got::Wait);
    machine.brings(1, 3600.0);
    let effects = machine.state.invalidate(&machine.env);
    assert_eq!(effects.recheck_at, Some(machine.env.now.monotonic));
    assert_eq!(machine.acquire(), Got::Wait);
    assert_eq!(machine.reasons(), [Reason::Initial, Reason::Invalidated]);
}

/// Rule 11, P8.
#[test]
fn a_refresh_starts_a_second_or_more_after_a_credential() {
    for lifetime in [0.0, 0.001, 0.05, 0.9, 1.0, 1.5] {
        let mut machine = Machine::holding(lifetime);
        for _ in 0..6000 {
            match machine.acquire() {
                Got::Wait | Got::WaitOr(_) => machine.brings(1, lifetime),
                got => assert_eq!(got, Got::Use(1)),
            }
            machine.pass(0.01);
        }
        let refreshes = machine.started.len();
        assert!((39..=61).contains(&refreshes), "{refreshes}");
    }
}

/// Rule 11.
#[test]
fn a_lifetime_counts_from_the_start_of_its_refresh() {
    let mut machine = Machine::new();
    machine.acquire();
    machine.pass(6.0);
    machine.brings(1, 10.0);
    machine.pass(3.9);
    assert_eq!(machine.acquire(), Got::WaitOr(1));
    machine.pass(0.1);
    assert_eq!(machine.acquire(), Got::Wait);
}

/// Rule 11, P11.
#[test]
fn a_suspended_machine_does_not_use_an_expired_credential() {
    let mut machine = Machine::holding(3600.0);
    machine.env.now.wall += secs(4000.0);
    assert_eq!(machine.acquire(), Got::Wait);
    machine.brings(2, 3600.0);
    machine.env.now.wall -= secs(4000.0);
    assert_eq!(machine.acquire(), Got::Use(2), "set back");
}

/// Rule 12.
#[test]
fn one_caller_starts_the_early_refresh_and_none_wait() {
    let mut machine = Machine::holding(3600.0);
    machine.pass(3299.9);
    assert_eq!(machine.acquire(), Got::Use(1));
    assert_eq!(machine.started.len(), 1);
    machine.pass(0.1);
    for _ in 0..1000 {
        assert_eq!(machine.acquire(), Got::Use(1));
    }
    assert_eq!(machine.reasons(), [Reason::Initial, Reason::Early]);
}

/// Rule 12, P8.
#[test]
fn an_early_refresh_with_the_same_credential_is_not_repeated() {
    let mut machine = Machine::holding(3600.0);
    machine.pass(3400.0);
    machine.acquire();
    machine.repeats(200.0);
    assert_eq!(machine.generation(), Some(1));
    machine.pass(189.9);
    assert_eq!(machine.acquire(), Got::Use(1));
    assert_eq!(machine.started.len(), 2);
    machine.pass(0.1);
    assert_eq!(machine.acquire(), Got::WaitOr(1));
}

#[test]
fn readers_check_again_when_the_phase_changes() {
    let mut machine = Machine::holding(3600.0);
    let at = |machine: &mut Machine| {
        let (_, effects) = machine.state.acquire(&machine.env);
        effects.recheck_at
    };
    let start = machine.env.now.monotonic;
    assert_eq!(at(&mut machine), Some(start + secs(3300.0)));
    machine.pass(3300.0);
    assert_eq!(at(&mut machine), Some(start + secs(3590.0)));
    machine.pass(290.0);
    assert_eq!(at(&mut machine), None);
}

#[test]
fn a_refresh_needs_a_runtime() {
    let mut machine = Machine::holding(3600.0);
    machine.env.has_runtime = false;
    machine.pass(3400.0);
    assert_eq!(machine.acquire(), Got::Use(1));
    for seconds in [191.0, 10.0] {
        machine.pass(seconds);
        assert!(matches!(machine.acquire(), Got::Fail(_)));
    }
    assert!(matches!(machine.reject(1), Got::Fail(_)));
    assert_eq!(machine.started.len(), 1);
    machine.env.has_runtime = true;
    assert_eq!(machine.acquire(), Got::Wait);
}

/// P12.
#[test]
fn a_logout_during_a_refresh_wins() {
    let mut machine = Machine::holding(3600.0);
    machine.invalidate();
    machine.acquire();
    assert_eq!(machine.log_out(), Some(1));
    assert_eq!(machine.wakes, 1);
    assert!(matches!(machine.acquire(), Got::Fail(_)));
    let late = machine.complete(Ok(received(2, 3600.0)));
    assert!(matches!(late, (Outcome::Superseded, Some(2))));
    assert!(matches!(machine.acquire(), Got::Fail(_)));
    assert_eq!(machine.generation(), None);
    let _ = machine.state.resume();
    assert_eq!(machine.acquire(), Got::Wait);
    assert_eq!(machine.last().reason, Reason::Initial);
}

/// Rules 3 and 5.
#[test]
fn a_refresh_of_an_earlier_epoch_changes_nothing() {
    let mut machine = Machine::new();
    machine.acquire();
    machine.set_credential(9);
    assert_eq!(machine.wakes, 1);
    let id = machine.last().id;
    let overdue = machine.state.overdue(id, &machine.env);
    assert!(matches!(overdue, Outcome::Superseded));
    let failure = Error::provider(ProviderError::login_required("old"));
    let completion = machine.complete(Err(failure));
    assert!(matches!(completion, (Outcome::Superseded, None)));
    assert_eq!(machine.acquire(), Got::Use(9));
    assert!(machine.state.status(machine.env.now).failing().is_none());
}

/// Rule 1: the refresh of an earlier epoch still has to end.
#[test]
fn a_new_epoch_waits_for_the_refresh_in_flight() {
    let mut machine = Machine::new();
    machine.acquire();
    machine.set_credential(9);
    machine.invalidate();
    assert_eq!(machine.acquire(), Got::Wait);
    assert_eq!(machine.started.len(), 1);
    machine.complete(Ok(received(1, 3600.0)));
    assert_eq!(machine.acquire(), Got::Wait);
    assert_eq!(machine.started.len(), 2);
}

/// Rule 2.
#[test]
fn an_overdue_refresh_fails_its_callers_and_is_still_used() {
    let mut machine = Machine::new();
    machine.acquire();
    machine.pass(10.0);
    let id = machine.last().id;
    let overdue = machine.state.overdue(id, &machine.env);
    assert!(matches!(overdue, Outcome::Failed(error) if error.is_timeout()));
    machine.pass(5.0);
    assert_eq!(machine.acquire(), Got::Wait, "it is still in flight");
    machine.brings(1, 3600.0);
    assert_eq!(machine.acquire(), Got::Use(1));
}

#[test]
fn an_abandoned_refresh_neither_blocks_nor_ends_the_next_one() {
    let mut machine = Machine::new();
    machine.acquire();
    let abandoned = machine.last().id;
    machine.state.abandon_refresh();
    assert_eq!(machine.acquire(), Got::Wait);
    assert_eq!(machine.started.len(), 2);
    let overdue = machine.state.overdue(abandoned, &machine.env);
    assert!(matches!(overdue, Outcome::Superseded));
    let late = Ok(received(1, 3600.0));
    let late = machine.state.complete(abandoned, late, &machine.env);
    assert!(matches!(late, (Outcome::Superseded, Some(1))));
    assert_eq!(machine.acquire(), Got::Wait);
    machine.brings(2, 3600.0);
    assert_eq!(machine.acquire(), Got::Use(2));
}

/// P17.
#[test]
fn generations_count_credentials_and_versions_publications() {
    let mut machine = Machine::holding(3600.0);
    let seen = |machine: &Machine| (machine.generation(), machine.state.current().0);
    assert_eq!(seen(&machine), (Some(1), 1));
    machine.invalidate();
    machine.acquire();
    machine.repeats(3600.0);
    assert_eq!(seen(&machine), (Some(1), 2));
    machine.invalidate();
    machine.acquire();
    machine.brings(2, 3600.0);
    assert_eq!(seen(&machine), (Some(2), 3));
    machine.log_out();
    assert_eq!(seen(&machine), (None, 4));
    machine.set_credential(9);
    assert_eq!(seen(&machine), (Some(3), 5));
}

#[test]
fn only_a_credential_compared_with_the_current_one_is_the_same() {
    let mut machine = Machine::holding(3600.0);
    machine.set_credential(2);
    let compared_before = Received {
        same_as: Some(1),
        ..received(3, 3600.0)
    };
    let effects = machine.state.set_credential(compared_before, &machine.env);
    machine.apply(effects);
    assert_eq!(machine.generation(), Some(3));
}

#[cfg(feature = "per-key")]
#[test]
fn a_state_is_disposable_unless_something_would_be_lost() {
    let mut machine = Machine::new();
    assert!(machine.state.is_disposable());
    machine.acquire();
    assert!(!machine.state.is_disposable(), "a refresh in flight");
    machine.fails(ProviderError::permanent("x"));
    assert!(machine.state.is_disposable());
    machine.pass(2.0);
    machine.acquire();
    machine.fails(ProviderError::login_required("x"));
    assert!(!machine.state.is_disposable(), "a login is required");
    machine.set_credential(9);
    assert!(!machine.state.is_disposable(), "set from outside");
    machine.invalidate();
    machine.acquire();
    machine.brings(1, 3600.0);
    assert!(machine.state.is_disposable());
    machine.log_out();
    assert!(!machine.state.is_disposable(), "logged out");
}

#[test]
fn the_status_matches_the_state() {
    let mut machine = Machine::new();
    let show = |machine: &Machine| machine.state.status(machine.env.now).to_string();
    assert_eq!(show(&machine), "none");
    machine.acquire();
    assert_eq!(show(&machine), "none, refreshing (initial)");
    machine.brings(1, 3600.0);
    machine.pass(100.0);
    assert_eq!(show(&machine), "fresh for 58m 20s (generation 1)");
    machine.invalidate();
    assert_eq!(show(&machine), "expired (generation 1)");
    machine.log_out();
    assert_eq!(show(&machine), "logged out");
}
