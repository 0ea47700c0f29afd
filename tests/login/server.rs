//! An in-memory authorization server.

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

/// The requests that the server received: the URL of each, and its form parameters in order.
pub(crate) type Requests = Arc<Mutex<Vec<(String, Vec<(String, String)>)>>>;

/// Creates a server that returns the same response to every request.
pub(crate) fn server(status: u16, body: &'static str) -> (Client, Requests) {
    let requests = Requests::default();
    let seen = Arc::clone(&requests);
    let service = tower::service_fn(move |request: Request<Full<Bytes>>| {
        let seen = Arc::clone(&seen);
        async move {
            let (head, form) = request.into_parts();
            let form = form.collect().await.unwrap().to_bytes();
            let form = pairs(std::str::from_utf8(&form).unwrap());
            let url = head.uri.to_string();
            seen.lock().unwrap().push((url, form));
            let mut response = Response::new(Full::from(body));
            *response.status_mut() = status.try_into().unwrap();
            Ok(response)
        }
    });
    (BoxCloneSyncService::new(service), requests)
}

/// Creates a public client of such a server.
pub(crate) fn client(status: u16, body: &'static str) -> (AuthorizationCode, Requests) {
    let (http, requests) = server(status, body);
    let login = AuthorizationCode::builder(AUTHORIZE, TOKEN)
        .client_id("my app")
        .scopes(["read", "write"])
        .resource("https://api.example.com/")
        .authorization_param("prompt", "consent")
        .http(http)
        .build()
        .unwrap();
    (login, requests)
}

pub(crate) fn pairs(text: &str) -> Vec<(String, String)> {
    let decode = |text: &str| percent_decode_str(text).decode_utf8().unwrap().into_owned();
    text.split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}

/// Returns the parameters of a URL. Each must appear once.
pub(crate) fn query(url: &str) -> HashMap<String, String> {
    let pairs = pairs(url.split_once('?').unwrap().1);
    let count = pairs.len();
    let query: HashMap<_, _> = pairs.into_iter().collect();
    assert_eq!(query.len(), count, "{url}");
    query
}
