//! New credentials, and the ends of refreshes.

use std::sync::Arc;

use tokio::time::Instant;

use super::{
    State,
    transition::{Completion, Effects, Env, Received, RefreshId},
};
use crate::{
    cache::{freshness::Expiry, snapshot::Snapshot},
    error::{Error, ErrorKind},
    provider::{Lifetime, Reason},
};

impl<C> State<C> {
    /// Publishes the provider's initial credential, unless new credentials or a logout came first.
    pub(in crate::cache) fn offer_initial(&mut self, received: Option<Received<C>>, env: &Env) {
        if self.wants_initial {
            self.wants_initial = false;
            if let Some(received) = received {
                self.publish(received, env.now.monotonic, None, env);
            }
        }
    }

    /// Uses a credential from outside, and starts a new epoch.
    pub(in crate::cache) fn set_credential(
        &mut self,
        received: Received<C>,
        env: &Env,
    ) -> Effects<C> {
        let effects = self.end_epoch();
        self.logged_out = false;
        self.publish(received, env.now.monotonic, None, env);
        self.set_externally = true;
        effects
    }

    /// Ends a refresh with its result.
    pub(in crate::cache) fn complete(
        &mut self,
        id: RefreshId,
        result: Result<Received<C>, Error>,
        env: &Env,
    ) -> Completion<C> {
        let refresh = self.in_flight.take_if(|refresh| refresh.id == id);
        match (refresh.filter(|it| it.epoch == self.epoch), result) {
            (Some(refresh), Ok(received)) => Completion::Published(self.publish(
                received,
                refresh.started_at,
                Some(refresh.reason),
                env,
            )),
            (Some(_), Err(error)) => Completion::Failed(self.fail(error, env)),
            (None, Ok(received)) => Completion::Superseded(Some(received.issued.into_credential())),
            (None, Err(_)) => Completion::Superseded(None),
        }
    }

    /// Records that a refresh passed its deadline, while it has to go on. Returns the error for
    /// callers, or `None` if the refresh was started in an earlier epoch, so that its delay is not
    /// a failure of this one.
    pub(in crate::cache) fn overdue(&mut self, id: RefreshId, env: &Env) -> Option<Error> {
        let refresh = self.in_flight.filter(|it| it.id == id)?;
        (refresh.epoch == self.epoch).then(|| self.fail(Error::new(ErrorKind::Timeout), env))
    }

    fn publish(
        &mut self,
        received: Received<C>,
        requested_at: Instant,
        reason: Option<Reason>,
        env: &Env,
    ) -> Arc<Snapshot<C>> {
        let Received { issued, same_as } = received;
        let lifetime = issued.lifetime();
        let mut expiry = Expiry::new(lifetime, &self.settings, requested_at, env.now, env.draw);
        let generation = match same_as.filter(|same| *same == self.current_generation()) {
            Some(same) => {
                if reason == Some(Reason::Early) {
                    expiry = expiry.map(Expiry::without_early);
                }
                same
            }
            None => {
                self.generation += 1;
                self.budget.published(env.now.monotonic);
                self.generation
            }
        };
        self.invalidated = None;
        self.set_externally = false;
        self.failures.clear();
        self.version += 1;
        let snapshot = Arc::new(Snapshot::new(
            (self.version, generation),
            issued.into_credential(),
            lifetime == Lifetime::Permanent,
            expiry,
            env.now,
        ));
        self.current = Some(Arc::clone(&snapshot));
        snapshot
    }

    fn fail(&mut self, error: Error, env: &Env) -> Error {
        let backoff = &self.settings.backoff;
        self.failures.record(error, backoff, env.now, env.draw)
    }
}
