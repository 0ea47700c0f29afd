//! The body of a token request.

use bytes::Bytes;
use zeroize::Zeroizing;

use crate::{encoding::percent_encode, secret::Secret};

/// Maximum encoded size of one byte.
const MAX_ENCODED_BYTE: usize = 3;

/// An `application/x-www-form-urlencoded` body whose memory is wiped on drop.
#[derive(Clone, Default)]
pub(super) struct Form {
    text: Zeroizing<String>,
    pub(super) secrets: Vec<Secret>,
}

impl Form {
    /// Adds a parameter that is not a secret.
    pub(super) fn push(&mut self, name: &str, value: &str) {
        // A growing `String` would leave its old bytes behind, so this one never grows.
        let capacity = self.text.len() + (name.len() + value.len()) * MAX_ENCODED_BYTE + 2;
        let mut text = Zeroizing::new(String::with_capacity(capacity));
        text.push_str(&self.text);
        if !text.is_empty() {
            text.push('&');
        }
        text.extend(percent_encode(name));
        text.push('=');
        text.extend(percent_encode(value));
        self.text = text;
    }

    /// Adds a parameter that messages must not show.
    pub(super) fn push_secret(&mut self, name: &str, value: &Secret) {
        self.push(name, value.expose());
        self.secrets.push(value.clone());
    }

    pub(super) fn into_body(self) -> Bytes {
        Bytes::from_owner(self.text)
    }
}

partial_debug!(Form);
