//! The header that carries a credential.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use zeroize::Zeroizing;

use super::request_head_mut::RequestHeadMut;
use crate::error::ConfigError;

/// The name and the value of a header that carries a credential.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct CredentialHeader {
    pub(super) name: HeaderName,
    pub(super) value: HeaderValue,
}

impl CredentialHeader {
    #[inline]
    pub(super) fn attach_to(&self, request: &mut RequestHeadMut<'_>) {
        request.insert_header(&self.name, self.value.clone());
    }

    pub(super) fn is_in(&self, headers: &HeaderMap) -> bool {
        headers.contains_key(&self.name)
    }

    /// Returns a copy that shares no memory with this one.
    pub(super) fn unshared(&self) -> Self {
        let name = HeaderName::from_bytes(self.name.as_str().as_bytes());
        Self {
            // Well-known names are constants without a reference count.
            name: name.unwrap_or_else(|_| self.name.clone()),
            value: unshared_value(&self.value),
        }
    }
}

/// Creates a header value that is marked sensitive. It is wiped when its last copy is dropped, and
/// its reference count shares no cache line with other data.
///
/// Copies of a header value share that count, and every request with a copy updates it twice: see
/// `Credential::unshared`.
pub(crate) fn header_value(
    field: &'static str,
    bytes: Zeroizing<Vec<u8>>,
) -> Result<HeaderValue, ConfigError> {
    let mut value = HeaderValue::from_maybe_shared(Bytes::from_owner(Padded(bytes)))
        .map_err(|_| ConfigError::new(field, "has characters that a header value cannot have"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Returns a copy of a header value that shares no memory with the original.
pub(crate) fn unshared_value(value: &HeaderValue) -> HeaderValue {
    let bytes = Zeroizing::new(value.as_bytes().to_vec());
    // This cannot fail, because the bytes of a header value are always valid. Even if it did, a
    // shared copy would be correct too.
    header_value("credential", bytes).unwrap_or_else(|_| value.clone())
}

pub(crate) fn parse_name(
    field: &'static str,
    name: impl TryInto<HeaderName>,
) -> Result<HeaderName, ConfigError> {
    name.try_into()
        .map_err(|_| ConfigError::new(field, "is not a valid header name"))
}

/// Bytes aligned to two cache lines (128 bytes), because processors fetch cache lines in pairs.
#[repr(align(128))]
struct Padded(Zeroizing<Vec<u8>>);

impl AsRef<[u8]> for Padded {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}
