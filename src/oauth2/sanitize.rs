//! Text from a server, made safe for error messages.

use crate::{encoding::percent_encode, secret::Secret};

/// Cleans text from a server for messages. The result is printable, short, and free of these
/// secrets.
pub(super) struct Sanitizer {
    secrets: Vec<Secret>,
}

impl Sanitizer {
    /// Creates a sanitizer that hides the secrets, both as they are and as they appear in a form.
    pub(super) fn without(mut secrets: Vec<Secret>) -> Self {
        let encoded = |secret: &Secret| Secret::new(percent_encode(secret.expose()).to_string());
        let in_forms: Vec<_> = secrets.iter().map(encoded).collect();
        secrets.extend(in_forms);
        Self { secrets }
    }

    /// Hides another secret.
    pub(super) fn hide(&mut self, secret: &str) {
        self.secrets.push(Secret::new(secret));
    }

    /// Returns the printable ASCII of a text, up to `max` characters. Returns `None` if nothing is
    /// left, or if the text contains a secret.
    pub(super) fn clean(&self, text: &str, max: usize) -> Option<String> {
        let printable: String = text
            .chars()
            .filter(|char| matches!(char, ' '..='~'))
            .collect();
        let leaks = |secret: &str| text.contains(secret) || printable.contains(secret);
        let mut secrets = self.secrets.iter().map(Secret::expose);
        if secrets.any(|secret| !secret.is_empty() && leaks(secret)) {
            return None;
        }
        // Each character is one byte here.
        let short = printable.trim();
        let short = short.get(..max).unwrap_or(short);
        (!short.is_empty()).then(|| short.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rule 10: a gateway's message can quote the body of the request.
    #[test]
    fn a_text_with_a_secret_is_hidden_in_every_encoding() {
        let sanitizer = Sanitizer::without(vec![Secret::new("a b&c")]);
        assert_eq!(sanitizer.clean("no a b&c here", 100), None);
        assert_eq!(
            sanitizer.clean("bad form: client_secret=a%20b%26c", 100),
            None
        );
        assert_eq!(sanitizer.clean("a\u{0} b&c", 100), None);
        assert_eq!(sanitizer.clean("a b c", 100).as_deref(), Some("a b c"));
    }
}
