//! Tokens that other programs print.

mod output;
mod run;
#[cfg(test)]
mod tests;

use std::{
    ffi::{OsStr, OsString},
    fmt,
    sync::Arc,
    time::SystemTime,
};

use http::HeaderName;

use super::{Issued, Provider, RefreshContext};
use crate::{
    credential::{Bearer, parse_name},
    error::{ConfigError, ProviderError},
};

/// A provider of bearer tokens that a credential helper prints: the tool of a cloud, an exec plugin
/// of Kubernetes, a script of your own. Feature `command`.
///
/// The program is started without a shell, anew for each refresh, and with nothing to read. What it
/// prints may be
///
/// | output | such as that of |
/// |---|---|
/// | the token, on one line | `gcloud auth print-access-token`, `gh auth token`, `oc whoami -t` |
/// | JSON with `access_token`, `accessToken` or `token` | `az account get-access-token`, `azd auth token --output json` |
/// | the same in `status` | `ExecCredential` of Kubernetes (`kubectl`, `aws eks get-token`) |
/// | the same in `credential` | `gcloud config config-helper --format json` |
///
/// Beside the token JSON says how long it lasts: `expires_in` in seconds; or `expires_on`,
/// `expires_at`, `expiresOn`, `expiration_time`, `expirationTimestamp`, `token_expiry` or `expiry`, in
/// seconds since 1970 or as RFC 3339 has dates. Otherwise the token lasts as long as its own `exp`
/// says, if it is a JWT; else until it is rejected, or for the layer's
/// [`default_lifetime`](crate::RefreshSettings::default_lifetime).
///
/// When the layer's [`refresh_timeout`](crate::RefreshSettings::refresh_timeout) passes (10 s by default),
/// the program is killed; on Unix with all that it has started, unless they left its process group.
/// A program that fails, or prints no token, is a transient failure; one that can't be started a
/// permanent one. What it writes to its standard error is not read, because it may hold secrets:
/// run it by hand to see why it fails.
///
/// ```
/// use tower_auth::{AuthLayer, Origins, provider::CommandToken};
///
/// # fn main() -> Result<(), tower_auth::ConfigError> {
/// let provider = CommandToken::new("gcloud").args(["auth", "print-access-token"]);
/// let layer = AuthLayer::new(provider, Origins::only("https://api.example.com")?);
/// # let _ = layer; Ok(()) }
/// ```
#[derive(Clone)]
pub struct CommandToken {
    helper: Arc<Helper>,
    header: Option<HeaderName>,
}

/// What is started.
#[derive(Clone)]
struct Helper {
    program: OsString,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
}

impl CommandToken {
    /// The program: its path, or its name, which is looked for in the `PATH`.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Self {
            helper: Arc::new(Helper {
                program: program.as_ref().to_owned(),
                args: Vec::new(),
                env: Vec::new(),
            }),
            header: None,
        }
    }

    /// Its arguments, besides those of earlier calls. Everybody on this machine can read them.
    #[must_use]
    pub fn args(mut self, args: impl IntoIterator<Item: AsRef<OsStr>>) -> Self {
        let args = args.into_iter().map(|arg| arg.as_ref().to_owned());
        Arc::make_mut(&mut self.helper).args.extend(args);
        self
    }

    /// An environment variable of it, besides those of this process.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        let variable = (name.as_ref().to_owned(), value.as_ref().to_owned());
        Arc::make_mut(&mut self.helper).env.push(variable);
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
}

impl Provider for CommandToken {
    type Credential = Bearer;

    async fn issue(&self, _: RefreshContext<Bearer>) -> Result<Issued<Bearer>, ProviderError> {
        let begun = SystemTime::now();
        let printed = self.helper.run().await?;
        let (mut token, expiry) = output::parse(&printed, begun)
            .map_err(|why| ProviderError::transient(format!("{} {why}", self.helper)))?;
        if let Some(name) = &self.header {
            let named = token.header_name(name.clone());
            token = named.map_err(ProviderError::permanent)?;
        }
        let issued = Issued::new(token);
        Ok(match expiry {
            Some(moment) => issued.expires_at(moment),
            None => issued,
        })
    }
}

impl fmt::Debug for CommandToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommandToken")
            .field("program", &self.helper.program)
            .finish_non_exhaustive()
    }
}

/// The program alone: its arguments and its environment may hold secrets.
impl fmt::Display for Helper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the credential helper {:?}", self.program)
    }
}
