//! What a server wrote, made fit for messages.

use crate::secret::Secret;

/// Server text that goes into messages: printable, short, and without any of these secrets.
pub(super) struct ServerText {
    secrets: Vec<Secret>,
}

impl ServerText {
    pub(super) fn without(secrets: Vec<Secret>) -> Self {
        Self { secrets }
    }

    /// Another text that must not be shown.
    pub(super) fn hide(&mut self, secret: &str) {
        self.secrets.push(Secret::new(secret));
    }

    /// The printable ASCII of a text, at most so many characters of it; `None` if that leaves
    /// nothing, or if the text holds a secret.
    pub(super) fn clean(&self, text: &str, most: usize) -> Option<String> {
        let printable: String = text
            .chars()
            .filter(|char| matches!(char, ' '..='~'))
            .collect();
        let leaks = |secret: &str| text.contains(secret) || printable.contains(secret);
        let mut secrets = self.secrets.iter().map(Secret::expose);
        if secrets.any(|secret| !secret.is_empty() && leaks(secret)) {
            return None;
        }
        // One byte is one character here.
        let short = printable.trim();
        let short = short.get(..most).unwrap_or(short);
        (!short.is_empty()).then(|| short.to_owned())
    }
}
