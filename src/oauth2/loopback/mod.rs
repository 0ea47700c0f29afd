//! Log-ins by programs on the person's own machine (RFC 8252).

mod page;
mod server;

use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use tokio::{net::TcpListener, time::timeout};

use self::{page::Outcome, server::Server};
use super::login::{LoginError, LoginFlow, Problem};
use crate::{error::ConfigError, store::TokenSet};

/// How long the browser has by default.
const PATIENCE: Duration = Duration::from_secs(5 * 60);

/// How long the last page may take to reach the browser.
const GOODBYE: Duration = Duration::from_secs(2);

type Open = Box<dyn FnOnce(&str) -> io::Result<()> + Send>;

/// A log-in in the system's browser, by a program on the person's own machine (RFC 8252).
///
/// It listens on a loopback address, opens the browser, waits for it to come back, exchanges the
/// code, shows a page that says what has happened, and closes. Register
/// `http://127.0.0.1/callback` as the redirect URI of a native application: servers leave its port
/// open (RFC 8252 7.3); with one that does not, register a [port](Self::port) too.
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
/// The first answer at the redirect URI ends it, whatever it is. Dropping the future closes the
/// listener.
#[must_use = "call log_in(..)"]
pub struct Loopback {
    address: IpAddr,
    port: u16,
    path: String,
    patience: Duration,
    open: Open,
}

impl Default for Loopback {
    fn default() -> Self {
        Self {
            address: Ipv4Addr::LOCALHOST.into(),
            port: 0,
            path: "/callback".to_owned(),
            patience: PATIENCE,
            open: Box::new(|url| open::that_detached(url)),
        }
    }
}

impl Loopback {
    /// 127.0.0.1, a free port, the path `/callback`, the system's browser, and five minutes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Listens on `[::1]`. Default: 127.0.0.1. Names such as `localhost` are not offered, because
    /// they can lead elsewhere (RFC 8252 8.3).
    pub fn ipv6(mut self) -> Self {
        self.address = Ipv6Addr::LOCALHOST.into();
        self
    }

    /// Listens on this port, for servers that compare it with the registered one. Default: one that
    /// is free.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// The path of the redirect URI. Default: `/callback`.
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// How long the browser has to come back. Default: 5 min.
    pub fn timeout(mut self, time: Duration) -> Self {
        self.patience = time;
        self
    }

    /// Does something else with the address than opening the system's browser: prints it for the
    /// person, say, where there is no browser.
    ///
    /// ```
    /// use tower_auth::oauth2::Loopback;
    ///
    /// let log_in = Loopback::new().open_with(|url| {
    ///     eprintln!("To log in, open {url}");
    ///     Ok(())
    /// });
    /// # let _ = log_in;
    /// ```
    pub fn open_with(mut self, open: impl FnOnce(&str) -> io::Result<()> + Send + 'static) -> Self {
        self.open = Box::new(open);
        self
    }

    /// Has the person log in, and gives the tokens.
    ///
    /// # Errors
    /// The port is in use, the browser can't be opened or does not come back in time, the person
    /// says no, or the server does: see [`LoginError`].
    pub async fn log_in<F: LoginFlow>(self, flow: &F) -> Result<TokenSet, LoginError> {
        if !self.path.starts_with('/') || !self.path.bytes().all(is_plain) {
            let problem = "does not begin with `/`, or has characters other than letters, digits \
                           and `/-._~`";
            return Err(ConfigError::new("path", problem).into());
        }
        let wanted = SocketAddr::new(self.address, self.port);
        let listen = |error| LoginError::from(Problem::Listen(wanted, error));
        let listener = TcpListener::bind(wanted).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;

        let attempt = flow.start(&format!("http://{address}{}", self.path))?;
        (self.open)(&flow.authorization_url(&attempt)).map_err(Problem::Browser)?;

        let server = Server::new(listener, address, self.path, flow.answered_in());
        let Ok(answer) = timeout(self.patience, server.answer()).await else {
            return Err(Problem::NeverBack(self.patience).into());
        };
        let (answer, _connections) = answer.map_err(listen)?;
        let result = flow.finish(attempt, &answer.callback).await;
        let goodbye = answer.show(Outcome::of(&result));
        // A browser that does not take its page has its answer all the same.
        let _ = timeout(GOODBYE, goodbye).await;
        result
    }
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte)
}

impl fmt::Debug for Loopback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loopback")
            .field("address", &self.address)
            .field("port", &self.port)
            .field("path", &self.path)
            .field("timeout", &self.patience)
            .finish_non_exhaustive()
    }
}
