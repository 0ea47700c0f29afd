//! A web application with many users: its callback route finishes their log-ins, and each one's
//! calls to the API carry that one's own token.
//!
//! `cargo run --features per-key --example web_app` visits itself as two people.
//! `cargo run --features per-key --example web_app -- serve` waits for your browser instead.

#[path = "support/authorization_server.rs"]
mod authorization_server;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use authorization_server::{AuthorizationServer, get, person, redirect, serve};
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

/// Which browser it is: the value of its cookie.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Session(String);

/// In a real application this is the session store that all replicas share, and the provider is
/// made with a `store(..)` whose key names the user.
#[derive(Default)]
struct Visitor {
    attempt: Option<String>,
    provider: Option<TokenProvider<RefreshTokenGrant>>,
}

type Visitors = Arc<Mutex<HashMap<Session, Visitor>>>;

#[derive(Clone)]
struct App {
    own_url: String,
    api: String,
    login: AuthorizationCode,
    visitors: Visitors,
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
                Some(app) => app.answer(&request).await,
                None => serve::answer(503, "starting"),
            }
        }
    });
    let own_url = format!("http://{}", address.await?);
    *lock(&app) = Some(App::new(own_url.clone(), &server_url)?);

    if std::env::args().nth(1).as_deref() == Some("serve") {
        println!("open {own_url}, and end with Ctrl-C");
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
        let visitors = Visitors::default();
        let known = Arc::clone(&visitors);
        let layer = AuthLayer::per_key(
            move |session: &Session| lock(&known).get(session)?.provider.clone(),
            Origins::only(server)?,
        );
        let client = Client::builder(TokioExecutor::new()).build_http();
        Ok(Self {
            own_url,
            api: format!("{server}/api/me"),
            login,
            visitors,
            client: ServiceBuilder::new().layer(layer).service(client),
        })
    }

    async fn answer(self, request: &Request<String>) -> Response<String> {
        let cookie = request.headers().get(header::COOKIE);
        let cookie = cookie.and_then(|value| value.to_str().ok()?.strip_prefix("session="));
        let session = Session(cookie.unwrap_or_default().to_owned());
        let answer = match request.uri().path() {
            "/" => self.home(session).await,
            "/log-in" => self.log_in(),
            "/callback" => self.callback(session, &request.uri().to_string()).await,
            "/log-out" => self.log_out(&session).await,
            _ => Ok(serve::answer(404, "")),
        };
        // The errors of the crate say what happened, and hold no secret.
        answer.unwrap_or_else(|error| serve::answer(500, format!("{error:#}")))
    }

    async fn home(self, session: Session) -> Result<Response<String>, BoxError> {
        let is_known = lock(&self.visitors)
            .get(&session)
            .is_some_and(|visitor| visitor.provider.is_some());
        if !is_known {
            return Ok(html("<a href=\"/log-in\">Log in</a>"));
        }
        let mut request = Request::get(&self.api).body(Empty::<Bytes>::new())?;
        request.extensions_mut().insert(session);
        let user = text(self.client.oneshot(request).await?).await?;
        Ok(html(&format!(
            "Hello {user}! <a href=\"/log-out\">Log out</a>"
        )))
    }

    /// Sends the browser to the server, with a session that remembers the attempt.
    fn log_in(self) -> Result<Response<String>, BoxError> {
        let attempt = self.login.start(&format!("{}/callback", self.own_url))?;
        let mut response = redirect(&self.login.authorization_url(&attempt));
        // A fresh session for each log-in, so that nobody can plant theirs.
        let name = format!("{:032x}{:032x}", fastrand::u128(..), fastrand::u128(..));
        let cookie = format!("session={name}; HttpOnly; SameSite=Lax; Path=/");
        response
            .headers_mut()
            .insert(header::SET_COOKIE, cookie.parse()?);
        let visitor = Visitor {
            attempt: Some(attempt.expose()),
            provider: None,
        };
        lock(&self.visitors).insert(Session(name), visitor);
        Ok(response)
    }

    /// The browser is back: the attempt is taken out of its session, so that it serves once.
    async fn callback(self, session: Session, url: &str) -> Result<Response<String>, BoxError> {
        let kept = lock(&self.visitors)
            .get_mut(&session)
            .and_then(|visitor| visitor.attempt.take());
        let Some(kept) = kept else {
            return Ok(serve::answer(400, "no log-in was started in this browser"));
        };
        let tokens = self
            .login
            .finish(PendingLogin::restore(&kept)?, url)
            .await?;
        let provider = self.login.session().initial_tokens(tokens).build()?;
        lock(&self.visitors).entry(session).or_default().provider = Some(provider);
        Ok(redirect("/"))
    }

    async fn log_out(self, session: &Session) -> Result<Response<String>, BoxError> {
        if let Ok(handle) = self.client.handle().for_key(session) {
            handle.log_out().await?;
        }
        lock(&self.visitors).remove(session);
        Ok(redirect("/"))
    }
}

/// Logs in as a person does; gives the browser's cookie.
async fn visit(app: &str, user: &str) -> Result<String, BoxError> {
    let begun = get(&format!("{app}/log-in"), "").await?;
    let header = |name| begun.headers().get(name).ok_or("missing");
    let cookie = header(header::SET_COOKIE)?.to_str()?;
    let cookie = cookie.split(';').next().unwrap_or_default().to_owned();
    let callback = person(header(header::LOCATION)?.to_str()?, user).await?;

    let stolen = get(&callback, "session=of-somebody-else").await?;
    assert_eq!(
        stolen.status(),
        400,
        "another browser's session does not know the attempt"
    );
    let finished = get(&callback, &cookie).await?;
    assert_eq!(finished.status(), 303, "{}", text(finished).await?);
    let again = get(&callback, &cookie).await?;
    assert_eq!(again.status(), 400, "an attempt is good for one answer");
    Ok(cookie)
}

fn html(body: &str) -> Response<String> {
    let mut response = serve::answer(200, body);
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
