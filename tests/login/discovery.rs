//! Servers that describe themselves (RFC 8414).

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

/// A server with documents at these addresses, and what it was asked.
fn site(pages: &[(&str, u16, &str)]) -> (Client, Arc<Mutex<Vec<String>>>) {
    let pages: Vec<_> = pages
        .iter()
        .map(|(url, status, page)| ((*url).to_owned(), *status, (*page).to_owned()))
        .collect();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&asked);
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
    (BoxCloneSyncService::new(service), asked)
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
async fn the_well_known_path_goes_between_host_and_path() {
    let (http, asked) = site(&[(OAUTH, 200, METADATA)]);
    let metadata = ServerMetadata::fetch(ISSUER, http).await.unwrap();
    assert_eq!(metadata.issuer(), ISSUER);
    assert_eq!(
        metadata.revocation_endpoint(),
        Some("https://login.example.com/tenant/7/revoke")
    );
    assert_eq!(*asked.lock().unwrap(), [format!("GET {OAUTH}")]);
}

/// OpenID's place is asked second, also where a site answers everything with a page.
#[tokio::test]
async fn openid_metadata_is_found_too() {
    for nothing in [
        (OAUTH, 404, ""),
        (OAUTH, 200, "<!doctype html>"),
        (OAUTH, 302, ""),
    ] {
        let (http, asked) = site(&[nothing, (OPENID, 200, METADATA)]);
        assert!(ServerMetadata::fetch(ISSUER, http).await.is_ok());
        assert_eq!(asked.lock().unwrap().len(), 2);
    }
}

/// R23, R39.
#[tokio::test]
async fn metadata_of_another_issuer_is_refused() {
    let (http, _) = site(&[(OAUTH, 200, r#"{"issuer":"https://evil.example"}"#)]);
    let error = ServerMetadata::fetch(ISSUER, http).await.unwrap_err();
    assert_eq!(
        format!("{error:#}"),
        "the metadata of https://login.example.com/tenant/7 is that of the issuer \
         `https://evil.example`: it is not used (give the issuer as the server spells it, slashes \
         and all)"
    );
    let slash = r#"{"issuer":"https://login.example.com/tenant/7/"}"#;
    let (http, _) = site(&[(OAUTH, 200, slash)]);
    assert!(ServerMetadata::fetch(ISSUER, http).await.is_err());
    let plain = r#"{"issuer":"https://login.example.com/tenant/7",
        "token_endpoint":"http://login.example.com/token"}"#;
    let (http, _) = site(&[(OAUTH, 200, plain)]);
    let error = ServerMetadata::fetch(ISSUER, http).await.unwrap_err();
    assert!(
        format!("{error:#}").starts_with("token_endpoint: is plain http"),
        "{error:#}"
    );
}

#[tokio::test]
async fn failures_say_whether_they_pass() {
    let (http, _) = site(&[(OAUTH, 503, "")]);
    let error = ServerMetadata::fetch(ISSUER, http).await.unwrap_err();
    assert!(error.is_transient(), "{error:#}");
    let (http, _) = site(&[]);
    let error = ServerMetadata::fetch(ISSUER, http).await.unwrap_err();
    assert!(!error.is_transient());
    assert_eq!(
        format!("{error:#}"),
        format!(
            "the server says nothing of itself: {OAUTH} answered 404 Not Found, {OPENID} answered \
             404 Not Found: check the issuer, or give the endpoints to builder(..)"
        )
    );
    for issuer in [
        "http://login.example.com",
        "https://a.example/?x",
        "login",
        "https://a/#x",
    ] {
        let (http, asked) = site(&[]);
        let error = ServerMetadata::fetch(issuer, http).await.unwrap_err();
        assert!(format!("{error:#}").starts_with("issuer: "), "{error:#}");
        assert!(asked.lock().unwrap().is_empty());
    }
}

/// A provider from the issuer's address alone, with the server's way of client authentication.
#[tokio::test]
async fn a_provider_is_made_of_what_the_server_says() {
    let token = r#"{"access_token":"a","token_type":"bearer"}"#;
    let token_url = "https://login.example.com/tenant/7/token";
    let (http, asked) = site(&[(OAUTH, 200, METADATA), (token_url, 200, token)]);
    let builder = ClientCredentials::discover(ISSUER, http).await.unwrap();
    let provider = builder.client_id("id").client_secret("s").build().unwrap();
    let layer = AuthLayer::new(provider, Origins::only("https://api.example.com").unwrap());
    layer.handle().credential().await.unwrap();
    assert_eq!(asked.lock().unwrap()[1], format!("POST {token_url}"));
}

/// R24: a server that announces `iss` must send it.
#[tokio::test]
async fn a_log_in_expects_the_issuer_where_it_was_announced() {
    for (announced, must) in [("true", true), ("false", false)] {
        let page = METADATA.replace("supported\": true", &format!("supported\": {announced}"));
        let (http, _) = site(&[(OAUTH, 200, &page)]);
        let builder = AuthorizationCode::discover(ISSUER, http).await.unwrap();
        let login = builder.client_id("id").build().unwrap();
        let attempt = login.start(REDIRECT).unwrap();
        let url = login.authorization_url(&attempt);
        assert!(url.starts_with("https://login.example.com/tenant/7/authorize?"));
        let callback = format!("?code=c&state={}", query(&url)["state"]);
        let error = login.finish(attempt, &callback).await.unwrap_err();
        assert_eq!(error.is_forged(), must, "{error:#}");
    }
}

/// The service is only needed when something is sent.
#[tokio::test]
async fn an_unreachable_server_is_a_passing_failure() {
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

/// R27, RFC 8705 5: a client with a certificate has endpoints of its own, and says only its id.
#[tokio::test]
async fn mutual_tls_goes_to_the_endpoints_that_are_for_it() {
    let with_aliases = |url: &str| {
        METADATA.replacen(
            '{',
            &format!(r#"{{"mtls_endpoint_aliases":{{"token_endpoint":"{url}"}},"#),
            1,
        )
    };
    let metadata = with_aliases("https://mtls.example.com/token");
    let (http, asked) = site(&[(OAUTH, 200, &metadata)]);
    let provider = ClientCredentials::discover(ISSUER, http).await.unwrap();
    let provider = provider.client_id("me").tls_client_auth().build().unwrap();
    let layer = AuthLayer::new(provider, Origins::only("https://api.example.com").unwrap());
    let error = layer.handle().credential().await.unwrap_err();
    assert!(error.provider_error().is_some());
    assert_eq!(
        asked.lock().unwrap()[1],
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
