//! Authorization codes, asked for and exchanged by hand.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};
use tower_auth::BoxError;

use crate::client::{Answer, encoded, post_form};

const VERIFIER: &str = "a-verifier-that-has-to-be-longer-than-42-characters";

/// The parameters of an authorization request that are the same for all servers.
pub(crate) fn code_request(redirect_uri: &str) -> String {
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER));
    format!(
        "response_type=code&client_id=svc&state=a%20state&redirect_uri={}\
         &code_challenge={challenge}&code_challenge_method=S256",
        encoded(redirect_uri)
    )
}

/// Exchanges a code that was asked for so.
pub(crate) async fn exchange(
    token_url: &str,
    redirect_uri: &str,
    code: &str,
) -> Result<Answer, BoxError> {
    let form = [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("code_verifier", VERIFIER),
        ("redirect_uri", redirect_uri),
    ];
    post_form(token_url, &form).await
}
