//! The name under which tokens are stored.

use std::{fmt, sync::Arc};

use crate::encoding::percent_encode;

/// The name under which tokens are stored. Providers with the same key share their tokens.
///
/// Only providers that would get the same tokens may share a key. Therefore, build the key from
/// everything the tokens depend on: the server that issues them, the client, the user, the scopes
/// and the resource.
///
/// ```
/// use tower_auth::store::StoreKey;
///
/// let key = StoreKey::issuer("https://login.example.com")
///     .client("my-service")
///     .subject("alice@example.com")
///     .scopes(["items:write", "items:read"]);
/// assert_eq!(
///     key.as_str(),
///     "issuer=https%3A%2F%2Flogin.example.com&client=my-service&subject=alice%40example.com\
///      &scope=items%3Aread&scope=items%3Awrite"
/// );
/// ```
///
/// A key is not a secret, and it is shown in errors. Cloning is cheap.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[must_use]
pub struct StoreKey(Arc<str>);

impl StoreKey {
    /// Creates a key from any text.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// Creates a key from the server that issues the tokens, such as the URL of its token endpoint.
    pub fn issuer(issuer: &str) -> Self {
        Self(format!("issuer={}", percent_encode(issuer)).into())
    }

    /// Adds the client's ID.
    pub fn client(self, id: &str) -> Self {
        self.with("client", [id])
    }

    /// Adds the user to whom the tokens belong.
    pub fn subject(self, subject: &str) -> Self {
        self.with("subject", [subject])
    }

    /// Adds the requested scopes, in any order.
    pub fn scopes(self, scopes: impl IntoIterator<Item: AsRef<str>>) -> Self {
        self.with("scope", scopes)
    }

    /// Adds the resources for which the tokens are issued (RFC 8707), in any order.
    pub fn resources(self, resources: impl IntoIterator<Item: AsRef<str>>) -> Self {
        self.with("resource", resources)
    }

    /// Returns the key as text: printable ASCII without spaces, unless [`new`](Self::new) created
    /// the key.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn with(self, name: &str, values: impl IntoIterator<Item: AsRef<str>>) -> Self {
        let values = values.into_iter();
        let mut values: Vec<_> = values
            .map(|value| format!("&{name}={}", percent_encode(value.as_ref())))
            .collect();
        values.sort_unstable();
        values.dedup();
        Self((self.0.to_string() + &values.concat()).into())
    }
}

impl fmt::Display for StoreKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for StoreKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoreKey({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// P36: a key covers the issuer, client, subject, scopes and resource.
    #[test]
    fn a_difference_in_any_part_yields_a_different_key() {
        let all = |issuer, client, subject, scopes: &[&str], resource| {
            StoreKey::issuer(issuer)
                .client(client)
                .subject(subject)
                .scopes(scopes)
                .resources([resource])
        };
        let keys = [
            all("i", "c", "s", &["a", "b"], "r"),
            all("j", "c", "s", &["a", "b"], "r"),
            all("i", "d", "s", &["a", "b"], "r"),
            all("i", "c", "t", &["a", "b"], "r"),
            all("i", "c", "s", &["a"], "r"),
            all("i", "c", "s", &["a b"], "r"),
            all("i", "c", "s", &["a", "b"], "q"),
            all("i", "c", "s&scope=a", &["b"], "r"),
            all("i&client=c", "", "s", &["a", "b"], "r"),
            StoreKey::issuer("i").client("c"),
            StoreKey::issuer("i").subject("c"),
        ];
        assert_eq!(keys.iter().collect::<HashSet<_>>().len(), keys.len());
    }

    #[test]
    fn the_order_of_scopes_does_not_matter() {
        let key = |scopes: &[&str]| StoreKey::issuer("i").scopes(scopes);
        assert_eq!(key(&["a", "b"]), key(&["b", "a", "b"]));
    }
}
