//! An authorization server with a page to log in on, and an API, on loopback; and a person who uses
//! a browser, for examples that run by themselves.

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

/// Clones are the same server.
#[derive(Clone, Default)]
pub(crate) struct AuthorizationServer(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    issued: u32,
    /// What a code was given for: the user, and the parameters of the request.
    codes: HashMap<String, (String, Params)>,
    /// Who has confirmed a device code, if anybody has.
    device_codes: HashMap<String, Option<String>>,
    /// Whose they are. A refresh token is good for one use.
    refresh_tokens: HashMap<String, String>,
    access_tokens: HashMap<String, String>,
}

impl AuthorizationServer {
    /// Starts it; gives its address.
    pub(crate) async fn start(&self) -> std::io::Result<String> {
        let server = self.clone();
        let address = serve::serve(move |request| {
            let server = server.clone();
            async move { server.answer(&request) }
        });
        Ok(format!("http://{}", address.await?))
    }

    /// Ends all access tokens, as an administrator would.
    #[allow(dead_code, reason = "not every example needs it")]
    pub(crate) fn revoke_access_tokens(&self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.access_tokens.clear();
    }

    fn answer(&self, request: &Request<String>) -> Response<String> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let params = params(request.uri().query().unwrap_or_default());
        match request.uri().path() {
            "/oauth/authorize" => log_in_page(request.uri().query().unwrap_or_default()),
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
                    Some(user) => serve::answer(200, user.as_str()),
                    None => serve::answer(401, ""),
                }
            }
            _ => serve::answer(404, ""),
        }
    }
}

impl State {
    /// The person has pressed a button.
    fn decide(&mut self, params: &Params) -> Response<String> {
        let redirect_uri = text(params, "redirect_uri");
        let user = text(params, "user");
        let (separator, mut answer) = match text(params, "response_type") {
            "token" => ('#', String::new()),
            _ => ('?', String::new()),
        };
        if user.is_empty() {
            answer += "error=access_denied";
        } else if separator == '#' {
            let token = self.access_token(user);
            answer += &format!("access_token={token}&token_type=Bearer&expires_in=7200");
        } else {
            self.issued += 1;
            let code = format!("code-{}", self.issued);
            self.codes
                .insert(code.clone(), (user.to_owned(), params.clone()));
            answer += &format!("code={code}");
        }
        let state = utf8_percent_encode(text(params, "state"), NON_ALPHANUMERIC);
        redirect(&format!("{redirect_uri}{separator}{answer}&state={state}"))
    }

    /// RFC 8628 3.2. The code that a person enters is the last part of the other one.
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
        serve::answer(200, body)
    }

    /// The person has entered a code, and who they are.
    fn confirm(&mut self, params: &Params) -> Response<String> {
        let device_code = format!("device-{}", text(params, "user_code"));
        match self.device_codes.get_mut(&device_code) {
            Some(user) => {
                *user = Some(text(params, "user").to_owned());
                serve::answer(200, "Go back to your device.")
            }
            None => serve::answer(404, "There is no such code."),
        }
    }

    fn token(&mut self, form: &Params) -> Response<String> {
        let device_code = text(form, "device_code");
        if self.device_codes.get(device_code) == Some(&None) {
            return serve::answer(400, r#"{"error":"authorization_pending"}"#);
        }
        let user = match text(form, "grant_type") {
            "urn:ietf:params:oauth:grant-type:device_code" => {
                self.device_codes.remove(device_code).flatten()
            }
            "authorization_code" => self
                .codes
                .remove(text(form, "code"))
                .filter(|(_, asked)| is_the_one_that_asked(asked, form))
                .map(|(user, _)| user),
            "refresh_token" => self.refresh_tokens.remove(text(form, "refresh_token")),
            _ => None,
        };
        println!("  (token request: {})", text(form, "grant_type"));
        let Some(user) = user else {
            return serve::answer(400, r#"{"error":"invalid_grant"}"#);
        };
        let token = self.access_token(&user);
        let refresh_token = format!("refresh-{}", self.issued);
        self.refresh_tokens.insert(refresh_token.clone(), user);
        let body = format!(
            r#"{{"access_token":"{token}","token_type":"Bearer","expires_in":3600,"refresh_token":"{refresh_token}"}}"#
        );
        serve::answer(200, body)
    }

    fn access_token(&mut self, user: &str) -> String {
        self.issued += 1;
        let token = format!("access-{}", self.issued);
        self.access_tokens.insert(token.clone(), user.to_owned());
        token
    }
}

/// PKCE, and the same redirect URI (RFC 7636 4.6, RFC 6749 4.1.3).
fn is_the_one_that_asked(asked: &Params, form: &Params) -> bool {
    let challenge = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(text(form, "code_verifier")));
    text(asked, "code_challenge") == challenge
        && text(asked, "redirect_uri") == text(form, "redirect_uri")
}

fn log_in_page(query: &str) -> Response<String> {
    let query = query.replace('"', "%22");
    let mut response = serve::answer(
        200,
        format!(
            "<!doctype html><title>Log in</title><h1>Who are you?</h1>\
             <p><a href=\"/oauth/decide?user=alice&{query}\">Alice, and the program may read my \
             things</a>\
             <p><a href=\"/oauth/decide?user=bob&{query}\">Bob, and the program may read my \
             things</a>\
             <p><a href=\"/oauth/decide?{query}\">It may not</a>"
        ),
    );
    let html = header::HeaderValue::from_static("text/html");
    response.headers_mut().insert(header::CONTENT_TYPE, html);
    response
}

/// Sends the browser elsewhere.
pub(crate) fn redirect(url: &str) -> Response<String> {
    let mut response = serve::answer(303, "");
    if let Ok(url) = url.parse() {
        response.headers_mut().insert(header::LOCATION, url);
    }
    response
}

fn text<'a>(params: &'a Params, name: &str) -> &'a str {
    params.get(name).map_or("", String::as_str)
}

/// A query or a form.
pub(crate) fn params(text: &str) -> Params {
    let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    text.split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}

/// A person with a browser is sent to the server's page, presses a button, and is sent back: gives
/// the address that the browser ends at.
#[allow(dead_code, reason = "not every example needs it")]
pub(crate) async fn person(url: &str, user: &str) -> Result<String, BoxError> {
    let decision = url.replace("/oauth/authorize?", &format!("/oauth/decide?user={user}&"));
    for page in [url, &decision] {
        let response = get(page, "").await?;
        if let Some(elsewhere) = response.headers().get(header::LOCATION) {
            return Ok(elsewhere.to_str()?.to_owned());
        }
    }
    Err("the server's page led nowhere".into())
}

/// What the browser gets.
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
