//! API keys.

use std::fmt;

use http::{HeaderName, HeaderValue, header::CACHE_CONTROL};
use zeroize::Zeroizing;

use super::{Credential, RequestHeadMut, detached_name, parse_name};
use crate::{
    error::{BoxError, ConfigError},
    secret::{self, Secret},
};

/// A key in a header of its own, or in the query.
///
/// As a provider it issues itself, as a permanent credential.
///
/// Prefer the header: URIs end up in logs, histories and `Referer` headers. Requests with the key
/// in the query also say `Cache-Control: no-store`, unless they have a `Cache-Control` already
/// (RFC 6750 2.3).
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

#[derive(Clone)]
enum Place {
    Header {
        name: HeaderName,
        value: HeaderValue,
    },
    Query {
        name: String,
        key: Secret,
    },
}

impl ApiKey {
    /// A key in a header: the header's whole value, such as `k-123`, or `Token k-123` for servers
    /// with a scheme of their own.
    ///
    /// # Errors
    /// The name is no header name; or the key is empty, starts or ends with a space, or has
    /// control characters or characters beyond ASCII. The error does not show the key.
    pub fn header(
        name: impl TryInto<HeaderName>,
        key: impl Into<String>,
    ) -> Result<Self, ConfigError> {
        let key = checked(key.into())?;
        if !key.is_ascii() {
            return Err(ConfigError::new(
                "key",
                "has characters beyond ASCII, which cannot stand in a header",
            ));
        }
        let value = Zeroizing::new(key.as_bytes().to_vec());
        Ok(Self {
            place: Place::Header {
                name: parse_name("name", name)?,
                value: secret::header_value("key", value)?,
            },
        })
    }

    /// A key in the query. Name and key are percent-encoded.
    ///
    /// # Errors
    /// The name is empty; or the key is empty, starts or ends with a space, or has control
    /// characters. The error does not show the key.
    pub fn query(name: impl Into<String>, key: impl Into<String>) -> Result<Self, ConfigError> {
        let key = checked(key.into())?;
        let name = name.into();
        if name.is_empty() {
            return Err(ConfigError::new("name", "is empty"));
        }
        Ok(Self {
            place: Place::Query {
                name,
                key: Secret::new(key.as_str()),
            },
        })
    }
}

impl Credential for ApiKey {
    fn apply(&self, request: &mut RequestHeadMut<'_>) -> Result<(), BoxError> {
        match &self.place {
            Place::Header { name, value } => {
                request.insert_header(name, value.clone());
            }
            Place::Query { name, key } => {
                if request.insert_query(name, key.expose())? {
                    let caching = request.headers_mut().entry(CACHE_CONTROL);
                    caching.or_insert(HeaderValue::from_static("no-store"));
                }
            }
        }
        Ok(())
    }

    fn is_attached(current: Option<&Self>, request: &RequestHeadMut<'_>) -> bool {
        match current.map(|key| &key.place) {
            Some(Place::Header { name, .. }) => request.headers().contains_key(name),
            Some(Place::Query { name, .. }) => request.has_query(name),
            None => false,
        }
    }

    fn is_same(&self, other: &Self) -> bool {
        match (&self.place, &other.place) {
            (Place::Header { name, value }, Place::Header { name: n, value: v }) => {
                name == n && value == v
            }
            (Place::Query { name, key }, Place::Query { name: n, key: k }) => name == n && key == k,
            _ => false,
        }
    }

    fn detach(&self) -> Self {
        let place = match &self.place {
            Place::Header { name, value } => Place::Header {
                name: detached_name(name),
                value: secret::detached(value),
            },
            // Nothing in it is counted.
            query @ Place::Query { .. } => query.clone(),
        };
        Self { place }
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("ApiKey");
        match &self.place {
            Place::Header { name, .. } => debug.field("header", name),
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
            "starts or ends with a space, or has control characters (the end of the line, perhaps)",
        ));
    }
    Ok(key)
}
