//! Keeping secrets out of memory dumps, messages and shared cache lines.

use std::fmt;

use bytes::Bytes;
use http::HeaderValue;
use zeroize::Zeroizing;

use crate::error::ConfigError;

/// A text that must not be shown: its `Debug` hides it, and its memory is wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(Zeroizing<String>);

impl Secret {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// Makes a header value that is marked sensitive, wiped when its last copy is dropped, and whose
/// reference count shares no cache line with anything else.
///
/// Copies of one header value share that count, and every request that carries a copy writes it
/// twice. See [`crate::credential::Credential::detach`] for what follows from that.
pub(crate) fn header_value(
    field: &'static str,
    bytes: Zeroizing<Vec<u8>>,
) -> Result<HeaderValue, ConfigError> {
    let mut value = HeaderValue::from_maybe_shared(Bytes::from_owner(Padded(bytes)))
        .map_err(|_| ConfigError::new(field, "has characters that cannot stand in a header"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// A copy of a header value that shares no memory with the original.
pub(crate) fn detached(value: &HeaderValue) -> HeaderValue {
    let bytes = Zeroizing::new(value.as_bytes().to_vec());
    match header_value("credential", bytes) {
        Ok(copy) => copy,
        // The bytes come from a header value, so they are one; a shared copy is right anyway.
        Err(_) => value.clone(),
    }
}

/// 128 bytes are two cache lines: processors fetch them in pairs.
#[repr(align(128))]
struct Padded(Zeroizing<Vec<u8>>);

impl AsRef<[u8]> for Padded {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}
