//! Getting tokens from the server under the lock. Refresh tokens come first, and each is sent once.

use super::{
    locked::Locked,
    state::{IssuedTokens, tokens, usable},
};
use crate::{
    credential::Bearer,
    error::ProviderError,
    oauth2::{
        grant::sealed::Grant, login_required::LoginRequired, refresh_request::RefreshRequest,
    },
    provider::RefreshContext,
    store::{Intent, Revision, Stored, TokenSet},
};

/// The state of the store entry, as known to this refresh.
struct Progress {
    revision: Revision,
    /// The intent left behind by a process that was about to spend the stored refresh token but
    /// never saved an outcome.
    orphan: Option<Intent>,
    /// The reason that the most recently tried refresh token is dead.
    refused: Option<LoginRequired>,
}

/// Tokens that a refresh can start from.
struct Candidate {
    tokens: TokenSet,
    origin: Origin,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    Store,
    /// The tokens that the user supplied.
    Initial,
}

impl<G: Grant> Locked<'_, G> {
    /// Tries the available tokens in order, and logs in if none of them is usable.
    pub(super) async fn refresh_or_log_in(
        &mut self,
        stored: Stored,
        context: &RefreshContext<Bearer>,
    ) -> Result<IssuedTokens, ProviderError> {
        let intent = stored.intent;
        let mut progress = Progress {
            revision: stored.revision,
            orphan: intent.filter(|intent| intent.revision == stored.revision),
            refused: None,
        };
        let session = self.session;
        if !session.grant.must_log_in() {
            for candidate in self.candidates(stored.tokens.as_ref()) {
                let issued = self.try_candidate(context, &mut progress, &candidate);
                if let Some(issued) = issued.await? {
                    self.tokens.initial = None;
                    return Ok(issued);
                }
            }
        }
        let requested = self.request_time(context)?;
        let response = session.grant.log_in(progress.refused, context).await?;
        self.tokens.rotated = false;
        // A grant that does not use refresh tokens keeps one that another grant has stored.
        let unused = stored.tokens.filter(|tokens| {
            session.grant.refresh().is_none() && tokens.expose_refresh_token().is_some()
        });
        let tokens = tokens(response, unused.as_ref(), requested);
        self.save_issued(progress.revision, tokens, requested).await
    }

    /// Returns the stored tokens, if they have a refresh token, and then the initial ones. A grant
    /// that does not use refresh tokens must not overwrite one that another grant has stored.
    fn candidates(&self, stored: Option<&TokenSet>) -> Vec<Candidate> {
        let stored = stored.filter(|tokens| tokens.expose_refresh_token().is_some());
        let can_refresh = self.session.grant.refresh().is_some();
        let may_replace = |initial: &TokenSet, stored: &TokenSet| {
            can_refresh && !has_same_refresh_token(initial, stored)
        };
        let initial = self.tokens.initial.as_ref();
        let initial =
            initial.filter(|initial| stored.is_none_or(|stored| may_replace(initial, stored)));
        let candidate = |origin| {
            move |tokens: &TokenSet| Candidate {
                tokens: tokens.clone(),
                origin,
            }
        };
        let stored = stored.map(candidate(Origin::Store));
        stored
            .into_iter()
            .chain(initial.map(candidate(Origin::Initial)))
            .collect()
    }

    /// Uses the access token of a candidate, or else spends its refresh token. Returns `None` if
    /// neither is usable.
    async fn try_candidate(
        &mut self,
        context: &RefreshContext<Bearer>,
        progress: &mut Progress,
        candidate: &Candidate,
    ) -> Result<Option<IssuedTokens>, ProviderError> {
        let Candidate { tokens, origin } = candidate;
        if *origin == Origin::Initial
            && let Some(issued) = self.adopt_initial(context, progress, tokens).await?
        {
            return Ok(Some(issued));
        }
        if let Some(request) = self.session.grant.refresh()
            && tokens.expose_refresh_token().is_some()
        {
            if let Some(issued) = self.spend(request, context, progress, tokens).await? {
                return Ok(Some(issued));
            }
            self.drop_refused(progress, candidate).await?;
        } else if *origin == Origin::Initial {
            self.tokens.initial = None;
        }
        Ok(None)
    }

    /// Uses an initial access token as if another process had saved it.
    async fn adopt_initial(
        &mut self,
        context: &RefreshContext<Bearer>,
        progress: &mut Progress,
        tokens: &TokenSet,
    ) -> Result<Option<IssuedTokens>, ProviderError> {
        let as_stored = Stored {
            revision: progress.revision,
            tokens: Some(tokens.clone()),
            intent: None,
        };
        let Some(issued) = usable(None, &as_stored, context) else {
            return Ok(None);
        };
        self.tokens.rotated = false;
        let saved = self.save(progress.revision, tokens, false).await?;
        saved.ok_or_else(|| self.session.entry.overtaken())?;
        Ok(Some(issued))
    }

    /// Spends a refresh token and saves the new tokens over the entry's current revision. Returns
    /// `None` if the refresh token is dead.
    async fn spend(
        &mut self,
        request: &RefreshRequest,
        context: &RefreshContext<Bearer>,
        progress: &mut Progress,
        held: &TokenSet,
    ) -> Result<Option<IssuedTokens>, ProviderError> {
        request.check_scopes(held)?;
        let orphan = progress.orphan.take();
        self.set_intent(Some(Intent {
            revision: progress.revision,
            holder: self.session.entry.holder().to_owned(),
        }))
        .await?;
        let requested = self.request_time(context)?;
        match request.send(held, context).await {
            Ok(response) => {
                let tokens = tokens(response, Some(held), requested);
                self.tokens.rotated = !has_same_refresh_token(&tokens, held);
                let issued = self.save_issued(progress.revision, tokens, requested);
                issued.await.map(Some)
            }
            Err(error) if (request.proves_dead)(&error) => {
                let rotated = std::mem::take(&mut self.tokens.rotated);
                progress.refused = Some(LoginRequired::refused(error, orphan, rotated));
                Ok(None)
            }
            Err(error) => {
                // After any other failure, the server may have consumed the token, so the intent
                // stays.
                if error.is_without_effect() && orphan.is_none() {
                    let _ = self.set_intent(None).await;
                }
                Err(error.into())
            }
        }
    }

    /// Tries to make sure that no process sends a dead refresh token again.
    async fn drop_refused(
        &mut self,
        progress: &mut Progress,
        candidate: &Candidate,
    ) -> Result<(), ProviderError> {
        let initial = self.tokens.initial.as_ref();
        if initial.is_some_and(|initial| has_same_refresh_token(initial, &candidate.tokens)) {
            self.tokens.initial = None;
        }
        if candidate.origin == Origin::Initial {
            let _ = self.set_intent(None).await;
            return Ok(());
        }
        let rest = candidate.tokens.clone().without_refresh_token();
        match self.save(progress.revision, &rest, false).await {
            Ok(Some(saved)) => progress.revision = saved,
            Ok(None) => return Err(self.session.entry.overtaken().into()),
            // If the token is still in the store, the next process that tries it learns that it is
            // dead.
            Err(_) => {}
        }
        Ok(())
    }
}

fn has_same_refresh_token(one: &TokenSet, other: &TokenSet) -> bool {
    one.expose_refresh_token() == other.expose_refresh_token()
}
