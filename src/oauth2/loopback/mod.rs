//! Logins by programs on the user's own machine (RFC 8252).

mod page;
mod server;

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use tokio::{net::TcpListener, time::timeout};

use self::{page::Outcome, server::Server};
use super::login::{LoginError, LoginFlow, Problem};
use crate::{error::ConfigError, store::TokenSet};

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5 * 60);

/// Maximum time to send the last page to the browser.
const RESULT_PAGE_TIMEOUT: Duration = Duration::from_secs(2);

type OpenFn = Box<dyn FnOnce(&str) -> io::Result<()> + Send>;

/// A login in the system's browser, for a program on the user's own machine (RFC 8252).
///
/// It listens on a loopback address, opens the browser, and waits for the callback, which closes
/// the listener. It then exchanges the code and shows a page with the outcome. Register
/// `http://127.0.0.1/callback` as the redirect URI of a native application. Servers accept any port
/// for it (RFC 8252 section 7.3); if yours does not, register a [port](Self::port) too.
///
/// ```no_run
/// use tower_auth::{AuthLayer, BoxError, Origins, oauth2::{AuthorizationCode, Loopback}};
///
/// # async fn log_in(login: AuthorizationCode) -> Result<(), BoxError> {
/// let tokens = Loopback::new().log_in(&login).await?;
/// let provider = login.session().initial_tokens(tokens).build()?;
/// let layer = AuthLayer::new(provider, Origins::only("https://api.example.com")?);
/// # let _ = layer; Ok(()) }
/// ```
///
/// Only the first callback is accepted, and it ends the login regardless of its contents. Dropping
/// the future closes the listener.
#[must_use = "call log_in(..)"]
pub struct Loopback {
    address: IpAddr,
    port: u16,
    path: String,
    timeout: Duration,
    open: OpenFn,
}

impl Default for Loopback {
    fn default() -> Self {
        Self {
            address: Ipv4Addr::LOCALHOST.into(),
            port: 0,
            path: "/callback".to_owned(),
            timeout: DEFAULT_TIMEOUT,
            open: Box::new(|url| open::that_detached(url)),
        }
    }
}

impl Loopback {
    /// Creates a login that listens on a free port of 127.0.0.1 at the path `/callback`, opens the
    /// system's browser, and times out after five minutes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Listens on `[::1]`. Default: 127.0.0.1. Host names such as `localhost` are not offered,
    /// because they can resolve to another machine (RFC 8252 section 8.3).
    pub fn ipv6(mut self) -> Self {
        self.address = Ipv6Addr::LOCALHOST.into();
        self
    }

    /// Listens on this port, for servers that compare it with the registered one. Default: a free
    /// port.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Sets the path of the redirect URI. Default: `/callback`.
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// Sets how long to wait for the callback. Default: 5 min.
    pub fn timeout(mut self, time: Duration) -> Self {
        self.timeout = time;
        self
    }

    /// Calls `open` with the URL instead of opening the system's browser. For example, print the
    /// URL if the machine has no browser.
    ///
    /// ```
    /// use tower_auth::oauth2::Loopback;
    ///
    /// let loopback = Loopback::new().open_with(|url| {
    ///     eprintln!("To log in, open {url}");
    ///     Ok(())
    /// });
    /// # let _ = loopback;
    /// ```
    pub fn open_with(mut self, open: impl FnOnce(&str) -> io::Result<()> + Send + 'static) -> Self {
        self.open = Box::new(open);
        self
    }

    /// Logs the user in and returns the tokens.
    ///
    /// # Errors
    /// The port is in use, the browser cannot be opened or does not return in time, or the user or
    /// the server denies the login. See [`LoginError`].
    pub async fn log_in<F: LoginFlow>(self, flow: &F) -> Result<TokenSet, LoginError> {
        if !self.path.starts_with('/') || !self.path.bytes().all(is_path_byte) {
            let problem = "must start with `/` and contain only letters, digits and `/-._~`";
            return Err(ConfigError::new("path", problem).into());
        }
        let requested = SocketAddr::new(self.address, self.port);
        let listen = |error| LoginError::from(Problem::Listen(requested, error));
        let listener = TcpListener::bind(requested).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;

        let pending = flow.start(&format!("http://{address}{}", self.path))?;
        (self.open)(&flow.authorization_url(&pending)).map_err(Problem::Browser)?;

        let server = Server::new(listener, address, self.path, flow.response_mode());
        let Ok(callback) = timeout(self.timeout, server.callback()).await else {
            return Err(Problem::BrowserTimeout(self.timeout).into());
        };
        let (callback, _connections) = callback.map_err(listen)?;
        let result = flow.finish(pending, &callback.response).await;
        let shown = callback.show(Outcome::of(&result));
        // The login counts even if the browser does not load the page.
        let _ = timeout(RESULT_PAGE_TIMEOUT, shown).await;
        result
    }
}

fn is_path_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte)
}

partial_debug!(Loopback, address, port, path, timeout);
