//! Discovery of server metadata (RFC 8414).

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tower::{ServiceExt, util::BoxCloneSyncService};
use tower_auth::{
    AuthLayer, Origins,
    oauth2::{AuthorizationCode, ClientCredentials, ServerMetadata},
};

use crate::server::{Client, REDIRECT, query};

/// A server with documents at these URLs, and the requests that it received.
fn site(pages: &[(&str, u16, &str)]) -> (Client, Arc<Mutex<Vec<String>>>) {
    let pages: Vec<_> = pages
        .iter()
        .map(|(url, status, page)| ((*url).to_owned(), *status, (*page).to_owned()))
        .collect();
    let requests = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&requests);
    let service = tower::service_fn(move |request: Request<Full<Bytes>>| {
        let url = request.uri().to_string();
        let page = pages.iter().find(|(known, ..)| *known == url).cloned();
        seen.lock()
            .unwrap()
            .push(format!("{} {url}", request.method()));
        let (_, status, page) = page.unwrap_or((url, 404, String::new()));
        let mut response = Response::new(Full::from(page));
        *response.status_mut() = status.try_into().unwrap();
        async { Ok(response) }
    });
    (BoxCloneSyncService::new(service), requests)
}

const ISSUER: &str = "https://login.example.com/tenant/7";
const OAUTH: &str = "https://login.example.com/.well-known/oauth-authorization-server/tenant/7";
const OPENID: &str = "https://login.example.com/tenant/7/.well-known/openid-configuration";
const METADATA: &str = r#"{
    "issuer": "https://login.example.com/tenant/7",
    "token_endpoint": "https://login.example.com/tenant/7/token",
    "authorization_endpoint": "https://login.example.com/tenant/7/authorize",
    "revocation_endpoint": "https://login.example.com/tenant/7/revoke",
    "token_endpoint_auth_methods_supported": ["private_key_jwt", "client_secret_post"],
    "authorization_response_iss_parameter_supported": true
}"#;

/// R23.
#[tokio::test]
async fn the_well_known_path_is_inserted_before_the_issuer_path() {
    let (http, requests) = site(&[(OAUTH, 200, METADATA)]);
    let metadata = ServerMetadata::fetch(ISSUER, http).await.unwrap();
    assert_eq!(metadata.issuer(), ISSUER);
    assert_eq!(
        metadata.revocation_endpoint(),
        Some("https://login.example.com/tenant/7/revoke")
    );
    assert_eq!(*requests.lock().unwrap(), [format!("GET {OAUTH}")]);
}

/// The OpenID URL is tried second, even if a site serves a page at every path.
#[tokio::test]
async fn openid_metadata_is_tried_second() {
    for nothing in [
        (OAUTH, 404, ""),
        (OAUTH, 200, "<!doctype html>"),
        (OAUTH, 302, ""),
    ] {
        let (http, requests) = site(&[nothing, (OPENID, 200, METADATA)]);
        assert!(ServerMetadata::fetch(ISSUER, http).await.is_ok());
        assert_eq!(requests.lock().unwrap().len(), 2);
    }
}

/// R23, R39.
#[tokio::test]
async fn metadata_of_another_issuer_is_refused() {
    let (http, _) = site(&[(OAUTH, 200, r#"{"issuer":"https://evil.example"}"#)]);
    let error = ServerMetadata::fetch(ISSUER, http).await.unwrap_err();
    assert_eq!(
        format!("{error:#}"),
        "the metadata of https://login.example.com/tenant/7 names the issuer \
         `https://evil.example`: it is not used (write the issuer exactly as the server does, \
         including slashes)"
    );
    let slash = r#"{"issuer":"https://login.example.com/tenant/7/"}"#;
    let (http, _) = site(&[(OAUTH, 200, slash)]);
    assert!(ServerMetadata::fetch(ISSUER, http).await.is_err());
    let plain = r#"{"issuer":"https://login.example.com/tenant/7",
        "token_endpoint":"http://login.example.com/token"}"#;
    let (http, _) = site(&[(OAUTH, 200, plain)]);
    let error = ServerMetadata::fetch(ISSUER, http).await.unwrap_err();
    assert!(
        format!("{error:#}")
            .starts_with("the server's metadata is not usable: token_endpoint: is plain http"),
        "{error:#}"
    );
}

#[tokio::test]
async fn transient_and_permanent_failures_are_distinguished() {
    let (http, _) = site(&[(OAUTH, 503, "")]);
    let error = ServerMetadata::fetch(ISSUER, http).await.unwrap_err();
    assert!(error.is_transient(), "{error:#}");
    let (http, _) = site(&[]);
    let error = ServerMetadata::fetch(ISSUER, http).await.unwrap_err();
    assert!(!error.is_transient());
    assert_eq!(
        format!("{error:#}"),
        format!(
            "the server publishes no metadata: {OAUTH} returned 404 Not Found, {OPENID} returned \
             404 Not Found: check the issuer, or pass the endpoints to builder(..)"
        )
    );
    for issuer in [
        "http://login.example.com",
        "https://a.example/?x",
        "login",
        "https://a/#x",
    ] {
        let (http, requests) = site(&[]);
        let error = ServerMetadata::fetch(issuer, http).await.unwrap_err();
        assert!(
            format!("{error:#}").starts_with("the server's metadata cannot be fetched: issuer: "),
            "{error:#}"
        );
        assert!(requests.lock().unwrap().is_empty());
    }
}

/// Only the issuer is needed. The client authentication method comes from the metadata.
#[tokio::test]
async fn a_provider_is_built_from_the_metadata() {
    let token = r#"{"access_token":"a","token_type":"bearer"}"#;
    let token_url = "https://login.example.com/tenant/7/token";
    let (http, requests) = site(&[(OAUTH, 200, METADATA), (token_url, 200, token)]);
    let builder = ClientCredentials::discover(ISSUER, http).await.unwrap();
    let provider = builder.client_id("id").client_secret("s").build().unwrap();
    let layer = AuthLayer::new(provider, Origins::only("https://api.example.com").unwrap());
    layer.handle().credential().await.unwrap();
    assert_eq!(requests.lock().unwrap()[1], format!("POST {token_url}"));
}

/// R24: a server that announces `iss` must send it.
#[tokio::test]
async fn a_login_requires_an_announced_issuer() {
    for (announced, is_required) in [("true", true), ("false", false)] {
        let page = METADATA.replace("supported\": true", &format!("supported\": {announced}"));
        let (http, _) = site(&[(OAUTH, 200, &page)]);
        let builder = AuthorizationCode::discover(ISSUER, http).await.unwrap();
        let login = builder.client_id("id").build().unwrap();
        let pending = login.start(REDIRECT).unwrap();
        let url = login.authorization_url(&pending);
        assert!(url.starts_with("https://login.example.com/tenant/7/authorize?"));
        let callback = format!("?code=c&state={}", query(&url)["state"]);
        let error = login.finish(pending, &callback).await.unwrap_err();
        assert_eq!(error.is_forged(), is_required, "{error:#}");
    }
}

#[tokio::test]
async fn an_unreachable_server_is_a_transient_failure() {
    let http = tower::service_fn(|_: Request<Full<Bytes>>| async {
        Err::<Response<Full<Bytes>>, _>(std::io::Error::other("no route"))
    });
    let error = ServerMetadata::fetch(ISSUER, http.boxed_clone())
        .await
        .unwrap_err();
    assert!(
        error.is_transient() && format!("{error:#}").ends_with("no route"),
        "{error:#}"
    );
}

/// R27, RFC 8705 5: a client with a certificate uses separate endpoints and sends only its ID.
#[tokio::test]
async fn mutual_tls_uses_the_alias_endpoints() {
    let with_aliases = |url: &str| {
        METADATA.replacen(
            '{',
            &format!(r#"{{"mtls_endpoint_aliases":{{"token_endpoint":"{url}"}},"#),
            1,
        )
    };
    let metadata = with_aliases("https://mtls.example.com/token");
    let (http, requests) = site(&[(OAUTH, 200, &metadata)]);
    let provider = ClientCredentials::discover(ISSUER, http).await.unwrap();
    let provider = provider.client_id("me").tls_client_auth().build().unwrap();
    let layer = AuthLayer::new(provider, Origins::only("https://api.example.com").unwrap());
    let error = layer.handle().credential().await.unwrap_err();
    assert!(error.provider_error().is_some());
    assert_eq!(
        requests.lock().unwrap()[1],
        "POST https://mtls.example.com/token"
    );

    let metadata = with_aliases("http://mtls.example.com/token");
    let (http, _) = site(&[(OAUTH, 200, &metadata)]);
    let error = ServerMetadata::fetch(ISSUER, http).await.unwrap_err();
    assert!(
        format!("{error:#}").contains("mtls_endpoint_aliases"),
        "{error:#}"
    );
}
