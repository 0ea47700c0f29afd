//! HTTP Digest (RFC 7616).

mod algorithm;
mod challenge;
mod protection_space;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
};

use http::{
    HeaderMap, HeaderValue, StatusCode, Uri,
    header::{AUTHORIZATION, HeaderName},
    uri::PathAndQuery,
};

use self::{challenge::DigestChallenge, protection_space::ProtectionSpace};
use super::{Credential, RequestHeadMut, ResponseHead, basic::check_pair};
use crate::{
    challenge::Challenge,
    error::{BoxError, ConfigError},
    secret::Secret,
    sync::lock,
};

const AUTHENTICATION_INFO: HeaderName = HeaderName::from_static("authentication-info");

/// The maximum number of servers whose nonces are kept. A layer has only a few origins.
const MAX_SPACES: usize = 64;

/// A user name and a password for HTTP Digest (RFC 7616), which never sends the password. The
/// server sends a nonce, and the client proves with a hash that it knows the password.
///
/// The first request to a server is sent without authorization, gets a 401 with the nonce, and is
/// sent again. The nonce then serves all requests to that server until it is stale. Supported
/// algorithms are SHA-256, SHA-512-256 and, for old servers, MD5, each also with `-sess`. If a
/// server offers several, the first supported one is used (RFC 7616 section 3.7). The quality of
/// protection is `auth`, or none for servers that follow RFC 2069. `userhash` and `nextnonce` are
/// supported.
///
/// If the server rejects a request with a fresh nonce, the password is wrong, and the 401 goes to
/// the caller unchanged.
///
/// A `Digest` is also its own provider, because it never changes. A request whose body cannot be
/// replayed fails unless a nonce is already known: put a [`ReplayLayer`](crate::ReplayLayer) above
/// the layer, or send another request first.
///
/// ```
/// use tower_auth::{AuthLayer, Origins, credential::Digest};
///
/// # fn main() -> Result<(), tower_auth::ConfigError> {
/// let login = Digest::new("Mufasa", "Circle of Life")?;
/// let layer = AuthLayer::new(login, Origins::only("https://camera.example.com")?);
/// # let _ = layer; Ok(()) }
/// ```
#[derive(Clone)]
pub struct Digest {
    shared: Arc<Shared>,
}

struct Shared {
    user: String,
    password: Secret,
    /// Keyed by the authority of the request's URI.
    spaces: Mutex<HashMap<String, Arc<ProtectionSpace>>>,
}

impl Digest {
    /// Creates a credential from a user name and a password, which are used as UTF-8.
    ///
    /// # Errors
    /// The user name contains a `:`, which would end it, or either value contains a control
    /// character. The error names the field (`user` or `password`) and shows neither value.
    pub fn new(user: impl Into<String>, password: impl Into<String>) -> Result<Self, ConfigError> {
        let (user, password) = (user.into(), Secret::new(password));
        check_pair(
            "HTTP Digest",
            ("user", &user),
            ("password", password.expose()),
        )?;
        Ok(Self {
            shared: Arc::new(Shared {
                user,
                password,
                spaces: Mutex::default(),
            }),
        })
    }

    fn spaces(&self) -> MutexGuard<'_, HashMap<String, Arc<ProtectionSpace>>> {
        lock(&self.shared.spaces)
    }

    fn space(&self, uri: &Uri) -> Option<Arc<ProtectionSpace>> {
        self.spaces().get(authority(uri)).cloned()
    }

    /// Uses this challenge for all further requests to that server.
    fn adopt(&self, uri: &Uri, challenge: DigestChallenge) -> Result<(), BoxError> {
        let password = self.shared.password.expose();
        let space = ProtectionSpace::new(challenge, &self.shared.user, password)?;
        let mut spaces = self.spaces();
        let authority = authority(uri);
        if spaces.len() >= MAX_SPACES && !spaces.contains_key(authority) {
            spaces.clear();
        }
        spaces.insert(authority.to_owned(), Arc::new(space));
        Ok(())
    }

    /// Handles a 401. Returns whether a retry can succeed.
    fn on_challenge(&self, response: &ResponseHead<'_>) -> bool {
        let challenges = Challenge::from_headers(response.headers());
        let Some(challenge) = challenges.iter().find_map(DigestChallenge::new) else {
            return false;
        };
        let used = used_nonce(response.request_headers());
        let space = self.space(response.uri());
        let retry = match (&used, &space) {
            // The request had no authorization, or another request has received a newer nonce
            // since.
            (None, _) => true,
            (Some(used), Some(space)) if *used != space.nonce() => true,
            // Servers that have forgotten a nonce do not always report it as stale.
            (_, Some(space)) => challenge.stale || space.was_accepted(),
            (Some(_), None) => challenge.stale,
        };
        let is_new = space.is_none_or(|space| space.nonce() != challenge.nonce);
        if is_new && self.adopt(response.uri(), challenge).is_err() {
            return false;
        }
        retry
    }

    /// Handles any other response: the nonce was accepted, and the server may have sent the next
    /// nonce.
    fn on_accepted(&self, response: &ResponseHead<'_>) {
        let used = used_nonce(response.request_headers());
        let Some(space) = self.space(response.uri()) else {
            return;
        };
        if used.as_deref() != Some(space.nonce()) {
            return;
        }
        space.set_accepted();
        let info = response.headers().get(AUTHENTICATION_INFO);
        let next = info.and_then(next_nonce);
        if let Some(next) = next.filter(|next| next != space.nonce()) {
            // A failure is harmless: the server sends another challenge.
            let _ = self.adopt(response.uri(), space.challenge.with_nonce(next));
        }
    }
}

impl Credential for Digest {
    const HANDLES_CHALLENGES: bool = true;

    fn apply(&self, request: &mut RequestHeadMut<'_>) -> Result<(), BoxError> {
        let Some(space) = self.space(request.uri()) else {
            return Ok(());
        };
        let path = request.uri().path_and_query();
        let path = path.map_or("/", PathAndQuery::as_str);
        let value = space.authorize(&self.shared.user, request.method(), path)?;
        request.insert_header(&AUTHORIZATION, value);
        Ok(())
    }

    fn is_same(&self, other: &Self) -> bool {
        self.shared.user == other.shared.user && self.shared.password == other.shared.password
    }

    fn on_response(&self, response: &ResponseHead<'_>) -> bool {
        if response.status() == StatusCode::UNAUTHORIZED {
            return self.on_challenge(response);
        }
        self.on_accepted(response);
        false
    }
}

partial_debug!(Digest);

/// Returns the server that a nonce is valid for.
fn authority(uri: &Uri) -> &str {
    uri.authority().map_or("", |authority| authority.as_str())
}

/// Returns the nonce that a request was authorized with.
fn used_nonce(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    // The value follows the grammar of a challenge.
    let authorization = Challenge::parse(value).into_iter().next()?;
    let nonce = authorization
        .param("nonce")
        .filter(|_| authorization.is_scheme("digest"));
    nonce.map(str::to_owned)
}

fn next_nonce(info: &HeaderValue) -> Option<String> {
    let info = format!("Digest {}", info.to_str().ok()?);
    let info = Challenge::parse(&info).into_iter().next()?;
    info.param("nextnonce").map(str::to_owned)
}
