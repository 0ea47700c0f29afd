//! What reqwest does with redirects beneath the layer, and what the policy for API clients does.
//! The module docs of `client` describe both.

use reqwest::redirect::Policy;
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use tower_auth::{
    AuthLayer, Origins, Provider,
    credential::{ApiKey, Bearer},
    reqwest::same_origin_redirects,
};

use crate::server::{Server, ok, redirect, within};

/// An API that redirects `/elsewhere` to another server, which redirects `/first` to its `/second`.
async fn api_and_stranger() -> (Server, Server) {
    let stranger = Server::start(|seen| match seen.uri.path() {
        "/first" => redirect(302, "/second"),
        _ => ok(""),
    })
    .await;
    let to = stranger.url("/first");
    let api = Server::start(move |seen| match seen.uri.path() {
        "/elsewhere" => redirect(302, &to),
        "/moved" => redirect(308, "/here"),
        "/round" => redirect(302, "/round"),
        _ => ok(seen.body.clone()),
    })
    .await;
    (api, stranger)
}

fn client(api: &Server, credential: impl Provider, redirects: Policy) -> ClientWithMiddleware {
    let client = reqwest::Client::builder().redirect(redirects).build();
    let layer = AuthLayer::new(credential, Origins::only(api.origin()).unwrap());
    ClientBuilder::new(client.unwrap())
        .with(layer.middleware())
        .build()
}

/// Rule 9: the footgun. If one of these fails, reqwest has become safer, and the docs can say so.
#[tokio::test]
async fn with_reqwests_own_policy_credentials_leak_to_other_hosts() {
    let (api, stranger) = api_and_stranger().await;
    let key = ApiKey::header("x-api-key", "key").unwrap();
    let token = Bearer::new("token").unwrap();
    let query = ApiKey::query("api_key", "key").unwrap();
    let url = api.url("/elsewhere");
    for client in [
        client(&api, key, Policy::default()),
        client(&api, token, Policy::default()),
        client(&api, query, Policy::default()),
    ] {
        assert_eq!(within(client.get(&url).send()).await.unwrap().status(), 200);
    }
    let seen = stranger.seen();
    let header = |name| seen.iter().map(move |seen| seen.header(name));
    let keys: Vec<_> = header("x-api-key").collect();
    assert_eq!(keys[..2], [Some("key"); 2]);
    // Taken off at the hop to another host, and back at the hop within that host.
    let tokens: Vec<_> = header("authorization").collect();
    assert_eq!(tokens[2..4], [None, Some("Bearer token")]);
    let referers: Vec<_> = header("referer").collect();
    let with_key = format!("{url}?api_key=key");
    assert_eq!(referers[4], Some(&*with_key));
}

/// Rule 9.
#[tokio::test]
async fn with_redirects_within_the_origin_nothing_reaches_other_hosts() {
    let (api, stranger) = api_and_stranger().await;
    let key = ApiKey::header("x-api-key", "key").unwrap();
    let token = Bearer::new("token").unwrap();
    let query = ApiKey::query("api_key", "key").unwrap();
    for client in [
        client(&api, key, same_origin_redirects()),
        client(&api, token, same_origin_redirects()),
        client(&api, query, same_origin_redirects()),
    ] {
        let response = within(client.get(api.url("/elsewhere")).send())
            .await
            .unwrap();
        assert_eq!(response.status(), 302);
        assert_eq!(response.headers()["location"], stranger.url("/first"));
    }
    assert!(stranger.seen().is_empty());
}

#[tokio::test]
async fn redirects_within_the_origin_are_followed_with_the_credential_and_the_body() {
    let (api, _) = api_and_stranger().await;
    let client = client(&api, Bearer::new("token").unwrap(), same_origin_redirects());
    let moved = client.post(api.url("/moved")).body("hello").send();
    let response = within(moved).await.unwrap();
    assert_eq!(response.url().path(), "/here");
    assert_eq!(response.text().await.unwrap(), "hello");
    assert_eq!(api.tokens_seen(), ["token", "token"]);
}

#[tokio::test]
async fn redirects_within_the_origin_end_after_10_hops() {
    let (api, _) = api_and_stranger().await;
    let client = client(&api, Bearer::new("token").unwrap(), same_origin_redirects());
    let error = within(client.get(api.url("/round")).send())
        .await
        .unwrap_err();
    assert!(error.is_redirect(), "{error:?}");
    assert_eq!(api.seen().len(), 1 + 10);
}

/// Another port is another origin, and so is another name of the same host.
#[tokio::test]
async fn the_origin_is_scheme_host_and_port() {
    let api = Server::start(|seen| {
        let host = seen.header("host").unwrap();
        redirect(
            302,
            &format!("http://{}/", host.replace("127.0.0.1", "localhost")),
        )
    })
    .await;
    let client = client(&api, Bearer::new("token").unwrap(), same_origin_redirects());
    let response = within(client.get(api.url("/")).send()).await.unwrap();
    assert_eq!(response.status(), 302);
    assert_eq!(api.seen().len(), 1);
}
