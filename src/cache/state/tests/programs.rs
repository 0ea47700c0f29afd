//! Random programs against the state, compared with the [`Reference`] after each step.
//!
//! `TOWER_AUTH_PROGRAMS` sets how many programs are run, and makes them different each time.

use std::{env, sync::Mutex, time::Duration};

use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};

use super::{
    Got, Machine, Outcome, Received, RefreshId, received,
    reference::{Reference, Seen},
    secs,
};
use crate::{
    error::{Class, Error, ProviderError},
    provider::Reason,
};

#[derive(Clone, Debug)]
enum Step {
    Pass(Duration),
    /// Lets this fraction of the current credential's lifetime pass.
    Age(f64),
    /// Advances only the wall clock.
    Suspend(Duration),
    Acquire,
    /// Rejects a generation that is older than the current one by this number.
    Reject(u64),
    Report(u64),
    Accept,
    Invalidate,
    Set(Duration),
    LogOut,
    Resume,
    Brings(Duration),
    Repeats(Duration),
    Fails(Class, Duration),
    Overdue,
    Abandon,
    /// An abandoned refresh returns a credential.
    LateResult,
    Draw(f64),
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => times().prop_map(Step::Pass),
        3 => (0.5..1.0f64).prop_map(Step::Age),
        1 => (3..20_000u64).prop_map(|time| Step::Suspend(Duration::from_secs(time))),
        12 => Just(Step::Acquire),
        8 => prop_oneof![6 => Just(0u64), 1 => 1..3u64].prop_map(Step::Reject),
        2 => (0..2u64).prop_map(Step::Report),
        3 => Just(Step::Accept),
        1 => Just(Step::Invalidate),
        1 => times().prop_map(Step::Set),
        1 => Just(Step::LogOut),
        2 => Just(Step::Resume),
        10 => times().prop_map(Step::Brings),
        2 => times().prop_map(Step::Repeats),
        4 => (classes(), times()).prop_map(|(class, asked)| Step::Fails(class, asked)),
        2 => Just(Step::Overdue),
        1 => Just(Step::Abandon),
        1 => Just(Step::LateResult),
        2 => (0.0..1.0f64).prop_map(Step::Draw),
    ]
}

fn classes() -> impl Strategy<Value = Class> {
    prop_oneof![
        4 => Just(Class::Transient),
        3 => Just(Class::Permanent),
        1 => Just(Class::LoginRequired),
    ]
}

/// Returns a strategy for times from zero to hours, including the limits that the state uses.
fn times() -> impl Strategy<Value = Duration> {
    prop_oneof![
        2 => Just(Duration::ZERO),
        3 => (1..1000u64).prop_map(Duration::from_millis),
        5 => (1..120u64).prop_map(Duration::from_secs),
        2 => (120..20_000u64).prop_map(Duration::from_secs),
        2 => proptest::sample::select(vec![50, 999, 1000, 1001, 10_000, 30_000, 300_000])
            .prop_map(Duration::from_millis),
    ]
}

struct Run {
    machine: Machine,
    reference: Reference,
    last_token: u32,
    abandoned: Vec<RefreshId>,
}

impl Run {
    fn step(&mut self, step: &Step) {
        let now = self.machine.env.now;
        let draw = self.machine.env.draw;
        match *step {
            Step::Pass(time) => self.machine.pass(time.as_secs_f64()),
            Step::Age(part) => {
                let lifetime = self.reference.lifetime().unwrap_or_default();
                self.machine.pass(lifetime.as_secs_f64() * part);
            }
            Step::Suspend(time) => self.machine.env.now.wall += time,
            Step::Acquire => self.acquire(),
            Step::Reject(older) => self.reject(older),
            Step::Report(older) => self.report(older),
            Step::Accept => self.machine.env.accepted = self.generation(0).unwrap_or_default(),
            Step::Invalidate => {
                self.machine.invalidate();
                self.reference.invalidates();
            }
            Step::Set(lifetime) => {
                let token = self.new_token();
                let new = received(token, lifetime.as_secs_f64());
                let effects = self.machine.state.set_credential(new, &self.machine.env);
                self.machine.apply(effects);
                self.reference.sets(token, lifetime, now);
            }
            Step::LogOut => {
                self.machine.log_out();
                self.reference.logs_out();
            }
            Step::Resume => {
                let _ = self.machine.state.resume();
                self.reference.resumes();
            }
            Step::Draw(draw) => self.machine.env.draw = draw,
            Step::LateResult => self.late_result(),
            _ if !self.reference.is_running() => {}
            Step::Brings(lifetime) => {
                let token = self.new_token();
                self.brings(token, lifetime);
            }
            Step::Repeats(lifetime) => {
                if let Some((token, _)) = self.reference.current() {
                    self.brings(token, lifetime);
                }
            }
            Step::Fails(class, asked) => {
                let error = match class {
                    Class::Transient => ProviderError::transient("x"),
                    Class::Permanent => ProviderError::permanent("x"),
                    Class::LoginRequired => ProviderError::login_required("x"),
                };
                let error = Error::provider(error.with_retry_after(asked));
                let (outcome, _) = self.machine.complete(Err(error));
                let is_wanted = self.reference.fails(class, asked, draw, now);
                assert_eq!(matches!(outcome, Outcome::Failed(_)), is_wanted);
            }
            Step::Overdue => {
                let id = self.machine.last().id;
                let outcome = self.machine.state.overdue(id, &self.machine.env);
                let fails = self.reference.is_overdue(draw, now);
                assert_eq!(matches!(outcome, Outcome::Failed(_)), fails);
            }
            Step::Abandon => {
                self.abandoned.push(self.machine.last().id);
                self.machine.state.abandon_refresh();
                self.reference.is_abandoned();
            }
        }
        let current = self.machine.state.current().1;
        let current = current.map(|current| (current.credential, current.generation));
        assert_eq!(current, self.reference.current(), "the current credential");
        assert_eq!(
            self.machine.state.in_flight.is_some(),
            self.reference.is_running()
        );
    }

    fn new_token(&mut self) -> u32 {
        self.last_token += 1;
        self.last_token
    }

    fn generation(&self, older: u64) -> Option<u64> {
        let (_, generation) = self.reference.current()?;
        generation.checked_sub(older)
    }

    /// Runs an action, and returns the reason for the refresh that it started.
    fn started<T>(&mut self, act: impl FnOnce(&mut Machine) -> T) -> (T, Option<Reason>) {
        let before = self.machine.started.len();
        let outcome = act(&mut self.machine);
        let started = self.machine.started[before..].iter();
        let reasons: Vec<_> = started.map(|start| start.reason).collect();
        assert!(reasons.len() <= 1);
        (outcome, reasons.first().copied())
    }

    fn acquire(&mut self) {
        let now = self.machine.env.now;
        let (got, started) = self.started(Machine::acquire);
        self.reference.acquired(&got, started, now);
    }

    fn reject(&mut self, older: u64) {
        let now = self.machine.env.now;
        if let Some(generation) = self.generation(older) {
            let (got, started) = self.started(|machine| machine.reject(generation));
            if older == 0 {
                self.reference.rejected(&got, started, now);
            } else {
                // Rule 5.
                self.reference.acquired(&got, started, now);
            }
        }
    }

    fn report(&mut self, older: u64) {
        let now = self.machine.env.now;
        if let Some(generation) = self.generation(older) {
            let was_invalidated = self.machine.state.invalidated.is_some();
            self.machine.report(generation);
            if self.machine.state.invalidated.is_some() && !was_invalidated {
                assert_eq!(older, 0, "a late report");
                self.reference.report_is_heeded(now);
            }
        }
    }

    fn brings(&mut self, token: u32, lifetime: Duration) {
        let current = self.reference.current();
        let same_as = current.filter(|current| current.0 == token);
        let result = Received {
            same_as: same_as.map(|current| current.1),
            ..received(token, lifetime.as_secs_f64())
        };
        let is_wanted = self.reference.brings(token, lifetime, self.machine.env.now);
        match self.machine.complete(Ok(result)) {
            (Outcome::Published(snapshot), None) => {
                assert!(is_wanted && snapshot.credential == token);
            }
            (Outcome::Superseded, Some(unwanted)) => assert!(!is_wanted && unwanted == token),
            _ => panic!("neither used nor handed back"),
        }
    }

    fn late_result(&mut self) {
        if let Some(id) = self.abandoned.pop() {
            let token = self.new_token();
            let result = Ok(received(token, 3600.0));
            let completion = self.machine.state.complete(id, result, &self.machine.env);
            assert!(matches!(completion, (Outcome::Superseded, Some(_))));
        }
    }

    /// Checks that the next caller gets a credential once nothing fails anymore.
    fn recovers(mut self) -> Seen {
        let well = Step::Brings(secs(3600.0));
        for step in [
            well.clone(),
            Step::Resume,
            Step::Pass(secs(400.0)),
            Step::Acquire,
            well,
        ] {
            self.step(&step);
        }
        assert!(matches!(self.machine.acquire(), Got::Use(_)));
        self.reference.seen
    }
}

fn run(program: &[Step]) -> Seen {
    let mut run = Run {
        machine: Machine::new(),
        reference: Reference::default(),
        last_token: 0,
        abandoned: Vec::new(),
    };
    for step in program {
        run.step(step);
    }
    run.recovers()
}

/// Rules 1, 3, 4, 5, 7, 11 and 12.
#[test]
fn every_program_keeps_the_rules_and_recovers() {
    let count = env::var("TOWER_AUTH_PROGRAMS").ok();
    let config = Config {
        cases: count.as_ref().map_or(1_000, |count| count.parse().unwrap()),
        failure_persistence: None,
        max_shrink_iters: 20_000,
        ..Config::default()
    };
    let cases = config.cases as usize;
    let mut runner = match count {
        Some(_) => TestRunner::new(config),
        None => {
            TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]))
        }
    };
    let seen = Mutex::new(Seen::default());
    runner
        .run(&vec(steps(), 1..60), |program| {
            let ran = run(&program);
            seen.lock().unwrap().add(ran);
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{error}"));
    let seen = seen.into_inner().unwrap();
    // The generator has to cover every case that the rules mention.
    assert_eq!(seen.counts.len(), 11, "{seen:?}");
    assert!(
        seen.counts.values().all(|count| *count > cases / 50),
        "{seen:?}"
    );
}
