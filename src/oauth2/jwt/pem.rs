//! Keys as PEM (RFC 7468).

use base64::{Engine, prelude::BASE64_STANDARD};
use zeroize::Zeroizing;

use super::{SigningAlgorithm, local::LocalKey};
use crate::error::ConfigError;

/// The first private key of a text.
pub(in crate::oauth2) fn parse(
    algorithm: SigningAlgorithm,
    text: &str,
) -> Result<LocalKey, ConfigError> {
    let refuse = |why: &'static str| ConfigError::new("key", why);
    let (kind, body) = text
        .split("-----BEGIN ")
        .filter_map(|part| {
            let (kind, rest) = part.split_once("-----")?;
            let (body, _) = rest.split_once("-----END ")?;
            kind.ends_with("PRIVATE KEY").then_some((kind, body))
        })
        .next()
        .ok_or_else(|| refuse("is no PEM with a private key"))?;
    let compact: Zeroizing<String> = Zeroizing::new(body.split_whitespace().collect());
    let decode = || {
        let bytes = BASE64_STANDARD.decode(&*compact);
        bytes
            .map(Zeroizing::new)
            .map_err(|_| refuse("is no PEM: its text is not base64"))
    };
    match (kind, algorithm) {
        ("PRIVATE KEY", _) => LocalKey::from_pkcs8(algorithm, &decode()?),
        ("RSA PRIVATE KEY", SigningAlgorithm::Rs256 | SigningAlgorithm::Ps256)
            if !body.contains("ENCRYPTED") =>
        {
            LocalKey::from_pkcs1(algorithm, &decode()?)
        }
        ("ENCRYPTED PRIVATE KEY", _) => Err(refuse(
            "is encrypted: decrypt it first, such as with `openssl pkcs8`",
        )),
        _ => Err(refuse(
            "is of another kind or encrypted: convert it with `openssl pkcs8 -topk8 -nocrypt`",
        )),
    }
}
