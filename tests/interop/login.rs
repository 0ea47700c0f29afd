//! Logins through the crate: the loopback listener, and the user whose browser returns to it.

use std::io;

use http::Uri;
use tokio::sync::oneshot;
use tower_auth::{
    BoxError,
    oauth2::{LoginError, LoginFlow, Loopback},
    store::TokenSet,
};

use crate::{
    browser::{Consent, Landing, alice_opens},
    server::Server,
};

/// The outcome of a login, for the program and for the user.
pub(crate) struct Login {
    pub(crate) result: Result<TokenSet, LoginError>,
    pub(crate) landing: Landing,
}

impl Login {
    /// Lets alice log in and consent or refuse, and checks the page that she ends on.
    pub(crate) async fn of_alice(
        server: &Server,
        flow: &impl LoginFlow,
        name: &str,
        consent: Consent,
    ) -> Result<Self, BoxError> {
        let redirect_uri: Uri = server.redirect_uri.parse()?;
        let (sender, opened) = oneshot::channel();
        let listener = Loopback::new()
            .port(redirect_uri.port_u16().unwrap_or_default())
            .path(redirect_uri.path())
            .open_with(move |url| {
                let gone = |_| io::Error::other("the browser did not run");
                sender.send(url.to_owned()).map_err(gone)
            });
        let alice = async { alice_opens(name, &opened.await?, consent).await };
        // If alice gets stuck, she never returns to the listener, so her error ends the wait.
        let (result, landing) = tokio::try_join!(async { Ok(listener.log_in(flow).await) }, alice)?;
        // The page that reads the fragment removes it from the address bar.
        assert!(
            landing.url.starts_with(&server.redirect_uri) && !landing.url.contains('#'),
            "{landing:?}"
        );
        let (title, text) = match (&result, consent) {
            (Ok(_), _) => ("You are logged in", "return to the program"),
            (Err(_), Consent::No) => ("You are not logged in", "Access was denied"),
            (Err(_), Consent::Yes) => ("You are not logged in", "does not belong to the login"),
        };
        assert!(
            landing.text.contains(title) && landing.text.contains(text),
            "{landing:?}, {result:?}"
        );
        Ok(Self { result, landing })
    }
}

/// Logs alice in, with consent, and returns her tokens.
pub(crate) async fn tokens_of_alice(
    server: &Server,
    flow: &impl LoginFlow,
    name: &str,
) -> Result<TokenSet, BoxError> {
    let login = Login::of_alice(server, flow, name, Consent::Yes).await?;
    Ok(login.result?)
}
