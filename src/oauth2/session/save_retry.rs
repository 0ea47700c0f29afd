//! Retrying the save of issued tokens after the first attempt has failed.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::time::{Instant, sleep};

use super::{
    locked::Locked,
    shared::Session,
    state::{Known, State},
};
use crate::{oauth2::grant::sealed::Grant, observe, store::StoreError, time::ExponentialBackoff};

/// The lock lease that is requested while saves fail. It is longer than the pauses between
/// attempts.
const LOCK_LEASE: Duration = Duration::from_secs(60);
const BACKOFF: ExponentialBackoff =
    ExponentialBackoff::new(Duration::from_secs(1), Duration::from_secs(30));

impl<G: Grant> Session<G> {
    /// Completes a save or delete that an earlier refresh or logout could not complete.
    pub(super) async fn finish_pending_writes(
        self: &Arc<Self>,
        state: &mut State,
    ) -> Result<(), StoreError> {
        if self.is_delete_due() {
            let revision = self.entry.delete().await?;
            self.set_delete_due(false);
            self.set_known(&mut state.tokens, Some(Known::nothing(revision)));
        }
        if state.tokens.unsaved {
            self.retry_save(state).await?;
        }
        Ok(())
    }

    /// Records why the known tokens are not saved, and keeps trying to save them in the background.
    pub(super) fn retry_save_in_background(self: &Arc<Self>, error: StoreError) {
        observe::save_failed(&error);
        self.set_save_error(Some(error));
        tokio::spawn(save_until_done(Arc::downgrade(self)));
    }

    async fn retry_save(self: &Arc<Self>, state: &mut State) -> Result<(), StoreError> {
        let until = Instant::now() + LOCK_LEASE;
        self.entry.renew(&mut state.lock, until).await?;
        if state.lock.is_none()
            && let Some(left) = self.entry.try_lock(&mut state.lock, until).await?
        {
            return Err(self.entry.busy(left));
        }
        let stored = self.entry.load().await?.revision;
        let known = state.tokens.known.clone();
        let known = known.filter(|known| known.revision == stored);
        let tokens = known.and_then(|known| Some((known.tokens?, known.is_own)));
        let is_saved = match (Locked::new(self, state), tokens) {
            (Some(mut locked), Some((tokens, is_own))) => {
                locked.save(stored, &tokens, is_own).await?.is_some()
            }
            _ => false,
        };
        if !is_saved {
            // The entry is newer. It contains either these tokens, because the store saved them
            // after all, or those of another process. The next refresh adopts its tokens.
            state.tokens.unsaved = false;
            self.set_save_error(None);
        }
        Ok(())
    }
}

/// Retries the save until the tokens are saved or the provider is dropped.
async fn save_until_done<G: Grant>(session: Weak<Session<G>>) {
    for attempt in 0.. {
        let pause = BACKOFF.delay(attempt);
        sleep(pause.mul_f64(0.75 + fastrand::f64() / 2.0)).await;
        let Some(session) = session.upgrade() else {
            return;
        };
        let mut state = session.state.lock().await;
        if !state.tokens.unsaved {
            return;
        }
        match session.retry_save(&mut state).await {
            Ok(()) => {
                observe::save_recovered();
                session.entry.unlock(&mut state.lock).await;
                return;
            }
            Err(error) => {
                observe::save_failed(&error);
                session.set_save_error(Some(error));
            }
        }
    }
}
