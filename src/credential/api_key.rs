//! An API key.

use std::fmt;

use http::{HeaderName, HeaderValue, header::CACHE_CONTROL};
use zeroize::Zeroizing;

use super::{
    Credential, RequestHead, RequestHeadMut,
    credential_header::{CredentialHeader, header_value, parse_name},
};
use crate::{
    error::{BoxError, ConfigError},
    secret::Secret,
};

/// An API key that is sent in a header or in the query.
///
/// It is also its own provider, because it never changes.
///
/// Prefer the header: URIs end up in logs, histories and `Referer` headers. Requests with the key
/// in the query also get `Cache-Control: no-store`, unless they already have a `Cache-Control`
/// header (RFC 6750 section 2.3).
///
/// ```
/// use tower_auth::credential::ApiKey;
///
/// # fn main() -> Result<(), tower_auth::ConfigError> {
/// let header = ApiKey::header("x-api-key", "k-123")?;
/// let query = ApiKey::query("api_key", "k-123")?; // ?api_key=k-123
/// # let _ = (header, query); Ok(()) }
/// ```
#[derive(Clone)]
pub struct ApiKey {
    place: Place,
}

#[derive(Clone, PartialEq, Eq)]
enum Place {
    Header(CredentialHeader),
    Query { name: String, key: Secret },
}

impl ApiKey {
    /// Creates a key that is sent in a header. The key is the header's whole value, such as
    /// `k-123`, or `Token k-123` for a server with a custom scheme.
    ///
    /// # Errors
    /// The name is not a valid header name; or the key is empty, starts or ends with a space, or
    /// contains control characters or non-ASCII characters. The error does not show the key.
    pub fn header(
        name: impl TryInto<HeaderName>,
        key: impl Into<String>,
    ) -> Result<Self, ConfigError> {
        let key = checked(key.into())?;
        if !key.is_ascii() {
            return Err(ConfigError::new(
                "key",
                "contains non-ASCII characters, which a header value cannot have",
            ));
        }
        let value = Zeroizing::new(key.as_bytes().to_vec());
        Ok(Self {
            place: Place::Header(CredentialHeader {
                name: parse_name("name", name)?,
                value: header_value("key", value)?,
            }),
        })
    }

    /// Creates a key that is sent in the query. Both the name and the key are percent-encoded.
    ///
    /// # Errors
    /// The name is empty; or the key is empty, starts or ends with a space, or contains control
    /// characters. The error does not show the key.
    pub fn query(name: impl Into<String>, key: impl Into<String>) -> Result<Self, ConfigError> {
        let key = Secret::new(checked(key.into())?.as_str());
        let name = name.into();
        if name.is_empty() {
            return Err(ConfigError::new("name", "is empty"));
        }
        Ok(Self {
            place: Place::Query { name, key },
        })
    }
}

impl Credential for ApiKey {
    fn apply(&self, request: &mut RequestHeadMut<'_>) -> Result<(), BoxError> {
        match &self.place {
            Place::Header(header) => header.attach_to(request),
            Place::Query { name, key } => {
                if request.insert_query(name, key.expose())? {
                    let caching = request.headers_mut().entry(CACHE_CONTROL);
                    caching.or_insert(HeaderValue::from_static("no-store"));
                }
            }
        }
        Ok(())
    }

    fn is_attached(current: Option<&Self>, request: &RequestHead<'_>) -> bool {
        match current.map(|key| &key.place) {
            Some(Place::Header(header)) => header.is_in(request.headers()),
            Some(Place::Query { name, .. }) => request.has_query(name),
            None => false,
        }
    }

    fn is_same(&self, other: &Self) -> bool {
        self.place == other.place
    }

    fn unshared(&self) -> Self {
        let place = match &self.place {
            Place::Header(header) => Place::Header(header.unshared()),
            query @ Place::Query { .. } => query.clone(),
        };
        Self { place }
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("ApiKey");
        match &self.place {
            Place::Header(header) => debug.field("header", &header.name),
            Place::Query { name, .. } => debug.field("query", name),
        };
        debug.finish_non_exhaustive()
    }
}

fn checked(key: String) -> Result<Zeroizing<String>, ConfigError> {
    let key = Zeroizing::new(key);
    if key.is_empty() {
        return Err(ConfigError::new("key", "is empty"));
    }
    if key.trim().len() != key.len() || key.bytes().any(|byte| byte.is_ascii_control()) {
        return Err(ConfigError::new(
            "key",
            "starts or ends with a space, or contains control characters (a line ending, perhaps)",
        ));
    }
    Ok(key)
}
