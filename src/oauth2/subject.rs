//! Grants that prove, anew for each token, whom it is for: with another token, or an assertion.

use std::{fmt, future::Future, sync::Arc};

use futures_util::future::{BoxFuture, FutureExt, TryFutureExt};

use super::{
    answer::TokenAnswer,
    endpoint::TokenEndpoint,
    error::{Problem, TokenError},
    form::Form,
    login_required::LoginRequired,
    session::Grant,
};
use crate::{
    credential::Bearer, error::ProviderError, provider::RefreshContext, secret::Secret,
    store::TokenSet,
};

/// Where a proof comes from, each time one is needed.
#[derive(Clone)]
pub(super) struct Source(Arc<SourceFn>);

type SourceFn = dyn Fn() -> BoxFuture<'static, Result<Secret, ProviderError>> + Send + Sync;

impl Source {
    pub(super) fn new<F, Fut>(give: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<String, ProviderError>> + Send + 'static,
    {
        Self(Arc::new(move || give().map_ok(Secret::new).boxed()))
    }

    pub(super) async fn give(&self) -> Result<Secret, ProviderError> {
        (self.0)().await
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").finish_non_exhaustive()
    }
}

/// What such grants have as settings beside the usual ones.
#[derive(Default)]
pub(super) struct SubjectSettings {
    pub(super) assertion: Option<Source>,
    pub(super) subject: Option<TypedSource>,
    pub(super) actor: Option<TypedSource>,
    pub(super) requested_type: Option<String>,
    pub(super) audiences: Vec<String>,
}

/// A token, and what kind of one it is.
pub(super) struct TypedSource {
    pub(super) kind: String,
    pub(super) source: Source,
}

impl TypedSource {
    pub(super) fn new<F, Fut>(kind: impl Into<String>, give: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<String, ProviderError>> + Send + 'static,
    {
        Self {
            kind: kind.into(),
            source: Source::new(give),
        }
    }
}

pub(super) struct SubjectGrant {
    endpoint: TokenEndpoint,
    /// What is the same each time.
    form: Form,
    scope: Option<String>,
    /// What is not.
    proofs: Vec<(&'static str, Source)>,
    /// RFC 8693 2.2.1: the answer says what kind of token it has.
    says_type: bool,
}

impl SubjectGrant {
    pub(super) fn endpoint(&self) -> &TokenEndpoint {
        &self.endpoint
    }

    pub(super) fn new(
        endpoint: TokenEndpoint,
        form: Form,
        scope: Option<String>,
        proofs: Vec<(&'static str, Source)>,
        says_type: bool,
    ) -> Self {
        Self {
            endpoint,
            form,
            scope,
            proofs,
            says_type,
        }
    }

    async fn proven(&self) -> Result<Form, ProviderError> {
        let mut form = self.form.clone();
        for (name, source) in &self.proofs {
            form.push_secret(name, &source.give().await?);
        }
        Ok(form)
    }

    async fn ask(&self, form: &Form) -> Result<TokenAnswer, TokenError> {
        let mut answer = self.endpoint.exchange(form).await?;
        if self.says_type && !answer.says_issued_type {
            let problem = Problem::Unusable("it has no issued_token_type".into());
            return Err(self.endpoint.failed(problem));
        }
        // The next token is proven anew too.
        answer.refresh_token = None;
        answer.scope = answer.scope.or_else(|| self.scope.clone());
        Ok(answer)
    }
}

impl Grant for SubjectGrant {
    /// The store can hold a refresh token of somebody else's, who used the same key.
    async fn refresh(
        &self,
        _: &TokenSet,
        _: &RefreshContext<Bearer>,
    ) -> Result<TokenAnswer, TokenError> {
        let form = self.proven().await;
        let unsent = |error: ProviderError| self.endpoint.failed(Problem::Unsent(error.into()));
        self.ask(&form.map_err(unsent)?).await
    }

    fn proves_dead(&self, _: &TokenError) -> bool {
        false
    }

    async fn log_in(
        &self,
        _: Option<LoginRequired>,
        _: &RefreshContext<Bearer>,
    ) -> Result<TokenAnswer, ProviderError> {
        let form = self.proven().await?;
        Ok(self.ask(&form).await?)
    }
}
