//! An authorization server in memory.

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use percent_encoding::percent_decode_str;
use tower::util::BoxCloneSyncService;
use tower_auth::oauth2::AuthorizationCode;

pub(crate) const AUTHORIZE: &str = "https://login.example.com/authorize?tenant=7";
pub(crate) const TOKEN: &str = "https://login.example.com/token";
pub(crate) const REDIRECT: &str = "https://app.example.com/callback";
pub(crate) const TOKENS: &str =
    r#"{"access_token":"at","token_type":"bearer","expires_in":3600,"refresh_token":"rt"}"#;

pub(crate) type Client =
    BoxCloneSyncService<Request<Full<Bytes>>, Response<Full<Bytes>>, Infallible>;

/// What was asked of the server: path, and the body's or the query's parameters in order.
pub(crate) type Asked = Arc<Mutex<Vec<(String, Vec<(String, String)>)>>>;

/// A server that gives the same answer to everything.
pub(crate) fn server(status: u16, answer: &'static str) -> (Client, Asked) {
    let asked = Asked::default();
    let seen = Arc::clone(&asked);
    let service = tower::service_fn(move |request: Request<Full<Bytes>>| {
        let seen = Arc::clone(&seen);
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            let form = pairs(std::str::from_utf8(&body).unwrap());
            let url = head.uri.to_string();
            seen.lock().unwrap().push((url, form));
            let mut response = Response::new(Full::from(answer));
            *response.status_mut() = status.try_into().unwrap();
            Ok(response)
        }
    });
    (BoxCloneSyncService::new(service), asked)
}

/// A public client of a server that answers so.
pub(crate) fn client(status: u16, answer: &'static str) -> (AuthorizationCode, Asked) {
    let (http, asked) = server(status, answer);
    let login = AuthorizationCode::builder(AUTHORIZE, TOKEN)
        .client_id("my app")
        .scopes(["read", "write"])
        .resource("https://api.example.com/")
        .authorization_param("prompt", "consent")
        .http(http)
        .build()
        .unwrap();
    (login, asked)
}

pub(crate) fn pairs(text: &str) -> Vec<(String, String)> {
    let decode = |text: &str| percent_decode_str(text).decode_utf8().unwrap().into_owned();
    text.split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}

/// The parameters of a URL, each of which is there once.
pub(crate) fn query(url: &str) -> HashMap<String, String> {
    let pairs = pairs(url.split_once('?').unwrap().1);
    let count = pairs.len();
    let query: HashMap<_, _> = pairs.into_iter().collect();
    assert_eq!(query.len(), count, "{url}");
    query
}
