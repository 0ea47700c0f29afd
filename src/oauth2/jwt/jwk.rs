//! JSON Web Keys (RFC 7517, RFC 7518 section 6, RFC 8037 section 2).

#[cfg(feature = "dpop")]
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Map, Value};
#[cfg(feature = "dpop")]
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{
    algorithm::SigningAlgorithm,
    local::{LocalKey, RsaNumbers, decode},
};
use crate::error::ConfigError;

/// Reads a private key, and returns its algorithm, the key, and its `kid`.
pub(in crate::oauth2) fn parse(
    text: &str,
) -> Result<(SigningAlgorithm, LocalKey, Option<String>), ConfigError> {
    // The parser's own message can quote the key, so it is not included.
    let jwk: Map<String, Value> = serde_json::from_str(text)
        .map_err(|_| ConfigError::new("key", "is not a JSON Web Key: it is not a JSON object"))?;
    let text = |name: &str| jwk.get(name).and_then(Value::as_str);
    let member = |name: &'static str| -> Result<Zeroizing<Vec<u8>>, ConfigError> {
        let bytes = text(name).and_then(decode);
        bytes.ok_or_else(|| ConfigError::new("key", format!("has no valid `{name}`")))
    };
    let algorithm = match (text("kty"), text("crv"), text("alg")) {
        (Some("RSA"), _, None | Some("RS256")) => SigningAlgorithm::Rs256,
        (Some("RSA"), _, Some("PS256")) => SigningAlgorithm::Ps256,
        (Some("EC"), Some("P-256"), None | Some("ES256")) => SigningAlgorithm::Es256,
        (Some("OKP"), Some("Ed25519"), None | Some("EdDSA" | "Ed25519")) => SigningAlgorithm::EdDsa,
        _ => {
            return Err(ConfigError::new(
                "key",
                "is not a supported JSON Web Key: use RSA with RS256 or PS256, EC P-256 with ES256, \
                 or OKP Ed25519 with EdDSA",
            ));
        }
    };
    let key = match algorithm {
        SigningAlgorithm::Rs256 | SigningAlgorithm::Ps256 => {
            let numbers = RsaNumbers {
                public: [member("n")?, member("e")?],
                private: [
                    member("d")?,
                    member("p")?,
                    member("q")?,
                    member("dp")?,
                    member("dq")?,
                    member("qi")?,
                ],
            };
            LocalKey::from_rsa(algorithm, &numbers)?
        }
        SigningAlgorithm::Es256 => {
            LocalKey::from_p256(&member("d")?, &member("x")?, &member("y")?)?
        }
        SigningAlgorithm::EdDsa => LocalKey::from_ed25519(&member("d")?)?,
    };
    Ok((algorithm, key, text("kid").map(str::to_owned)))
}

/// Computes the thumbprint of a public key (RFC 7638): the SHA-256 hash of its required members.
#[cfg(feature = "dpop")]
pub(in crate::oauth2) fn thumbprint(jwk: &Map<String, Value>) -> String {
    // RFC 7638 section 3.3: the members are sorted by name.
    let members: std::collections::BTreeMap<_, _> = jwk.iter().collect();
    let text = serde_json::to_string(&members).unwrap_or_default();
    BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(text))
}
