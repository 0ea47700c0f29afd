//! A waiter for the in-flight refresh.

use std::sync::Arc;

use tokio::{sync::watch, time::timeout_at};

use super::{
    refresh::{Progress, Refresh},
    state::Outcome,
};
use crate::{
    credential::Credential,
    error::{Error, ErrorKind},
};

pub(super) struct Waiter<C> {
    refresh: Arc<Refresh<C>>,
    progress: watch::Receiver<Progress<C>>,
}

impl<C: Credential> Waiter<C> {
    /// Creates a waiter. Must be called under the cache's lock, so that the end of the epoch cannot
    /// be missed.
    pub(super) fn new(refresh: Arc<Refresh<C>>) -> Self {
        Self {
            progress: refresh.subscribe(),
            refresh,
        }
    }

    /// Waits until the refresh has an outcome, its epoch has ended, or the watchdog suspects it.
    pub(super) async fn next(&mut self) -> Outcome<C> {
        if let Some(outcome) = self.progress.borrow().outcome() {
            return outcome;
        }
        let until = self.refresh.watchdog.waits_until();
        match timeout_at(until, self.progress.changed()).await {
            Ok(_) => {
                let outcome = self.progress.borrow().outcome();
                outcome.unwrap_or(Outcome::Superseded)
            }
            Err(_) if self.refresh.is_lost() => Outcome::Superseded,
            Err(_) => Outcome::Failed(Error::new(ErrorKind::Timeout)),
        }
    }

    /// Returns whether the refresh is past its deadline but has not ended.
    pub(super) fn is_overdue(&self) -> bool {
        matches!(*self.progress.borrow(), Progress::Overdue(_))
    }

    pub(super) fn waits_for_itself(&self) -> bool {
        self.refresh.waits_for_caller()
    }
}
