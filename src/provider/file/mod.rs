//! Bearer tokens in files.

#[cfg(test)]
mod tests;

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use http::HeaderName;
use zeroize::Zeroizing;

use super::{Issued, Provider, Reason, RefreshContext, jwt};
use crate::{
    credential::{Bearer, parse_name},
    error::{BoxError, ConfigError, ProviderError},
};

/// The maximum size of a token file.
const MAX_FILE_SIZE: u64 = 64 * 1024;
const DEFAULT_REREAD: Duration = Duration::from_secs(60);

/// A provider that reads a bearer token from a file that another program keeps up to date, such as
/// Kubernetes (projected service account tokens), an agent, or a scheduled job. Requires the `file`
/// feature.
///
/// The file is read again after at most a minute ([`reread_after`](Self::reread_after)), before the
/// token expires if it is a JWT with an `exp`, and when a server rejects the token. Whitespace
/// around the token is ignored.
///
/// A file that is missing, empty, larger than 64 KiB or without a valid token is a transient
/// failure. A JWT that was read earlier remains in use until it expires.
///
/// ```
/// use tower_auth::{AuthLayer, Origins, provider::FileToken};
///
/// # fn main() -> Result<(), tower_auth::ConfigError> {
/// let provider = FileToken::new("/var/run/secrets/tokens/api");
/// let layer = AuthLayer::new(provider, Origins::only("https://api.example.com")?);
/// # let _ = layer; Ok(()) }
/// ```
///
/// For a server that exchanges such a token for another one, pass
/// [`oauth2::TokenExchange`](crate::oauth2::TokenExchange) a closure that reads the file.
#[derive(Clone)]
pub struct FileToken {
    path: Arc<Path>,
    reread_after: Duration,
    header: Option<HeaderName>,
}

impl FileToken {
    /// The path at which Kubernetes mounts the token for its own API.
    pub const KUBERNETES: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

    /// Creates a provider for the file at this path. The file need not exist yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into().into(),
            reread_after: DEFAULT_REREAD,
            header: None,
        }
    }

    /// Sets the maximum time after which the file is read again. Default: 1 minute.
    #[must_use]
    pub fn reread_after(mut self, time: Duration) -> Self {
        self.reread_after = time;
        self
    }

    /// Sets the header that carries the token, with the `Bearer` scheme. Default: `Authorization`.
    ///
    /// # Errors
    /// The name is not a valid header name.
    pub fn header_name(mut self, name: impl TryInto<HeaderName>) -> Result<Self, ConfigError> {
        self.header = Some(parse_name("header_name", name)?);
        Ok(self)
    }

    async fn read(&self) -> Result<Bearer, BoxError> {
        let path = Arc::clone(&self.path);
        let text = tokio::task::spawn_blocking(move || read(&path)).await??;
        let token = Bearer::new(text.trim())?;
        Ok(match &self.header {
            Some(name) => token.header_name(name.clone())?,
            None => token,
        })
    }

    fn failed(&self, error: &BoxError) -> ProviderError {
        ProviderError::transient(format!("the token file {}: {error:#}", self.path.display()))
    }
}

impl Provider for FileToken {
    type Credential = Bearer;

    async fn issue(
        &self,
        context: RefreshContext<Bearer>,
    ) -> Result<Issued<Bearer>, ProviderError> {
        let now = SystemTime::now();
        let left = |token: &Bearer| {
            let expiry = jwt::expiry(token.expose())?;
            Some(expiry.duration_since(now).unwrap_or_default())
        };
        let (token, left) = match self.read().await {
            Ok(token) => {
                let left = left(&token);
                (token, left)
            }
            Err(error) => {
                // While a file or a mount is being replaced, the current token is still valid.
                let is_good = matches!(context.reason(), Reason::Early | Reason::Expired);
                let last = context.previous().filter(|_| is_good);
                let last = last.map(|token| (token.clone(), left(token)));
                last.filter(|(_, left)| left.is_some_and(|left| !left.is_zero()))
                    .ok_or_else(|| self.failed(&error))?
            }
        };
        let lifetime = left.unwrap_or(self.reread_after).min(self.reread_after);
        Ok(Issued::new(token).expires_in(lifetime))
    }
}

partial_debug!(FileToken, path, reread_after);

fn read(path: &Path) -> io::Result<Zeroizing<String>> {
    let metadata = fs::metadata(path)?;
    // Opening a named pipe would block until another process writes to it.
    if !metadata.is_file() {
        return Err(io::Error::other("is not a regular file"));
    }
    // A `String` that grows would leave its old bytes in memory without wiping them.
    let capacity = metadata.len().min(MAX_FILE_SIZE) + 1;
    let mut text = Zeroizing::new(String::with_capacity(capacity as usize));
    let read = File::open(path)?
        .take(MAX_FILE_SIZE + 1)
        .read_to_string(&mut text)?;
    match read {
        read if read as u64 > MAX_FILE_SIZE => Err(io::Error::other("is larger than 64 KiB")),
        _ if text.trim().is_empty() => Err(io::Error::other("is empty")),
        _ => Ok(text),
    }
}
