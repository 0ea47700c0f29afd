//! Server nonces (RFC 9449 sections 8 and 9).

use std::{collections::HashMap, sync::Mutex};

use http::{HeaderMap, HeaderName, Uri};
use serde_json::{Map, Value};

use crate::sync::lock;

const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// Maximum number of servers to remember. A client usually uses only a few.
const MAX_SERVERS: usize = 64;

/// The latest nonce of each server (R29).
#[derive(Default)]
pub(in crate::oauth2) struct Nonces(Mutex<HashMap<Server, String>>);

/// The purpose of a proof.
#[derive(Clone, Copy)]
pub(in crate::oauth2) enum Use<'a> {
    TokenRequest,
    /// An API request with this access token.
    Api(&'a str),
}

/// A token server and an API count as separate servers, even if they have the same origin.
#[derive(PartialEq, Eq, Hash)]
struct Server {
    is_api: bool,
    authority: String,
}

impl Server {
    fn of(usage: Use<'_>, uri: &Uri) -> Self {
        let authority = uri.authority().map(|authority| authority.as_str());
        Self {
            is_api: matches!(usage, Use::Api(_)),
            authority: authority.unwrap_or_default().to_ascii_lowercase(),
        }
    }
}

impl Nonces {
    pub(super) fn get(&self, usage: Use<'_>, uri: &Uri) -> Option<String> {
        lock(&self.0).get(&Server::of(usage, uri)).cloned()
    }

    /// Keeps the nonce from a response with any status, and returns whether there was one.
    pub(in crate::oauth2) fn learn(&self, usage: Use<'_>, uri: &Uri, headers: &HeaderMap) -> bool {
        let nonce = headers
            .get(DPOP_NONCE)
            .and_then(|value| value.to_str().ok());
        let Some(nonce) = nonce.filter(|nonce| !nonce.is_empty()) else {
            return false;
        };
        let mut nonces = lock(&self.0);
        let server = Server::of(usage, uri);
        if nonces.len() >= MAX_SERVERS && !nonces.contains_key(&server) {
            nonces.clear();
        }
        nonces.insert(server, nonce.to_owned());
        true
    }
}

/// Returns whether the body of a token response asks the client to repeat the request with the
/// response's nonce.
pub(in crate::oauth2) fn asks_for_nonce(body: &[u8]) -> bool {
    let fields = serde_json::from_slice::<Map<String, Value>>(body);
    fields.is_ok_and(|fields| fields.get("error").and_then(Value::as_str) == Some("use_dpop_nonce"))
}
