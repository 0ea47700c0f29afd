//! Challenges, and a parser for the grammar of RFC 9110 section 11.6.1 as servers use it in
//! practice.
//!
//! The `http-auth` crate is not suitable: it does not support token68, accepts only ASCII, and
//! gives up on the whole field at the first syntax error.

use http::{HeaderMap, header::WWW_AUTHENTICATE};

/// The maximum number of challenges that are read. Real responses have far fewer.
pub(super) const MAX_CHALLENGES: usize = 32;
/// The maximum number of parameters that are read per challenge.
const MAX_PARAMS: usize = 64;

/// One challenge of a `WWW-Authenticate` header: a scheme with either parameters or a token68.
///
/// ```
/// use tower_auth::Challenge;
///
/// let challenges = Challenge::parse(r#"Basic realm="api", Bearer error="invalid_token""#);
/// assert!(challenges[1].is_scheme("bearer"));
/// assert_eq!(challenges[1].param("error"), Some("invalid_token"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    scheme: String,
    params: Vec<(String, String)>,
    token68: Option<String>,
}

impl Challenge {
    /// Parses the value of one header field, which can hold several challenges.
    ///
    /// Text that does not follow the grammar is skipped, so a syntax error in one challenge does
    /// not hide the others.
    #[must_use]
    pub fn parse(value: &str) -> Vec<Self> {
        challenges(value)
    }

    /// Parses all `WWW-Authenticate` fields in order. Bytes that are not UTF-8 are replaced.
    #[must_use]
    pub fn from_headers(headers: &HeaderMap) -> Vec<Self> {
        let mut all = Vec::new();
        for value in headers.get_all(WWW_AUTHENTICATE) {
            all.append(&mut Self::parse(&String::from_utf8_lossy(value.as_bytes())));
            if all.len() >= MAX_CHALLENGES {
                break;
            }
        }
        all.truncate(MAX_CHALLENGES);
        all
    }

    /// Returns the scheme's name as the server spells it.
    #[must_use]
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// Returns whether the scheme has this name. Names are case-insensitive.
    #[must_use]
    pub fn is_scheme(&self, name: &str) -> bool {
        self.scheme.eq_ignore_ascii_case(name)
    }

    /// Returns the value of a parameter, without quotes and escapes. Names are case-insensitive. If
    /// several parameters have that name, returns the first.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// Returns the parameters in order.
    pub fn params(&self) -> impl Iterator<Item = (&str, &str)> {
        self.params
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Returns the token68, which some schemes use instead of parameters, such as `abc==` in
    /// `Negotiate abc==`.
    #[must_use]
    pub fn token68(&self) -> Option<&str> {
        self.token68.as_deref()
    }

    fn add(&mut self, param: (String, String)) {
        // A challenge has either a token68 or parameters, so the apparent token68 was a parameter
        // without a value.
        self.token68 = None;
        if self.params.len() < MAX_PARAMS {
            self.params.push(param);
        }
    }
}

/// Parses a list of challenges. Challenges and their parameters form one comma-separated list. Each
/// element either starts a challenge (`Scheme`, `Scheme token68`, `Scheme name=value`) or continues
/// the previous one (`name=value`).
fn challenges(value: &str) -> Vec<Challenge> {
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
        if scheme.is_empty() || found.len() == MAX_CHALLENGES {
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

/// Splits off the text up to the next comma outside of quotes.
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

/// Parses `name=value`, allowing the whitespace around `=` that the grammar tolerates.
fn param(text: &str) -> Option<(String, String)> {
    let (name, after) = token(text);
    let value = skip_space(skip_space(after).strip_prefix('=')?);
    // `abc=` and `abc==` are token68, not parameters.
    if name.is_empty() || value.is_empty() || value.bytes().all(|byte| byte == b'=') {
        return None;
    }
    let value = match value.strip_prefix('"') {
        Some(quoted) => unquote(quoted),
        None => value.to_owned(),
    };
    Some((name.to_owned(), value))
}

/// Returns the text up to the closing quote, or all of it if the quote is missing.
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
