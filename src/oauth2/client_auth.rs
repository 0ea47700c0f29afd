//! How a client says to the token endpoint which client it is.

use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};

use super::form::Form;
use crate::{
    credential::basic_value, encoding::percent_encode, error::ConfigError, secret::Secret,
};

/// One way of authentication, and never two at once (RFC 6749 2.3).
pub(super) enum ClientAuth {
    /// The endpoint has no clients.
    None,
    /// A public client says who it is, and proves nothing (RFC 6749 3.2.1).
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
}

/// Where the client's id and secret go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum ClientAuthMode {
    /// HTTP Basic with both percent-encoded (RFC 6749 2.3.1).
    #[default]
    Basic,
    /// HTTP Basic with both as they are, which is not what the RFC says, but what many servers do.
    RawBasic,
    /// Parameters of the body.
    Body,
}

impl ClientAuth {
    /// A client with a secret, or a public one.
    pub(super) fn new(
        mode: ClientAuthMode,
        id: &str,
        secret: Option<&Secret>,
    ) -> Result<Self, ConfigError> {
        let refuse_empty = |field, text: &str| match text {
            "" => Err(ConfigError::new(field, "is empty")),
            _ => Ok(()),
        };
        refuse_empty("client_id", id)?;
        let Some(secret) = secret else {
            return Ok(Self::Public { id: id.to_owned() });
        };
        refuse_empty("client_secret", secret.expose())?;
        match mode {
            ClientAuthMode::Basic => {
                let encoded = Secret::new(percent_encode(secret.expose()).to_string());
                let id = percent_encode(id).to_string();
                Self::basic(&id, &encoded, vec![secret.clone(), encoded.clone()])
            }
            ClientAuthMode::RawBasic => Self::basic(id, secret, vec![secret.clone()]),
            ClientAuthMode::Body => Ok(Self::Body {
                id: id.to_owned(),
                secret: secret.clone(),
            }),
        }
    }

    fn basic(id: &str, secret: &Secret, mut secrets: Vec<Secret>) -> Result<Self, ConfigError> {
        let header = basic_value(("client_id", id), ("client_secret", secret.expose()))?;
        let sent = header.to_str().unwrap_or_default();
        secrets.push(Secret::new(sent.trim_start_matches("Basic ")));
        Ok(Self::Basic { header, secrets })
    }

    /// Puts the client's id and secret on a request.
    pub(super) fn apply(&self, headers: &mut HeaderMap, form: &mut Form) {
        match self {
            Self::None => {}
            Self::Public { id } => form.push("client_id", id),
            Self::Basic { header, .. } => {
                headers.insert(AUTHORIZATION, header.clone());
            }
            Self::Body { id, secret } => {
                form.push("client_id", id);
                form.push_secret("client_secret", secret);
            }
        }
    }

    pub(super) fn has_secret(&self) -> bool {
        matches!(self, Self::Basic { .. } | Self::Body { .. })
    }

    /// What no message may show, in all the forms in which it is sent.
    pub(super) fn secrets(&self) -> &[Secret] {
        match self {
            Self::None | Self::Public { .. } => &[],
            Self::Basic { secrets, .. } => secrets,
            Self::Body { secret, .. } => std::slice::from_ref(secret),
        }
    }
}
