//! Redirects that reqwest follows beneath the layer, with its default policy and with
//! `same_origin_redirects`. The docs of the `tower_auth::reqwest` module describe both.

use reqwest::redirect::Policy;
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use tower_auth::{
    AuthLayer, Origins, Provider,
    credential::{ApiKey, Bearer},
    reqwest::same_origin_redirects,
};

use crate::server::{Server, ok, redirect, within};

/// Starts an API that redirects `/elsewhere` to another server, and that server, which redirects
/// `/first` to its `/second`.
async fn api_and_other_host() -> (Server, Server) {
    let other_host = Server::start(|seen| match seen.uri.path() {
        "/first" => redirect(302, "/second"),
        _ => ok(""),
    })
    .await;
    let to = other_host.url("/first");
    let api = Server::start(move |seen| match seen.uri.path() {
        "/elsewhere" => redirect(302, &to),
        "/moved" => redirect(308, "/here"),
        "/loop" => redirect(302, "/loop"),
        _ => ok(seen.body.clone()),
    })
    .await;
    (api, other_host)
}

fn client(api: &Server, credential: impl Provider, redirects: Policy) -> ClientWithMiddleware {
    let client = reqwest::Client::builder().redirect(redirects).build();
    let layer = AuthLayer::new(credential, Origins::only(api.origin()).unwrap());
    ClientBuilder::new(client.unwrap())
        .with(layer.middleware())
        .build()
}

/// Rule 9: the documented pitfall. If an assertion fails, reqwest has become safer, and the docs
/// should be updated.
#[tokio::test]
async fn reqwests_default_policy_leaks_credentials_to_other_hosts() {
    let (api, other_host) = api_and_other_host().await;
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
    let seen = other_host.seen();
    let header = |name| seen.iter().map(move |seen| seen.header(name));
    let keys: Vec<_> = header("x-api-key").collect();
    assert_eq!(keys[..2], [Some("key"); 2]);
    // reqwest removes the header on the hop to another host, and restores it on the hop within that
    // host.
    let tokens: Vec<_> = header("authorization").collect();
    assert_eq!(tokens[2..4], [None, Some("Bearer token")]);
    let referers: Vec<_> = header("referer").collect();
    let with_key = format!("{url}?api_key=key");
    assert_eq!(referers[4], Some(&*with_key));
}

/// Rule 9.
#[tokio::test]
async fn same_origin_redirects_never_reach_other_hosts() {
    let (api, other_host) = api_and_other_host().await;
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
        assert_eq!(response.headers()["location"], other_host.url("/first"));
    }
    assert!(other_host.seen().is_empty());
}

#[tokio::test]
async fn same_origin_redirects_keep_the_credential_and_body() {
    let (api, _) = api_and_other_host().await;
    let client = client(&api, Bearer::new("token").unwrap(), same_origin_redirects());
    let moved = client.post(api.url("/moved")).body("hello").send();
    let response = within(moved).await.unwrap();
    assert_eq!(response.url().path(), "/here");
    assert_eq!(response.text().await.unwrap(), "hello");
    assert_eq!(api.tokens_seen(), ["token", "token"]);
}

#[tokio::test]
async fn same_origin_redirects_stop_after_10_hops() {
    let (api, _) = api_and_other_host().await;
    let client = client(&api, Bearer::new("token").unwrap(), same_origin_redirects());
    let error = within(client.get(api.url("/loop")).send())
        .await
        .unwrap_err();
    assert!(error.is_redirect(), "{error:?}");
    assert_eq!(api.seen().len(), 1 + 10);
}

/// Another port is another origin, and so is another name for the same host.
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
