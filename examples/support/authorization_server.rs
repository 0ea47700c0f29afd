//! A loopback authorization server with a login page, an API, and a simulated user with a browser,
//! for self-contained examples.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::Empty;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sha2::{Digest, Sha256};
use tower_auth::BoxError;

#[path = "serve.rs"]
pub(crate) mod serve;

type Params = HashMap<String, String>;

/// The authorization server and its API. Clones share their state.
#[derive(Clone, Default)]
pub(crate) struct AuthorizationServer(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    issued: u32,
    /// The user and the authorization request of each code.
    codes: HashMap<String, (String, Params)>,
    /// The user who confirmed each device code, if any.
    device_codes: HashMap<String, Option<String>>,
    /// The user of each token. A refresh token can be used only once.
    refresh_tokens: HashMap<String, String>,
    access_tokens: HashMap<String, String>,
}

impl AuthorizationServer {
    /// Starts the server, and returns its URL.
    pub(crate) async fn start(&self) -> std::io::Result<String> {
        let server = self.clone();
        let address = serve::serve(move |request| {
            let server = server.clone();
            async move { server.handle(&request) }
        });
        Ok(format!("http://{}", address.await?))
    }

    /// Revokes all access tokens.
    #[allow(dead_code, reason = "not every example needs it")]
    pub(crate) fn revoke_access_tokens(&self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.access_tokens.clear();
    }

    fn handle(&self, request: &Request<String>) -> Response<String> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let params = params(request.uri().query().unwrap_or_default());
        match request.uri().path() {
            "/oauth/authorize" => login_page(request.uri().query().unwrap_or_default()),
            "/oauth/decide" => state.decide(&params),
            "/oauth/device" => state.device_code(request.headers()),
            "/device" => state.confirm(&params),
            "/oauth/token" => state.token(&self::params(request.body())),
            "/api/me" => {
                let header = ["authorization", "authentication"]
                    .iter()
                    .find_map(|name| request.headers().get(*name)?.to_str().ok());
                let token = header.and_then(|value| value.strip_prefix("Bearer "));
                match token.and_then(|token| state.access_tokens.get(token)) {
                    Some(user) => serve::response(200, user.as_str()),
                    None => serve::response(401, ""),
                }
            }
            _ => serve::response(404, ""),
        }
    }
}

impl State {
    /// Handles the user's choice of a link on the login page.
    fn decide(&mut self, params: &Params) -> Response<String> {
        let redirect_uri = text(params, "redirect_uri");
        let user = text(params, "user");
        let (separator, mut response) = match text(params, "response_type") {
            "token" => ('#', String::new()),
            _ => ('?', String::new()),
        };
        if user.is_empty() {
            response += "error=access_denied";
        } else if separator == '#' {
            let token = self.access_token(user);
            response += &format!("access_token={token}&token_type=Bearer&expires_in=7200");
        } else {
            self.issued += 1;
            let code = format!("code-{}", self.issued);
            self.codes
                .insert(code.clone(), (user.to_owned(), params.clone()));
            response += &format!("code={code}");
        }
        let state = utf8_percent_encode(text(params, "state"), NON_ALPHANUMERIC);
        redirect(&format!(
            "{redirect_uri}{separator}{response}&state={state}"
        ))
    }

    /// Issues a device code (RFC 8628 3.2). It ends with the user code.
    fn device_code(&mut self, headers: &header::HeaderMap) -> Response<String> {
        self.issued += 1;
        let user_code = format!("BDFH-{}", self.issued);
        self.device_codes
            .insert(format!("device-{user_code}"), None);
        let host = headers.get(header::HOST);
        let host = host.and_then(|host| host.to_str().ok());
        let page = format!("http://{}/device", host.unwrap_or_default());
        let body = format!(
            r#"{{"device_code":"device-{user_code}","user_code":"{user_code}","verification_uri":"{page}","verification_uri_complete":"{page}?user_code={user_code}","expires_in":300,"interval":1}}"#
        );
        serve::response(200, body)
    }

    /// Handles the code and the name that the user entered.
    fn confirm(&mut self, params: &Params) -> Response<String> {
        let device_code = format!("device-{}", text(params, "user_code"));
        match self.device_codes.get_mut(&device_code) {
            Some(user) => {
                *user = Some(text(params, "user").to_owned());
                serve::response(200, "Return to your device.")
            }
            None => serve::response(404, "This code does not exist."),
        }
    }

    fn token(&mut self, form: &Params) -> Response<String> {
        let device_code = text(form, "device_code");
        if self.device_codes.get(device_code) == Some(&None) {
            return serve::response(400, r#"{"error":"authorization_pending"}"#);
        }
        let user = match text(form, "grant_type") {
            "urn:ietf:params:oauth:grant-type:device_code" => {
                self.device_codes.remove(device_code).flatten()
            }
            "authorization_code" => self
                .codes
                .remove(text(form, "code"))
                .filter(|(_, request)| belongs_to(request, form))
                .map(|(user, _)| user),
            "refresh_token" => self.refresh_tokens.remove(text(form, "refresh_token")),
            _ => None,
        };
        println!("  (token request: {})", text(form, "grant_type"));
        let Some(user) = user else {
            return serve::response(400, r#"{"error":"invalid_grant"}"#);
        };
        let token = self.access_token(&user);
        let refresh_token = format!("refresh-{}", self.issued);
        self.refresh_tokens.insert(refresh_token.clone(), user);
        let body = format!(
            r#"{{"access_token":"{token}","token_type":"Bearer","expires_in":3600,"refresh_token":"{refresh_token}"}}"#
        );
        serve::response(200, body)
    }

    fn access_token(&mut self, user: &str) -> String {
        self.issued += 1;
        let token = format!("access-{}", self.issued);
        self.access_tokens.insert(token.clone(), user.to_owned());
        token
    }
}

/// Checks the PKCE verifier and the redirect URI (RFC 7636 4.6, RFC 6749 4.1.3).
fn belongs_to(request: &Params, form: &Params) -> bool {
    let challenge = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(text(form, "code_verifier")));
    text(request, "code_challenge") == challenge
        && text(request, "redirect_uri") == text(form, "redirect_uri")
}

fn login_page(query: &str) -> Response<String> {
    let query = query.replace('"', "%22");
    let mut response = serve::response(
        200,
        format!(
            "<!doctype html><title>Log in</title><h1>Log in</h1>\
             <p><a href=\"/oauth/decide?user=alice&{query}\">Log in as Alice, and let the program \
             read my data</a>\
             <p><a href=\"/oauth/decide?user=bob&{query}\">Log in as Bob, and let the program read \
             my data</a>\
             <p><a href=\"/oauth/decide?{query}\">Deny access</a>"
        ),
    );
    let html = header::HeaderValue::from_static("text/html");
    response.headers_mut().insert(header::CONTENT_TYPE, html);
    response
}

/// Redirects the browser.
pub(crate) fn redirect(url: &str) -> Response<String> {
    let mut response = serve::response(303, "");
    if let Ok(url) = url.parse() {
        response.headers_mut().insert(header::LOCATION, url);
    }
    response
}

fn text<'a>(params: &'a Params, name: &str) -> &'a str {
    params.get(name).map_or("", String::as_str)
}

/// Parses a query or a form.
pub(crate) fn params(text: &str) -> Params {
    let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    text.split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}

/// Logs in as a user does in a browser: opens the login page and chooses the link for `user`. An
/// empty name denies access. Returns the URL that the browser is redirected to.
#[allow(dead_code, reason = "not every example needs it")]
pub(crate) async fn browse(url: &str, user: &str) -> Result<String, BoxError> {
    let decision = url.replace("/oauth/authorize?", &format!("/oauth/decide?user={user}&"));
    for page in [url, &decision] {
        let response = get(page, "").await?;
        if let Some(location) = response.headers().get(header::LOCATION) {
            return Ok(location.to_str()?.to_owned());
        }
    }
    Err("the server did not redirect the browser".into())
}

/// Sends a GET request as the browser does.
pub(crate) async fn get(
    url: &str,
    cookie: &str,
) -> Result<Response<hyper::body::Incoming>, BoxError> {
    let request = Request::get(url)
        .header(header::COOKIE, cookie)
        .body(Empty::<Bytes>::new())?;
    let browser = Client::builder(TokioExecutor::new()).build_http();
    Ok(browser.request(request).await?)
}
