//! A provider that follows a script and checks the rules that it can observe.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use http::{HeaderValue, header::AUTHORIZATION};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use crate::{
    credential::{Credential, RequestHeadMut},
    error::{BoxError, ProviderError},
    provider::{Issued, Provider, RefreshContext, RevokeContext},
};

/// The default refresh timeout of `RefreshSettings`.
const REFRESH_TIMEOUT: Duration = Duration::from_secs(10);

/// A credential that can be identified by its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token(pub(super) usize);

impl Credential for Token {
    fn apply(&self, outgoing: &mut RequestHeadMut<'_>) -> Result<(), BoxError> {
        outgoing.insert_header(&AUTHORIZATION, HeaderValue::from(self.0));
        Ok(())
    }

    fn is_same(&self, other: &Self) -> bool {
        self == other
    }
}

/// Returns the behavior of the n-th call, counted from 1.
pub(super) type Script = fn(usize) -> Turn;

#[derive(Clone, Copy)]
pub(super) struct Turn {
    commits: bool,
    takes: Duration,
    outcome: Outcome,
}

#[derive(Clone, Copy)]
enum Outcome {
    /// Issues the credential with the number of the call.
    Issues(Option<Duration>),
    Fails,
}

impl Turn {
    pub(super) fn issues() -> Self {
        Self {
            commits: false,
            takes: Duration::ZERO,
            outcome: Outcome::Issues(None),
        }
    }

    pub(super) fn issues_for(seconds: u64) -> Self {
        Self {
            outcome: Outcome::Issues(Some(Duration::from_secs(seconds))),
            ..Self::issues()
        }
    }

    /// Fails permanently: the delay until the next attempt is not random.
    pub(super) fn fails() -> Self {
        Self {
            outcome: Outcome::Fails,
            ..Self::issues()
        }
    }

    pub(super) fn taking(mut self, seconds: u64) -> Self {
        self.takes = Duration::from_secs(seconds);
        self
    }

    /// Commits at the start of the call.
    pub(super) fn committed(mut self) -> Self {
        self.commits = true;
        self
    }
}

#[derive(Default)]
pub(super) struct Log {
    /// The number and deadline of the call in progress.
    running: Mutex<Option<(usize, Instant)>>,
    calls: watch::Sender<usize>,
    pub(super) issued_numbers: Mutex<Vec<usize>>,
    pub(super) revoked: watch::Sender<Vec<usize>>,
}

impl Log {
    pub(super) fn calls(&self) -> usize {
        *self.calls.borrow()
    }

    pub(super) async fn called(&self) {
        let mut calls = self.calls.subscribe();
        assert!(calls.wait_for(|calls| *calls > 0).await.is_ok());
    }

    pub(super) async fn logged_out(&self) {
        let mut revoked = self.revoked.subscribe();
        assert!(revoked.wait_for(|all| !all.is_empty()).await.is_ok());
    }
}

pub(super) struct Scripted {
    script: Script,
    log: Arc<Log>,
}

impl Scripted {
    pub(super) fn new(script: Script, log: Arc<Log>) -> Self {
        Self { script, log }
    }
}

/// Minimum time after its deadline before a call may be abandoned.
const LAST_CHANCE: Duration = Duration::from_secs(1);

/// A call in progress. A second one never starts (rule 1), unless the first was abandoned because
/// its task was not driven. In that case, the first does not continue.
struct Call<'a> {
    log: &'a Log,
    number: usize,
}

impl<'a> Call<'a> {
    fn begin(log: &'a Log, deadline: Instant) -> Self {
        let mut running = log.running.lock().unwrap();
        let lost = running.is_none_or(|(_, deadline)| deadline + LAST_CHANCE < Instant::now());
        assert!(lost, "two refreshes at once");
        let number = log.calls() + 1;
        *running = Some((number, deadline));
        log.calls.send_replace(number);
        Self { log, number }
    }

    fn goes_on(&self) {
        let running = *self.log.running.lock().unwrap();
        assert!(
            running.is_some_and(|(number, _)| number == self.number),
            "an abandoned refresh continues"
        );
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        let mut running = self.log.running.lock().unwrap();
        running.take_if(|(number, _)| *number == self.number);
    }
}

impl Provider for Scripted {
    type Credential = Token;

    async fn issue(&self, context: RefreshContext<Token>) -> Result<Issued<Token>, ProviderError> {
        let call = Call::begin(&self.log, context.deadline());
        let number = call.number;
        let begun = context.deadline() - REFRESH_TIMEOUT;
        let turn = (self.script)(number);
        if turn.commits {
            context.commit();
        }
        shuttle::future::yield_now().await;
        call.goes_on();
        sleep_until(begun + turn.takes).await;
        call.goes_on();
        match turn.outcome {
            Outcome::Issues(lifetime) => {
                self.log.issued_numbers.lock().unwrap().push(number);
                let issued = Issued::new(Token(number));
                Ok(match lifetime {
                    Some(lifetime) => issued.expires_in(lifetime),
                    None => issued,
                })
            }
            Outcome::Fails => Err(ProviderError::permanent("refused")),
        }
    }

    async fn revoke(&self, context: RevokeContext<Token>) -> Result<(), ProviderError> {
        let credentials = context.credentials().iter().map(|token| token.0);
        self.log.revoked.send_modify(|all| all.extend(credentials));
        Ok(())
    }
}
