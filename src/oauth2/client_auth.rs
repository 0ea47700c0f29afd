//! Client authentication (RFC 6749 section 2.3).

use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};

#[cfg(feature = "jwt")]
use super::jwt::{AssertionMode, ClientAssertion};
use super::{error::ClientProof, form::Form};
use crate::{
    credential::basic_value,
    encoding::percent_encode,
    error::{BoxError, ConfigError},
    secret::Secret,
};

/// How a client authenticates. A client never uses two methods at once (RFC 6749 section 2.3).
pub(super) enum ClientAuth {
    /// The endpoint does not identify clients.
    None,
    /// A public client sends only its ID (RFC 6749 section 3.2.1).
    Public {
        id: String,
    },
    Basic {
        header: HeaderValue,
        secrets: Vec<Secret>,
    },
    Body {
        id: String,
        secret: Secret,
    },
    /// The connection authenticates the client (RFC 8705 section 2). Requests contain only its ID.
    Certificate {
        id: String,
    },
    /// A signed assertion (RFC 7523 section 2.2).
    #[cfg(feature = "jwt")]
    Assertion(ClientAssertion),
}

/// The configured authentication method.
#[derive(Clone, Debug)]
pub(super) enum ClientAuthMode {
    Secret(SecretPlace),
    Certificate,
    #[cfg(feature = "jwt")]
    Assertion(AssertionMode),
}

impl Default for ClientAuthMode {
    fn default() -> Self {
        Self::Secret(SecretPlace::default())
    }
}

/// Where requests carry the client's ID and secret.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum SecretPlace {
    /// HTTP Basic, with the ID and the secret percent-encoded (RFC 6749 section 2.3.1).
    #[default]
    Basic,
    /// HTTP Basic, with the ID and the secret unencoded. This violates the RFC, but many servers
    /// expect it.
    UnencodedBasic,
    /// Body parameters.
    Body,
}

impl ClientAuth {
    /// Creates the authentication of a client with a secret, or of a public client.
    pub(super) fn new(
        place: SecretPlace,
        id: &str,
        secret: Option<&Secret>,
    ) -> Result<Self, ConfigError> {
        refuse_empty("client_id", id)?;
        let Some(secret) = secret else {
            return Ok(Self::Public { id: id.to_owned() });
        };
        refuse_empty("client_secret", secret.expose())?;
        match place {
            SecretPlace::Basic => {
                let encoded = Secret::new(percent_encode(secret.expose()).to_string());
                let id = percent_encode(id).to_string();
                Self::basic(&id, &encoded, vec![secret.clone(), encoded.clone()])
            }
            SecretPlace::UnencodedBasic => Self::basic(id, secret, vec![secret.clone()]),
            SecretPlace::Body => Ok(Self::Body {
                id: id.to_owned(),
                secret: secret.clone(),
            }),
        }
    }

    /// Creates the authentication of a client with a certificate.
    pub(super) fn certificate(id: &str, secret: Option<&Secret>) -> Result<Self, ConfigError> {
        refuse_empty("client_id", id)?;
        match secret {
            None => Ok(Self::Certificate { id: id.to_owned() }),
            Some(_) => Err(ConfigError::new(
                "client_secret",
                "cannot be combined with tls_client_auth(): a client uses one authentication method",
            )),
        }
    }

    fn basic(id: &str, secret: &Secret, mut secrets: Vec<Secret>) -> Result<Self, ConfigError> {
        let header = basic_value(("client_id", id), ("client_secret", secret.expose()))?;
        let sent = header.to_str().unwrap_or_default();
        secrets.push(Secret::new(sent.trim_start_matches("Basic ")));
        Ok(Self::Basic { header, secrets })
    }

    /// Adds the authentication to a request.
    pub(super) async fn apply(
        &self,
        headers: &mut HeaderMap,
        form: &mut Form,
    ) -> Result<(), BoxError> {
        match self {
            Self::None => {}
            Self::Public { id } | Self::Certificate { id } => form.push("client_id", id),
            Self::Basic { header, .. } => {
                headers.insert(AUTHORIZATION, header.clone());
            }
            Self::Body { id, secret } => {
                form.push("client_id", id);
                form.push_secret("client_secret", secret);
            }
            #[cfg(feature = "jwt")]
            Self::Assertion(assertion) => assertion.apply(form).await?,
        }
        Ok(())
    }

    pub(super) fn proof(&self) -> ClientProof {
        match self {
            Self::None | Self::Public { .. } => ClientProof::None,
            Self::Basic { .. } | Self::Body { .. } => ClientProof::Secret,
            Self::Certificate { .. } => ClientProof::Certificate,
            #[cfg(feature = "jwt")]
            Self::Assertion(_) => ClientProof::Assertion,
        }
    }

    /// Returns the secrets that messages must not show, in every encoding in which they are sent.
    pub(super) fn secrets(&self) -> &[Secret] {
        match self {
            Self::None | Self::Public { .. } | Self::Certificate { .. } => &[],
            Self::Basic { secrets, .. } => secrets,
            Self::Body { secret, .. } => std::slice::from_ref(secret),
            #[cfg(feature = "jwt")]
            Self::Assertion(assertion) => assertion.secrets(),
        }
    }
}

fn refuse_empty(field: &'static str, text: &str) -> Result<(), ConfigError> {
    match text {
        "" => Err(ConfigError::new(field, "is empty")),
        _ => Ok(()),
    }
}
