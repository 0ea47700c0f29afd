//! Under which name tokens are stored.

use std::{fmt, sync::Arc};

use crate::encoding::percent_encode;

/// Under which name tokens are stored: whoever uses the same key shares the tokens.
///
/// Tokens may be shared only by those who would get the same ones, so make the key from all that
/// they depend on: the server that issues them, the client, the user, the scopes and the resource.
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
/// It is no secret, and shows in errors. Cloning is cheap.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StoreKey(Arc<str>);

impl StoreKey {
    /// A key of your own making.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// Starts with the server that issues the tokens, such as its token endpoint's URL.
    #[must_use]
    pub fn issuer(issuer: &str) -> Self {
        Self(format!("issuer={}", percent_encode(issuer)).into())
    }

    /// The client's id.
    #[must_use]
    pub fn client(self, id: &str) -> Self {
        self.and("client", [id])
    }

    /// The user that the tokens are for.
    #[must_use]
    pub fn subject(self, subject: &str) -> Self {
        self.and("subject", [subject])
    }

    /// The scopes that are asked for, in any order.
    #[must_use]
    pub fn scopes(self, scopes: impl IntoIterator<Item: AsRef<str>>) -> Self {
        self.and("scope", scopes)
    }

    /// The resources that the tokens are for (RFC 8707), in any order.
    #[must_use]
    pub fn resources(self, resources: impl IntoIterator<Item: AsRef<str>>) -> Self {
        self.and("resource", resources)
    }

    /// The key as a text of printable ASCII without spaces, if it was not made by
    /// [`new`](Self::new).
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn and(self, name: &str, values: impl IntoIterator<Item: AsRef<str>>) -> Self {
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

    /// P36: the key covers issuer, client, subject, scopes and resource.
    #[test]
    fn whatever_tokens_depend_on_makes_another_key() {
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
    fn the_order_of_scopes_makes_no_other_key() {
        let key = |scopes: &[&str]| StoreKey::issuer("i").scopes(scopes);
        assert_eq!(key(&["a", "b"]), key(&["b", "a", "b"]));
    }
}
