//! Client authentication with a signed assertion (RFC 7523 sections 2.2 and 3).

use std::time::{SystemTime, UNIX_EPOCH};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};

use super::{
    hmac_sha256,
    key::{SigningKey, compact, signing_input},
};
use crate::{
    error::{BoxError, ConfigError},
    oauth2::{assertion_source::AssertionSource, form::Form},
    secret::Secret,
};

const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The lifetime of an assertion in seconds. Each one is created for a single request.
const LIFETIME: u64 = 60;

/// How the assertions are signed.
#[derive(Clone, Debug)]
pub(in crate::oauth2) enum AssertionMode {
    PrivateKey(SigningKey),
    /// Signed with the client secret (HS256).
    ClientSecret,
    /// Signed by another party, such as Kubernetes.
    External(AssertionSource),
}

/// Client authentication with a new assertion for each request.
pub(in crate::oauth2) struct ClientAssertion {
    id: String,
    audience: String,
    proof: Proof,
}

enum Proof {
    Key(SigningKey),
    Secret(Secret),
    External(AssertionSource),
}

impl ClientAssertion {
    pub(in crate::oauth2) fn new(
        mode: &AssertionMode,
        id: &str,
        secret: Option<&Secret>,
        audience: &str,
    ) -> Result<Self, ConfigError> {
        let proof = match (mode, secret) {
            (AssertionMode::PrivateKey(key), None) => Proof::Key(key.clone()),
            (AssertionMode::External(source), None) => Proof::External(source.clone()),
            (AssertionMode::PrivateKey(_) | AssertionMode::External(_), Some(_)) => {
                return Err(ConfigError::new(
                    "client_secret",
                    "cannot be combined with an assertion: configure one way of client authentication",
                ));
            }
            (AssertionMode::ClientSecret, Some(secret)) if !secret.expose().is_empty() => {
                Proof::Secret(secret.clone())
            }
            (AssertionMode::ClientSecret, _) => {
                let problem = "is missing: call client_secret(..)";
                return Err(ConfigError::new("client_secret", problem));
            }
        };
        if id.is_empty() {
            return Err(ConfigError::new("client_id", "is empty"));
        }
        if audience.is_empty() {
            return Err(ConfigError::new("assertion_audience", "is empty"));
        }
        Ok(Self {
            id: id.to_owned(),
            audience: audience.to_owned(),
            proof,
        })
    }

    /// Adds a new assertion to a form.
    pub(in crate::oauth2) async fn apply(&self, form: &mut Form) -> Result<(), BoxError> {
        let assertion = self.assertion().await?;
        form.push("client_id", &self.id);
        form.push("client_assertion_type", JWT_BEARER);
        form.push_secret("client_assertion", &assertion);
        Ok(())
    }

    async fn assertion(&self) -> Result<Secret, BoxError> {
        match &self.proof {
            Proof::Key(key) => Ok(Secret::new(key.sign_jwt(&self.claims()?).await?)),
            Proof::Secret(secret) => Ok(signed_with_secret(secret, &self.claims()?)),
            Proof::External(source) => Ok(source.get().await?),
        }
    }

    /// Creates the claims of an assertion. R26: the issuer and the subject are the client, the
    /// audience is the server, and each assertion is short-lived and unique.
    fn claims(&self) -> Result<Value, BoxError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        Ok(json!({
            "iss": self.id,
            "sub": self.id,
            "aud": self.audience,
            "jti": random_id()?,
            "iat": now,
            "exp": now + LIFETIME,
        }))
    }

    pub(in crate::oauth2) fn secrets(&self) -> &[Secret] {
        match &self.proof {
            Proof::Key(_) | Proof::External(_) => &[],
            Proof::Secret(secret) => std::slice::from_ref(secret),
        }
    }
}

fn signed_with_secret(secret: &Secret, claims: &Value) -> Secret {
    let header = Map::from_iter([
        ("alg".to_owned(), Value::from("HS256")),
        ("typ".to_owned(), Value::from("JWT")),
    ]);
    let input = signing_input(&header, claims);
    let signature = hmac_sha256(secret.expose().as_bytes(), input.as_bytes());
    Secret::new(compact(input, &signature))
}

/// Generates a unique ID of 128 random bits.
pub(in crate::oauth2) fn random_id() -> Result<String, BoxError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)
        .map_err(|error| format!("the system's random number generator failed: {error}"))?;
    Ok(BASE64_URL_SAFE_NO_PAD.encode(bytes))
}
