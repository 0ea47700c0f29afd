//! Tokens in files.

#[cfg(test)]
mod tests;

use std::{
    fmt,
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

/// No token is larger.
const MOST: u64 = 64 * 1024;
const USUAL_REREAD: Duration = Duration::from_secs(60);

/// A provider of the bearer token in a file that somebody else keeps up to date: Kubernetes with
/// its projected service account tokens, an agent, a scheduled job. Feature `file`.
///
/// The file is read again after a minute at the latest ([`reread_after`](Self::reread_after)), before
/// a token expires that is a JWT (its `exp`), and when a server rejects the token. So a change is
/// noticed at least that soon. White space around the token does not belong to it.
///
/// A file that is missing, empty, larger than 64 KiB or holds no token is a transient failure; a
/// JWT that was read before serves until it expires.
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
/// For a server that exchanges such a token, give
/// [`oauth2::TokenExchange`](crate::oauth2::TokenExchange) a closure that reads the file.
#[derive(Clone)]
pub struct FileToken {
    path: Arc<Path>,
    reread_after: Duration,
    header: Option<HeaderName>,
}

impl FileToken {
    /// Where Kubernetes puts the token for its own API.
    pub const KUBERNETES: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

    /// The file's path. It need not exist yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into().into(),
            reread_after: USUAL_REREAD,
            header: None,
        }
    }

    /// The file is read again at the latest after this time. Default: a minute.
    #[must_use]
    pub fn reread_after(mut self, time: Duration) -> Self {
        self.reread_after = time;
        self
    }

    /// The header that the token goes into, with the word `Bearer`. Default: `Authorization`.
    ///
    /// # Errors
    /// The name is no header name.
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
                // Files are replaced, and mounts come and go, while the token in use is good.
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

impl fmt::Debug for FileToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileToken")
            .field("path", &self.path)
            .field("reread_after", &self.reread_after)
            .finish_non_exhaustive()
    }
}

fn read(path: &Path) -> io::Result<Zeroizing<String>> {
    let about = fs::metadata(path)?;
    // Opening a pipe would wait for somebody who writes.
    if !about.is_file() {
        return Err(io::Error::other("is no file"));
    }
    // A `String` that grows leaves its old bytes behind unwiped.
    let room = about.len().min(MOST) + 1;
    let mut text = Zeroizing::new(String::with_capacity(room as usize));
    let read = File::open(path)?.take(MOST + 1).read_to_string(&mut text)?;
    match read {
        read if read as u64 > MOST => Err(io::Error::other("is larger than 64 KiB")),
        _ if text.trim().is_empty() => Err(io::Error::other("is empty")),
        _ => Ok(text),
    }
}
