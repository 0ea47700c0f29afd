//! Assertions and tokens that a user's closure supplies, and the grants that send them.

use std::{future::Future, sync::Arc};

use futures_util::future::{BoxFuture, FutureExt, TryFutureExt};

use super::{endpoint::TokenEndpoint, error::Problem, form::Form, response::TokenResponse};
use crate::{error::ProviderError, secret::Secret};

/// Supplies an assertion each time one is needed.
#[expect(unnameable_types, reason = "used only inside a builder")]
#[derive(Clone)]
pub struct AssertionSource(Arc<SourceFn>);

type SourceFn = dyn Fn() -> BoxFuture<'static, Result<Secret, ProviderError>> + Send + Sync;

impl AssertionSource {
    pub(super) fn new<F, Fut>(source: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<String, ProviderError>> + Send + 'static,
    {
        Self(Arc::new(move || source().map_ok(Secret::new).boxed()))
    }

    pub(super) async fn get(&self) -> Result<Secret, ProviderError> {
        (self.0)().await
    }
}

partial_debug!(AssertionSource);

/// A grant that exchanges assertions for a token, and does not use refresh tokens.
#[derive(Debug)]
pub(super) struct AssertionFlow {
    pub(super) endpoint: TokenEndpoint,
    /// All parameters except for the assertions.
    pub(super) form: Form,
    /// The requested scope.
    pub(super) scope: Option<String>,
    /// The name of each assertion parameter, and the source of its value.
    pub(super) assertions: Vec<(&'static str, AssertionSource)>,
    /// Whether the response must declare the type of the token that it contains (RFC 8693 section
    /// 2.2.1).
    pub(super) requires_issued_type: bool,
}

impl AssertionFlow {
    pub(super) async fn log_in(&self) -> Result<TokenResponse, ProviderError> {
        let mut form = self.form.clone();
        for (name, source) in &self.assertions {
            form.push_secret(name, &source.get().await?);
        }
        let mut response = self.endpoint.exchange(&form).await?;
        if self.requires_issued_type && !response.has_issued_type {
            let problem = Problem::Unusable("it has no issued_token_type".into());
            return Err(self.endpoint.failed(problem).into());
        }
        // The next token also needs new assertions, so a refresh token is not used.
        response.refresh_token = None;
        response.scope = response.scope.or_else(|| self.scope.clone());
        Ok(response)
    }
}
