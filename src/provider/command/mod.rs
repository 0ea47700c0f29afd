//! Bearer tokens that another program prints.

mod output;
#[cfg(test)]
mod tests;

use std::{
    ffi::{OsStr, OsString},
    fmt, io,
    process::{ExitStatus, Stdio},
    sync::Arc,
    time::SystemTime,
};

use http::HeaderName;
use tokio::{
    io::AsyncReadExt,
    process::{Child, Command},
};
use zeroize::Zeroizing;

use super::{Issued, Provider, RefreshContext};
use crate::{
    credential::{Bearer, parse_name},
    error::{ConfigError, ProviderError},
};

/// The maximum size of a helper's output.
const MAX_OUTPUT_SIZE: u64 = 64 * 1024;

/// A provider that runs a credential helper and uses the bearer token that it prints. The helper
/// can be a cloud's command-line tool, a Kubernetes exec plugin, or your own script. Requires the
/// `command` feature.
///
/// Each refresh runs the program once, without a shell and with empty standard input. These outputs
/// are supported:
///
/// | output | printed by, for example |
/// |---|---|
/// | the token, on one line | `gcloud auth print-access-token`, `gh auth token`, `oc whoami -t` |
/// | JSON with `access_token`, `accessToken` or `token` | `az account get-access-token`, `azd auth token --output json` |
/// | such JSON inside `status` | Kubernetes `ExecCredential` (`kubectl`, `aws eks get-token`) |
/// | such JSON inside `credential` | `gcloud config config-helper --format json` |
///
/// JSON can also contain the lifetime: `expires_in` in seconds; or `expires_on`, `expires_at`,
/// `expiresOn`, `expiration_time`, `expirationTimestamp`, `token_expiry` or `expiry`, in seconds
/// since 1970 or as an RFC 3339 date. Otherwise, a JWT is used until its `exp`, and any other token
/// until it is rejected, or for the [`default_lifetime`](crate::RefreshSettings::default_lifetime).
///
/// When the layer's [`refresh_timeout`](crate::RefreshSettings::refresh_timeout) passes (10 s by
/// default), the program is killed. On Unix, so are the processes that it has started, unless they
/// left its process group. A program that fails or prints no token is a transient failure. A
/// program that cannot be started is a permanent failure. The program's standard error is not read,
/// because it may contain secrets: run the program by hand to see why it fails.
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
#[must_use]
pub struct CommandToken {
    helper: Arc<Helper>,
    header: Option<HeaderName>,
}

/// A program with its arguments and environment.
#[derive(Clone)]
struct Helper {
    program: OsString,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
}

impl CommandToken {
    /// Creates a provider that runs this program: a path, or a name to look up in `PATH`.
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

    /// Adds arguments. Every user of the machine can read the arguments of a running program.
    pub fn args(mut self, args: impl IntoIterator<Item: AsRef<OsStr>>) -> Self {
        let args = args.into_iter().map(|arg| arg.as_ref().to_owned());
        Arc::make_mut(&mut self.helper).args.extend(args);
        self
    }

    /// Adds an environment variable to those inherited from this process.
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        let variable = (name.as_ref().to_owned(), value.as_ref().to_owned());
        Arc::make_mut(&mut self.helper).env.push(variable);
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
}

impl Provider for CommandToken {
    type Credential = Bearer;

    async fn issue(&self, _: RefreshContext<Bearer>) -> Result<Issued<Bearer>, ProviderError> {
        let started_at = SystemTime::now();
        let printed = self.helper.run().await?;
        let (mut token, expiry) = output::parse(&printed, started_at)
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

partial_debug!(CommandToken, program = helper.program);

/// Shows only the program, because its arguments and environment may contain secrets.
impl fmt::Display for Helper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the credential helper {:?}", self.program)
    }
}

impl Helper {
    /// Runs the helper and returns its output. Dropping the future kills the helper.
    async fn run(&self) -> Result<Zeroizing<Vec<u8>>, ProviderError> {
        let mut command = Command::new(&self.program);
        command
            .args(&self.args)
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        #[cfg(unix)]
        command.process_group(0);
        let child = command.spawn().map_err(|error| {
            ProviderError::permanent(format!("{self} cannot be started: {error}"))
        })?;

        let mut group = ProcessGroup(child);
        let (printed, status) = group.finish().await.map_err(|error| {
            ProviderError::transient(format!("failed to wait for {self}: {error}"))
        })?;
        // This check precedes the status check, because a helper whose output is cut off may fail
        // for that reason.
        if printed.len() as u64 > MAX_OUTPUT_SIZE {
            let problem = format!("{self} printed more than 64 KiB");
            return Err(ProviderError::transient(problem));
        }
        if !status.success() {
            return Err(ProviderError::transient(format!(
                "{self} ended with {status}: run it by hand to see why"
            )));
        }
        Ok(printed)
    }
}

/// A program and the processes that it has started, which are killed on drop.
struct ProcessGroup(Child);

impl ProcessGroup {
    async fn finish(&mut self) -> io::Result<(Zeroizing<Vec<u8>>, ExitStatus)> {
        // A `Vec` that grows would leave its old bytes in memory without wiping them.
        let mut printed = Zeroizing::new(Vec::with_capacity(MAX_OUTPUT_SIZE as usize + 1));
        if let Some(stdout) = self.0.stdout.take() {
            stdout
                .take(MAX_OUTPUT_SIZE + 1)
                .read_to_end(&mut printed)
                .await?;
        }
        let status = self.0.wait().await?;
        Ok((printed, status))
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        // If there is no ID, the program has already exited. Processes that it left behind may keep
        // running.
        #[cfg(unix)]
        if let Some(id) = self.0.id().and_then(|id| i32::try_from(id).ok())
            && let Some(group) = rustix::process::Pid::from_raw(id)
        {
            // The group may have ended in the meantime.
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
    }
}
