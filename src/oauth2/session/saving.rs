//! What comes after the server's answer: nothing of it may be lost.

use std::{
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use tokio::time::{Instant, sleep};

use super::{Asked, Fresh, Grant, Known, LoginRequired, Ordering, Session, State};
use crate::{
    error::ProviderError,
    observe,
    store::{Revision, SaveRequest, StoreError, Stored, TokenSet, WriteOutcome},
};

/// How long the store's lock is kept at a time while a save fails: longer than the pauses between
/// the attempts.
const KEPT: Duration = Duration::from_secs(60);
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Why the newest tokens are not in the store.
#[derive(Default)]
pub(super) struct Trouble(Mutex<Option<StoreError>>);

impl Trouble {
    fn set(&self, error: Option<StoreError>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = error;
    }

    fn get(&self) -> Option<StoreError> {
        let trouble = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        trouble.clone()
    }
}

impl<G: Grant> Session<G> {
    pub(in super::super) fn save_error(&self) -> Option<StoreError> {
        self.trouble.get()
    }

    /// Saves tokens that the server has just issued, and gives them for use, whatever becomes of
    /// the save, unless somebody has logged out meanwhile.
    pub(super) async fn keep(
        self: &Arc<Self>,
        state: &mut State,
        replaces: Revision,
        tokens: TokenSet,
        asked: Asked,
    ) -> Result<Fresh, ProviderError> {
        state.known = Some(Known {
            revision: replaces,
            tokens: Some(tokens.clone()),
            is_own: true,
        });
        state.unsaved = true;
        match self.save(state).await {
            Ok(WriteOutcome::Applied) => {}
            Ok(WriteOutcome::Conflict) => {
                if let Ok(stored) = self.store.load(&self.key).await
                    && stored.revision > replaces
                    && stored.tokens.is_none()
                {
                    self.settle(state, Some(stored.revision), None);
                    self.revoke(&tokens).await;
                    return Err(ProviderError::login_required(LoginRequired::logged_out()));
                }
                state.lock = None;
                self.save_later(self.overtaken());
            }
            Err(error) => self.save_later(error),
        }
        Ok(Fresh {
            left: tokens.lifetime(),
            tokens,
            since: asked.at,
        })
    }

    /// Writes tokens that come from no answer, under the lock. Gives their revision, or `None`
    /// if somebody else has changed the entry.
    pub(super) async fn write(
        &self,
        state: &mut State,
        replaces: Revision,
        tokens: TokenSet,
    ) -> Result<Option<Revision>, StoreError> {
        let known = state.known.replace(Known {
            revision: replaces,
            tokens: Some(tokens),
            is_own: false,
        });
        let saved = self.save(state).await;
        if let Ok(WriteOutcome::Applied) = saved {
            return Ok(state.known.as_ref().map(|known| known.revision));
        }
        state.known = known;
        if let Ok(WriteOutcome::Conflict) = saved {
            state.lock = None;
        }
        saved.map(|_| None)
    }

    /// Does what an earlier refresh or log-out left undone.
    pub(super) async fn catch_up(&self, state: &mut State) -> Result<(), StoreError> {
        if self.delete_due.load(Ordering::Acquire) {
            let revision = self.store.delete(&self.key).await?;
            self.delete_due.store(false, Ordering::Release);
            self.settle(state, Some(revision), None);
        }
        if state.unsaved {
            self.save_again(state).await?;
        }
        Ok(())
    }

    /// A store that lost acknowledged writes gets back what this process knows.
    pub(super) async fn restore(
        &self,
        state: &mut State,
        stored: Stored,
    ) -> Result<Stored, ProviderError> {
        let Some(known) = state.known.clone() else {
            return Ok(stored);
        };
        let Some(tokens) = known.tokens.filter(|_| known.revision > stored.revision) else {
            return Ok(stored);
        };
        let fence = state.lock.map(|lock| lock.fence).unwrap_or_default();
        let revision = Revision(known.revision.0 + 1);
        let save = SaveRequest {
            fence,
            replaces: stored.revision,
            revision,
            tokens: &tokens,
        };
        match self.store.save(&self.key, save).await? {
            WriteOutcome::Conflict => Err(self.overtaken().into()),
            WriteOutcome::Applied => {
                self.settle(state, Some(revision), Some(tokens.clone()));
                Ok(Stored {
                    revision,
                    tokens: Some(tokens),
                    intent: None,
                })
            }
        }
    }

    /// Saves the known tokens in the place of the revision they are known under.
    async fn save(&self, state: &mut State) -> Result<WriteOutcome, StoreError> {
        let (Some(lock), Some(known)) = (state.lock, &mut state.known) else {
            return Ok(WriteOutcome::Conflict);
        };
        let Some(tokens) = &known.tokens else {
            return Ok(WriteOutcome::Conflict);
        };
        let save = SaveRequest {
            fence: lock.fence,
            replaces: known.revision,
            revision: Revision(known.revision.0 + 1),
            tokens,
        };
        let written = self.store.save(&self.key, save).await?;
        if written == WriteOutcome::Applied {
            known.revision = save.revision;
            state.unsaved = false;
            self.trouble.set(None);
        }
        Ok(written)
    }

    /// Another attempt to save tokens that an earlier one could not.
    async fn save_again(&self, state: &mut State) -> Result<(), StoreError> {
        let until = Instant::now() + KEPT;
        self.renew(state, until).await?;
        if state.lock.is_none()
            && let Some(left) = self.try_lock(state, until).await?
        {
            return Err(self.busy(left));
        }
        let stored = self.store.load(&self.key).await?;
        let known = state.known.as_ref().map(|known| known.revision);
        if known != Some(stored.revision) || self.save(state).await? == WriteOutcome::Conflict {
            // What is there is newer: these tokens, if the store has saved them after all, or
            // somebody else's. The next refresh adopts it.
            state.unsaved = false;
            self.trouble.set(None);
        }
        Ok(())
    }

    /// Says why the known tokens are not saved, and saves them in the background.
    fn save_later(self: &Arc<Self>, error: StoreError) {
        observe::unsaved(&error);
        self.trouble.set(Some(error));
        tokio::spawn(save_until_done(Arc::downgrade(self)));
    }

    /// From now on this is what there is.
    pub(super) fn settle(
        &self,
        state: &mut State,
        revision: Option<Revision>,
        tokens: Option<TokenSet>,
    ) {
        state.known = revision.map(|revision| Known {
            revision,
            tokens,
            is_own: false,
        });
        state.unsaved = false;
        self.trouble.set(None);
    }
}

/// Goes on while the provider is there.
async fn save_until_done<G: Grant>(session: Weak<Session<G>>) {
    let mut pause = FIRST_PAUSE;
    loop {
        sleep(pause.mul_f64(0.75 + fastrand::f64() / 2.0)).await;
        let Some(session) = session.upgrade() else {
            return;
        };
        let mut state = session.state.lock().await;
        if !state.unsaved {
            return;
        }
        match session.save_again(&mut state).await {
            Ok(()) => {
                observe::saved_after_all();
                session.unlock(&mut state).await;
                return;
            }
            Err(error) => {
                observe::unsaved(&error);
                session.trouble.set(Some(error));
            }
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
