//! HTTP Digest (RFC 7616).

mod algorithm;
mod challenge;
mod space;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard},
};

use http::{
    HeaderMap, HeaderValue, StatusCode, Uri,
    header::{AUTHORIZATION, HeaderName},
    uri::PathAndQuery,
};

use self::{challenge::Asked, space::Space};
use super::{Credential, RequestHeadMut, ResponseHead, basic::check_pair};
use crate::{
    challenge::Challenge,
    error::{BoxError, ConfigError},
    secret::Secret,
    sync::lock,
};

const AUTHENTICATION_INFO: HeaderName = HeaderName::from_static("authentication-info");

/// Servers that are remembered, each with its nonce. A layer has few origins.
const MOST_SPACES: usize = 64;

/// A user name and a password for HTTP Digest (RFC 7616), which never sends the password: the
/// server asks with a nonce, and the answer proves that both sides know it.
///
/// The first request to a server goes out without it, gets a 401 that brings the nonce, and is sent
/// again; the nonce then serves all requests to that server until it is
/// stale. Algorithms are SHA-256, SHA-512-256 and, for old servers, MD5, each with `-sess`; of several
/// that a server offers it takes the server's first (RFC 7616 section 3.7). The quality of protection is
/// `auth`, or none for servers as old as RFC 2069. `userhash` and `nextnonce` are followed.
///
/// A 401 to a right answer, that is to say a wrong password, goes to the caller untouched.
///
/// As a provider it issues itself, as a permanent credential. A request whose body can't be sent
/// a second time needs a nonce that is there already; put a [`ReplayLayer`](crate::ReplayLayer)
/// above, or send another request first.
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
    /// By authority.
    spaces: Mutex<HashMap<String, Arc<Space>>>,
}

impl Digest {
    /// A user name and a password, used as the UTF-8 that they are.
    ///
    /// # Errors
    /// The user name has a `:`, which would end it, or one of the two has a control character. The
    /// error names which (`user` or `password`) and shows neither.
    pub fn new(user: impl Into<String>, password: impl Into<String>) -> Result<Self, ConfigError> {
        let (user, password) = (user.into(), Secret::new(password));
        let pair = (("user", &*user), ("password", password.expose()));
        check_pair("HTTP Digest", pair.0, pair.1)?;
        Ok(Self {
            shared: Arc::new(Shared {
                user,
                password,
                spaces: Mutex::default(),
            }),
        })
    }

    fn spaces(&self) -> MutexGuard<'_, HashMap<String, Arc<Space>>> {
        lock(&self.shared.spaces)
    }

    fn space(&self, uri: &Uri) -> Option<Arc<Space>> {
        self.spaces().get(authority(uri)).cloned()
    }

    /// From now on this is how requests to that server are answered for.
    fn enter(&self, uri: &Uri, asked: Asked) -> Result<(), BoxError> {
        let space = Space::new(asked, &self.shared.user, self.shared.password.expose())?;
        let mut spaces = self.spaces();
        let authority = authority(uri);
        if spaces.len() >= MOST_SPACES && !spaces.contains_key(authority) {
            spaces.clear();
        }
        spaces.insert(authority.to_owned(), Arc::new(space));
        Ok(())
    }

    /// A 401: whether another answer may be a better one.
    fn challenged(&self, response: &ResponseHead<'_>) -> bool {
        let challenges = Challenge::from_headers(response.headers());
        let Some(asked) = challenges.iter().find_map(Asked::read) else {
            return false;
        };
        let answered = nonce_of(response.request_headers());
        let space = self.space(response.uri());
        let again = match (&answered, &space) {
            // It went out without, or another request has brought a newer nonce meanwhile.
            (None, _) => true,
            (Some(used), Some(space)) if *used != space.nonce() => true,
            // Servers that have forgotten a nonce do not always say that it is stale.
            (_, Some(space)) => asked.stale || space.was_accepted(),
            (Some(_), None) => asked.stale,
        };
        let is_newer = space.is_none_or(|space| space.nonce() != asked.nonce);
        if is_newer && self.enter(response.uri(), asked).is_err() {
            return false;
        }
        again
    }

    /// Anything else: the nonce was good, and there may be a next one.
    fn accepted(&self, response: &ResponseHead<'_>) {
        let used = nonce_of(response.request_headers());
        let Some(space) = self.space(response.uri()) else {
            return;
        };
        if used.as_deref() != Some(space.nonce()) {
            return;
        }
        space.accept();
        let info = response.headers().get(AUTHENTICATION_INFO);
        let next = info.and_then(next_nonce);
        if let Some(next) = next.filter(|next| next != space.nonce()) {
            // It is used for what it is worth: without it, the server asks again.
            let _ = self.enter(response.uri(), space.asked().with_nonce(next));
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
        let value = space.answer(&self.shared.user, request.method(), path)?;
        request.insert_header(&AUTHORIZATION, value);
        Ok(())
    }

    fn is_same(&self, other: &Self) -> bool {
        self.shared.user == other.shared.user && self.shared.password == other.shared.password
    }

    fn on_response(&self, response: &ResponseHead<'_>) -> bool {
        if response.status() == StatusCode::UNAUTHORIZED {
            return self.challenged(response);
        }
        self.accepted(response);
        false
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Digest").finish_non_exhaustive()
    }
}

/// Nonces of different servers are kept apart.
fn authority(uri: &Uri) -> &str {
    uri.authority().map_or("", |authority| authority.as_str())
}

/// The nonce that a request has answered for.
fn nonce_of(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    // It has the grammar of a challenge.
    let answer = Challenge::parse(value).into_iter().next()?;
    let nonce = answer.param("nonce").filter(|_| answer.is_scheme("digest"));
    nonce.map(str::to_owned)
}

fn next_nonce(info: &HeaderValue) -> Option<String> {
    let info = format!("Digest {}", info.to_str().ok()?);
    let info = Challenge::parse(&info).into_iter().next()?;
    info.param("nextnonce").map(str::to_owned)
}
