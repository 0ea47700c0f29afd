//! What a server wrote, made fit for messages.

use crate::{encoding::percent_encode, secret::Secret};

/// Server text that goes into messages: printable, short, and without any of these secrets.
pub(super) struct Sanitizer {
    secrets: Vec<Secret>,
}

impl Sanitizer {
    /// Hides the secrets as they are, and as they stand in a form.
    pub(super) fn without(mut secrets: Vec<Secret>) -> Self {
        let encoded = |secret: &Secret| Secret::new(percent_encode(secret.expose()).to_string());
        let in_forms: Vec<_> = secrets.iter().map(encoded).collect();
        secrets.extend(in_forms);
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Rule 10: a gateway's message can quote the body of the request.
    #[test]
    fn a_text_that_holds_a_secret_is_not_shown_in_whatever_form_it_was_sent() {
        let shown = Sanitizer::without(vec![Secret::new("a b&c")]);
        assert_eq!(shown.clean("no a b&c here", 100), None);
        assert_eq!(shown.clean("bad form: client_secret=a%20b%26c", 100), None);
        assert_eq!(shown.clean("a\u{0} b&c", 100), None);
        assert_eq!(shown.clean("a b c", 100).as_deref(), Some("a b c"));
    }
}
