//! The grammar of RFC 9110 section 11.6.1, as servers write it.
//!
//! The `http-auth` crate was looked at first: it knows no token68, accepts only ASCII, and gives
//! up the whole field at the first slip.

use super::Challenge;

/// More than any server means.
pub(super) const MOST_CHALLENGES: usize = 32;
const MOST_PARAMS: usize = 64;

/// A list of challenges and their parameters is one comma-separated list, so each of its elements
/// either starts a challenge (`Scheme`, `Scheme token68`, `Scheme name=value`) or goes on with the
/// last one (`name=value`).
pub(super) fn challenges(value: &str) -> Vec<Challenge> {
    let mut found: Vec<Challenge> = Vec::new();
    let mut rest = value;
    while let Some(element) = next_element(&mut rest) {
        if let Some(param) = param(element) {
            if let Some(challenge) = found.last_mut() {
                challenge.add(param);
            }
            continue;
        }
        let (scheme, after) = token(element);
        let after = match after.chars().next() {
            None => after,
            Some(' ' | '\t') => skip_space(after),
            Some(_) => continue,
        };
        if scheme.is_empty() || found.len() == MOST_CHALLENGES {
            continue;
        }
        let mut challenge = Challenge {
            scheme: scheme.to_owned(),
            params: Vec::new(),
            token68: None,
        };
        if let Some(param) = param(after) {
            challenge.add(param);
        } else if !after.is_empty() && after.bytes().all(is_token68) {
            challenge.token68 = Some(after.to_owned());
        }
        found.push(challenge);
    }
    found
}

impl Challenge {
    fn add(&mut self, param: (String, String)) {
        // A challenge has the one or the other: it was a parameter without its value.
        self.token68 = None;
        if self.params.len() < MOST_PARAMS {
            self.params.push(param);
        }
    }
}

/// Cuts off the text up to the next comma that is not quoted.
fn next_element<'a>(rest: &mut &'a str) -> Option<&'a str> {
    if rest.is_empty() {
        return None;
    }
    let (mut quoted, mut escaped) = (false, false);
    let end = rest.bytes().position(|byte| {
        let is_end = byte == b',' && !quoted;
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ => {}
        }
        is_end
    });
    let (element, after) = match end {
        Some(end) => (&rest[..end], &rest[end + 1..]),
        None => (*rest, ""),
    };
    *rest = after;
    Some(element.trim_matches([' ', '\t']))
}

/// `name=value`, with the white space around `=` that the grammar tolerates.
fn param(text: &str) -> Option<(String, String)> {
    let (name, after) = token(text);
    let value = skip_space(skip_space(after).strip_prefix('=')?);
    // `abc=` and `abc==` are token68.
    if name.is_empty() || value.is_empty() || value.bytes().all(|byte| byte == b'=') {
        return None;
    }
    let value = match value.strip_prefix('"') {
        Some(quoted) => unquote(quoted),
        None => value.to_owned(),
    };
    Some((name.to_owned(), value))
}

/// The text up to the closing quote, or all of it if there is none.
fn unquote(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        match char {
            '"' => break,
            '\\' => plain.extend(chars.next()),
            char => plain.push(char),
        }
    }
    plain
}

/// Splits off a token (RFC 9110 section 5.6.2), which may be empty.
fn token(text: &str) -> (&str, &str) {
    let end = text
        .bytes()
        .position(|byte| !is_tchar(byte))
        .unwrap_or(text.len());
    text.split_at(end)
}

fn skip_space(text: &str) -> &str {
    text.trim_start_matches([' ', '\t'])
}

fn is_tchar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn is_token68(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte)
}
