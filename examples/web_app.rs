//! A web application with many users. Its callback route finishes their logins, and the API calls
//! of each user carry that user's token.
//!
//! `cargo run --features per-key --example web_app` simulates two users.
//! `cargo run --features per-key --example web_app -- serve` waits for your browser instead.

#[path = "support/authorization_server.rs"]
mod authorization_server;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use authorization_server::{AuthorizationServer, browse, get, redirect, serve};
use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::{BodyExt, Empty};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tower::{ServiceBuilder, ServiceExt};
use tower_auth::{
    Auth, AuthLayer, BoxError, Origins, PerKey,
    credential::Bearer,
    oauth2::{AuthorizationCode, PendingLogin, RefreshTokenGrant, TokenProvider},
};

/// A browser session, identified by the value of its cookie.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Session(String);

/// The data of a session. A real application keeps it in a session store that all replicas share,
/// and builds the provider with a `store(..)` whose key includes the user.
#[derive(Default)]
struct SessionData {
    pending_login: Option<String>,
    provider: Option<TokenProvider<RefreshTokenGrant>>,
}

type Sessions = Arc<Mutex<HashMap<Session, SessionData>>>;

#[derive(Clone)]
struct App {
    own_url: String,
    api: String,
    login: AuthorizationCode,
    sessions: Sessions,
    client: Auth<Client<HttpConnector, Empty<Bytes>>, Bearer, PerKey<Session>>,
}

#[tokio::main]
pub(crate) async fn main() -> Result<(), BoxError> {
    let server = AuthorizationServer::default();
    let server_url = server.start().await?;
    let app = Arc::new(Mutex::new(None::<App>));
    let running = Arc::clone(&app);
    let address = serve::serve(move |request| {
        let app = lock(&running).clone();
        async move {
            match app {
                Some(app) => app.handle(&request).await,
                None => serve::response(503, "starting"),
            }
        }
    });
    let own_url = format!("http://{}", address.await?);
    *lock(&app) = Some(App::new(own_url.clone(), &server_url)?);

    if std::env::args().nth(1).as_deref() == Some("serve") {
        println!("Open {own_url}. Press Ctrl-C to stop.");
        return Ok(tokio::signal::ctrl_c().await?);
    }
    for user in ["alice", "bob"] {
        let cookie = visit(&own_url, user).await?;
        server.revoke_access_tokens();
        let page = text(get(&own_url, &cookie).await?).await?;
        println!("{user} sees: {page}");
        assert!(page.starts_with(&format!("Hello {user}!")));
    }
    Ok(())
}

impl App {
    fn new(own_url: String, server: &str) -> Result<Self, BoxError> {
        let login = AuthorizationCode::builder(
            format!("{server}/oauth/authorize"),
            format!("{server}/oauth/token"),
        )
        .client_id("my-app")
        .client_secret("s3cret")
        .http(Client::builder(TokioExecutor::new()).build_http())
        .build()?;
        let sessions = Sessions::default();
        let known = Arc::clone(&sessions);
        let layer = AuthLayer::per_key(
            move |session: &Session| lock(&known).get(session)?.provider.clone(),
            Origins::only(server)?,
        );
        let client = Client::builder(TokioExecutor::new()).build_http();
        Ok(Self {
            own_url,
            api: format!("{server}/api/me"),
            login,
            sessions,
            client: ServiceBuilder::new().layer(layer).service(client),
        })
    }

    async fn handle(self, request: &Request<String>) -> Response<String> {
        let cookie = request.headers().get(header::COOKIE);
        let cookie = cookie.and_then(|value| value.to_str().ok()?.strip_prefix("session="));
        let session = Session(cookie.unwrap_or_default().to_owned());
        let response = match request.uri().path() {
            "/" => self.home(session).await,
            "/login" => self.log_in(),
            "/callback" => self.callback(session, &request.uri().to_string()).await,
            "/logout" => self.log_out(&session).await,
            _ => Ok(serve::response(404, "")),
        };
        // The crate's errors contain no secrets, so they can be shown.
        response.unwrap_or_else(|error| serve::response(500, format!("{error:#}")))
    }

    async fn home(self, session: Session) -> Result<Response<String>, BoxError> {
        let is_logged_in = lock(&self.sessions)
            .get(&session)
            .is_some_and(|data| data.provider.is_some());
        if !is_logged_in {
            return Ok(html("<a href=\"/login\">Log in</a>"));
        }
        let mut request = Request::get(&self.api).body(Empty::<Bytes>::new())?;
        request.extensions_mut().insert(session);
        let user = text(self.client.oneshot(request).await?).await?;
        Ok(html(&format!(
            "Hello {user}! <a href=\"/logout\">Log out</a>"
        )))
    }

    /// Redirects the browser to the authorization server, and saves the pending login in a new
    /// session.
    fn log_in(self) -> Result<Response<String>, BoxError> {
        let pending = self.login.start(&format!("{}/callback", self.own_url))?;
        let mut response = redirect(&self.login.authorization_url(&pending));
        // Each login gets a new session, which prevents session fixation.
        let name = format!("{:032x}{:032x}", fastrand::u128(..), fastrand::u128(..));
        let cookie = format!("session={name}; HttpOnly; SameSite=Lax; Path=/");
        response
            .headers_mut()
            .insert(header::SET_COOKIE, cookie.parse()?);
        let data = SessionData {
            pending_login: Some(pending.expose()),
            provider: None,
        };
        lock(&self.sessions).insert(Session(name), data);
        Ok(response)
    }

    /// Finishes the login. The pending login is removed from the session, so it is used only once.
    async fn callback(self, session: Session, url: &str) -> Result<Response<String>, BoxError> {
        let saved = lock(&self.sessions)
            .get_mut(&session)
            .and_then(|data| data.pending_login.take());
        let Some(saved) = saved else {
            return Ok(serve::response(400, "this browser has not started a login"));
        };
        let tokens = self
            .login
            .finish(PendingLogin::restore(&saved)?, url)
            .await?;
        let provider = self.login.session().initial_tokens(tokens).build()?;
        lock(&self.sessions).entry(session).or_default().provider = Some(provider);
        Ok(redirect("/"))
    }

    async fn log_out(self, session: &Session) -> Result<Response<String>, BoxError> {
        if let Ok(handle) = self.client.handle().for_key(session) {
            handle.log_out().await?;
        }
        lock(&self.sessions).remove(session);
        Ok(redirect("/"))
    }
}

/// Logs in as a user does in a browser. Returns the session cookie.
async fn visit(app: &str, user: &str) -> Result<String, BoxError> {
    let redirected = get(&format!("{app}/login"), "").await?;
    let header = |name| redirected.headers().get(name).ok_or("missing");
    let cookie = header(header::SET_COOKIE)?.to_str()?;
    let cookie = cookie.split(';').next().unwrap_or_default().to_owned();
    let callback = browse(header(header::LOCATION)?.to_str()?, user).await?;

    let stolen = get(&callback, "session=of-another-user").await?;
    assert_eq!(
        stolen.status(),
        400,
        "another browser's session has no pending login"
    );
    let finished = get(&callback, &cookie).await?;
    assert_eq!(finished.status(), 303, "{}", text(finished).await?);
    let again = get(&callback, &cookie).await?;
    assert_eq!(
        again.status(),
        400,
        "a pending login can be finished only once"
    );
    Ok(cookie)
}

fn html(body: &str) -> Response<String> {
    let mut response = serve::response(200, body);
    let kind = header::HeaderValue::from_static("text/html");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

async fn text(response: Response<hyper::body::Incoming>) -> Result<String, BoxError> {
    let body = response.into_body().collect().await?.to_bytes();
    Ok(String::from_utf8_lossy(&body).into_owned())
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
