//! Publishes new credentials and completes refreshes.

use std::{mem, sync::Arc};

use tokio::time::Instant;

use super::{
    State,
    transition::{Effects, Env, Outcome, Received, RefreshId},
};
use crate::{
    cache::{freshness::RefreshSchedule, snapshot::Snapshot},
    error::{Error, ErrorKind},
    provider::{Lifetime, Reason},
};

impl<C> State<C> {
    /// Publishes the provider's initial credential, unless a new credential or a logout came first.
    /// Returns the initial credential if it is not used.
    pub(crate) fn offer_initial(
        &mut self,
        received: Option<Received<C>>,
        env: &Env,
    ) -> Option<Received<C>> {
        if !mem::take(&mut self.wants_initial) {
            return received;
        }
        self.publish(received?, env.now.monotonic, None, env);
        None
    }

    /// Uses an externally supplied credential, and starts a new epoch.
    pub(crate) fn set_credential(&mut self, received: Received<C>, env: &Env) -> Effects<C> {
        let effects = self.end_epoch();
        self.logged_out = false;
        self.publish(received, env.now.monotonic, None, env);
        self.set_externally = true;
        effects
    }

    /// Ends a refresh with its result. Returns the credential if it arrived too late to be used.
    pub(crate) fn complete(
        &mut self,
        id: RefreshId,
        result: Result<Received<C>, Error>,
        env: &Env,
    ) -> (Outcome<C>, Option<C>) {
        let refresh = self.in_flight.take_if(|refresh| refresh.id == id);
        let Some(refresh) = refresh.filter(|it| it.epoch == self.epoch) else {
            let unwanted = result.ok().map(|it| it.issued.into_credential());
            return (Outcome::Superseded, unwanted);
        };
        let reason = Some(refresh.reason);
        let outcome = match result {
            Ok(it) => Outcome::Published(self.publish(it, refresh.started_at, reason, env)),
            Err(error) => self.fail(error, env),
        };
        (outcome, None)
    }

    /// Records that a refresh passed its deadline but has to continue. If the refresh was started
    /// in an earlier epoch, its delay is not a failure of the current epoch.
    pub(crate) fn overdue(&mut self, id: RefreshId, env: &Env) -> Outcome<C> {
        match self.in_flight {
            Some(refresh) if refresh.id == id && refresh.epoch == self.epoch => {
                self.fail(Error::new(ErrorKind::Timeout), env)
            }
            _ => Outcome::Superseded,
        }
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
        let mut expiry =
            RefreshSchedule::new(lifetime, &self.settings, requested_at, env.now, env.draw);
        let generation = match same_as.filter(|same| *same == self.current_generation()) {
            Some(same) => {
                if reason == Some(Reason::Early) {
                    expiry = expiry.map(RefreshSchedule::without_early);
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

    fn fail(&mut self, error: Error, env: &Env) -> Outcome<C> {
        let backoff = &self.settings.backoff;
        Outcome::Failed(self.failures.record(error, backoff, env.now, env.draw))
    }
}
