//! Token exchange (RFC 8693): a token for another one.

use std::{fmt, future::Future, sync::Arc};

use super::{
    builder::{Builder, StandardGrant, required},
    session::Session,
    subject::{SubjectGrant, TypedSource},
};
use crate::{
    credential::Bearer,
    error::{ConfigError, ProviderError},
    provider::{Issued, Provider, RefreshContext, RevokeContext},
    store::StoreError,
};

/// A provider that exchanges tokens (RFC 8693): that of a user for one that another service
/// accepts, that of a workload's platform for one of a cloud.
///
/// The [subject token](Builder::subject_token) comes from a closure, which is asked anew for each
/// token request: of another layer's [`Handle`](crate::Handle), say, of a file, of a request.
///
/// ```
/// # use tower::service_fn;
/// # use bytes::Bytes;
/// # use http_body_util::Full;
/// use tower_auth::{Handle, ProviderError, credential::Bearer, oauth2::TokenExchange};
///
/// # fn provider(logged_in: Handle<Bearer>) -> Result<TokenExchange, tower_auth::ConfigError> {
/// # let client = service_fn(|_: http::Request<Full<Bytes>>| async {
/// #     Ok::<_, std::io::Error>(http::Response::new(Full::<Bytes>::default()))
/// # });
/// let subject = move || {
///     let logged_in = logged_in.clone();
///     async move {
///         let token = logged_in.credential().await.map_err(ProviderError::transient)?;
///         Ok(token.expose().to_owned())
///     }
/// };
/// TokenExchange::builder("https://login.example.com/token")
///     .client_id("front-end")
///     .client_secret("correct horse battery staple")
///     .subject_token(TokenExchange::ACCESS_TOKEN, subject)
///     .audience("back-end")
///     .http(client)
///     .build()
/// # }
/// ```
///
/// Its errors are those of the closures, or made from [`TokenError`](super::TokenError). What
/// comes back must be a bearer token: an answer of another `token_type`, such as `N_A`, is refused.
/// A refresh token in the answer is not used.
///
/// With a [store](Builder::store) many processes share one token; its key must then name the
/// subject. Cloning is cheap, and shares everything.
#[derive(Clone)]
pub struct TokenExchange {
    session: Arc<Session<SubjectGrant>>,
}

impl TokenExchange {
    /// The type of an access token of the same server.
    pub const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
    /// The type of a refresh token of the same server.
    pub const REFRESH_TOKEN: &str = "urn:ietf:params:oauth:token-type:refresh_token";
    /// The type of an OpenID Connect ID token.
    pub const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";
    /// The type of any other JWT.
    pub const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
    /// The type of a SAML 2.0 assertion, in base64url.
    pub const SAML2: &str = "urn:ietf:params:oauth:token-type:saml2";

    /// Starts with the token endpoint's URL. It must be https, or lead to this machine. The
    /// [subject token](Builder::subject_token) and the HTTP service are required; a client without
    /// a secret sends its id only, one without an id neither.
    pub fn builder(token_url: impl Into<String>) -> Builder<Self> {
        Builder::new(token_url)
    }

    /// Why the newest token is not in the store yet; `None` if it is. The save is tried again.
    #[must_use]
    pub fn save_error(&self) -> Option<StoreError> {
        self.session.save_error()
    }
}

impl StandardGrant for TokenExchange {}

impl Builder<TokenExchange> {
    /// Whom the new token is for (`subject_token`), and what kind of token says so, such as
    /// [`TokenExchange::ACCESS_TOKEN`]. Asked before each token request. Required. The class of its
    /// error decides what callers see, as with [`Provider::issue`](crate::Provider::issue).
    pub fn subject_token<F, Fut>(mut self, token_type: impl Into<String>, token: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<String, ProviderError>> + Send + 'static,
    {
        self.subject.subject = Some(TypedSource::new(token_type, token));
        self
    }

    /// Who acts for the subject (`actor_token`), in the same way. Default: the subject itself.
    pub fn actor_token<F, Fut>(mut self, token_type: impl Into<String>, token: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<String, ProviderError>> + Send + 'static,
    {
        self.subject.actor = Some(TypedSource::new(token_type, token));
        self
    }

    /// The logical name of a service that the new token is for, besides those of earlier calls.
    /// One that is known by its URL is a [`resource`](Self::resource). Default: none.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.subject.audiences.push(audience.into());
        self
    }

    /// What kind of token is wanted, such as [`TokenExchange::JWT`]. Default: the server decides.
    pub fn requested_token_type(mut self, token_type: impl Into<String>) -> Self {
        self.subject.requested_type = Some(token_type.into());
        self
    }

    /// Makes the provider. Nothing is sent yet.
    ///
    /// # Errors
    /// Something required is missing, or a value can't be used. The error names the setting, and
    /// shows no secret.
    pub fn build(mut self) -> Result<TokenExchange, ConfigError> {
        let own = std::mem::take(&mut self.subject);
        let subject = required("subject_token", own.subject)?;
        let settings = self.finish(&[
            "subject_token",
            "subject_token_type",
            "actor_token",
            "actor_token_type",
            "requested_token_type",
            "audience",
        ])?;
        let scope = settings.scope();
        let mut form = settings.form(
            "urn:ietf:params:oauth:grant-type:token-exchange",
            scope.as_deref(),
        );
        for audience in &own.audiences {
            form.push("audience", audience);
        }
        if let Some(kind) = &own.requested_type {
            form.push("requested_token_type", kind);
        }
        form.push("subject_token_type", &subject.kind);
        let mut proofs = vec![("subject_token", subject.source)];
        if let Some(actor) = own.actor {
            form.push("actor_token_type", &actor.kind);
            proofs.push(("actor_token", actor.source));
        }
        let grant = SubjectGrant::new(settings.endpoint, form, scope, proofs, true);
        Ok(TokenExchange {
            session: Session::new(grant, settings.parts),
        })
    }
}

impl Provider for TokenExchange {
    type Credential = Bearer;

    async fn issue(
        &self,
        context: RefreshContext<Bearer>,
    ) -> Result<Issued<Bearer>, ProviderError> {
        self.session.issue(context).await
    }

    async fn revoke(&self, context: RevokeContext<Bearer>) -> Result<(), ProviderError> {
        self.session.log_out(context).await
    }
}

impl fmt::Debug for TokenExchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenExchange")
            .field("endpoint", self.session.grant().endpoint())
            .finish_non_exhaustive()
    }
}
