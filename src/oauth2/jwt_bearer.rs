//! The JWT bearer grant (RFC 7523 2.1): a token for an assertion.

use std::{fmt, future::Future, sync::Arc};

use super::{
    builder::{Builder, StandardGrant, required},
    session::Session,
    subject::{Source, SubjectGrant},
};
use crate::{
    credential::Bearer,
    error::{ConfigError, ProviderError},
    provider::{Issued, Provider, RefreshContext, RevokeContext},
    store::StoreError,
};

/// A provider that gets bearer tokens for assertions (RFC 7523 2.1): signed JWTs that say whom the
/// token is for, by somebody whom the server trusts. So service accounts log in at Google, and
/// connected apps at Salesforce.
///
/// The assertion comes from a closure, which is asked anew for each token request. A `SigningKey`
/// (feature `jwt`) signs one:
///
#[cfg_attr(feature = "jwt", doc = "```")]
#[cfg_attr(not(feature = "jwt"), doc = "```ignore")]
/// # use tower::service_fn;
/// # use bytes::Bytes;
/// # use http_body_util::Full;
/// use std::time::{SystemTime, UNIX_EPOCH};
///
/// use serde_json::json;
/// use tower_auth::{
///     ProviderError,
///     oauth2::{JwtBearer, SigningAlgorithm, SigningKey},
/// };
///
/// # fn provider(pem: &str) -> Result<JwtBearer, tower_auth::ConfigError> {
/// # let client = service_fn(|_: http::Request<Full<Bytes>>| async {
/// #     Ok::<_, std::io::Error>(http::Response::new(Full::<Bytes>::default()))
/// # });
/// let key = SigningKey::from_pem(SigningAlgorithm::Rs256, pem)?.key_id("f00");
/// let assertion = move || {
///     let key = key.clone();
///     async move {
///         let now = SystemTime::now().duration_since(UNIX_EPOCH);
///         let now = now.map_err(ProviderError::transient)?.as_secs();
///         let claims = json!({
///             "iss": "robot@project.example.com",
///             "scope": "https://www.example.com/auth/things.read",
///             "aud": "https://login.example.com/token",
///             "iat": now,
///             "exp": now + 600,
///         });
///         key.sign_jwt(&claims).await.map_err(ProviderError::transient)
///     }
/// };
/// JwtBearer::builder("https://login.example.com/token")
///     .assertion(assertion)
///     .http(client)
///     .build()
/// # }
/// ```
///
/// Its errors are those of the closure, or made from [`TokenError`](super::TokenError). With a
/// [store](Builder::store) many processes share one token. Cloning is cheap, and shares everything.
#[derive(Clone)]
pub struct JwtBearer {
    session: Arc<Session<SubjectGrant>>,
}

impl JwtBearer {
    /// Starts with the token endpoint's URL. It must be https, or lead to this machine. The
    /// [assertion](Builder::assertion) and the HTTP service are required; a client without a
    /// secret sends its id only, one without an id neither.
    pub fn builder(token_url: impl Into<String>) -> Builder<Self> {
        Builder::new(token_url)
    }

    /// Why the newest token is not in the store yet; `None` if it is. The save is tried again.
    #[must_use]
    pub fn save_error(&self) -> Option<StoreError> {
        self.session.save_error()
    }
}

impl StandardGrant for JwtBearer {}

impl Builder<JwtBearer> {
    /// Where the assertions come from: asked before each token request, so that each has its own.
    /// Required. The class of its error decides what callers see, as with
    /// [`Provider::issue`](crate::Provider::issue).
    pub fn assertion<F, Fut>(mut self, assertion: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<String, ProviderError>> + Send + 'static,
    {
        self.subject.assertion = Some(Source::new(assertion));
        self
    }

    /// Makes the provider. Nothing is sent yet.
    ///
    /// # Errors
    /// Something required is missing, or a value can't be used. The error names the setting, and
    /// shows no secret.
    pub fn build(mut self) -> Result<JwtBearer, ConfigError> {
        let assertion = required("assertion", self.subject.assertion.take())?;
        let settings = self.finish(&["assertion"])?;
        let scope = settings.scope();
        let form = settings.form(
            "urn:ietf:params:oauth:grant-type:jwt-bearer",
            scope.as_deref(),
        );
        let proofs = vec![("assertion", assertion)];
        let grant = SubjectGrant::new(settings.endpoint, form, scope, proofs, false);
        Ok(JwtBearer {
            session: Session::new(grant, settings.parts),
        })
    }
}

impl Provider for JwtBearer {
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

impl fmt::Debug for JwtBearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtBearer")
            .field("endpoint", self.session.grant().endpoint())
            .finish_non_exhaustive()
    }
}
