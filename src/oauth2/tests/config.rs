use super::*;
use crate::error::ConfigError;

/// Builds a provider whose service never receives a request.
fn build(
    client: Builder<ClientCredentials>,
) -> Result<TokenProvider<ClientCredentials>, ConfigError> {
    let service =
        service_fn(|_| async { Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())) });
    client.http(service).build()
}

fn refused(client: Builder<ClientCredentials>) -> ConfigError {
    build(client).expect_err("refused")
}

fn at(url: &str) -> Builder<ClientCredentials> {
    ClientCredentials::builder(url)
        .client_id("id")
        .client_secret("hidden")
}

/// R39.
#[test]
fn the_token_endpoint_is_https_or_loopback() {
    for url in [
        "https://auth.example.com/token",
        "https://auth.example.com:8443",
        "HTTPS://AUTH.example.com/token?tenant=1",
        "http://localhost:8080/token",
        "http://LocalHost/token",
        "http://127.0.0.1/token",
        "http://127.1.2.3:1/token",
        "http://[::1]:8080/token",
    ] {
        build(at(url)).expect(url);
    }
    for url in [
        "http://auth.example.com/token",
        "http://10.0.0.1/token",
        "http://localhost.example.com/token",
        "http://127.0.0.1.example.com/token",
        "http://0.0.0.0/token",
        "http://[::2]/token",
    ] {
        let error = refused(at(url));
        assert_eq!(error.field(), "token_url");
        assert!(
            format!("{error:#}").contains("danger_plain_http"),
            "{error:#}"
        );
        build(at(url).danger_plain_http()).expect(url);
    }
}

#[test]
fn an_invalid_token_url_is_refused() {
    for url in [
        "",
        "/token",
        "auth.example.com",
        "auth.example.com/token",
        "ftp://auth.example.com/token",
        "https:///token",
        "https://auth.example.com/token#part",
        "https://id:hidden@auth.example.com/token",
        "https://auth example.com/token",
    ] {
        let error = refused(at(url).danger_plain_http());
        assert_eq!(error.field(), "token_url", "{url}");
        assert!(!format!("{error:#}").contains("hidden"), "{error:#}");
    }
}

#[test]
fn the_error_names_the_missing_setting() {
    let new = || ClientCredentials::builder(URL);
    assert_eq!(
        refused(new()).to_string(),
        "client_id: is missing: call client_id(..)"
    );
    assert_eq!(refused(new().client_id("id")).field(), "client_secret");
    assert_eq!(client().build().expect_err("refused").field(), "http");
    assert_eq!(refused(client().client_id("")).field(), "client_id");
    assert_eq!(refused(client().client_secret("")).field(), "client_secret");
}

/// R2.
#[test]
fn a_duplicate_parameter_is_refused() {
    for name in [
        "grant_type",
        "client_id",
        "client_secret",
        "scope",
        "resource",
        "",
    ] {
        assert_eq!(refused(client().param(name, "hidden")).field(), "param");
    }
    let error = refused(
        client()
            .param("audience", "hidden")
            .param("audience", "hidden"),
    );
    assert!(format!("{error:#}").contains("`audience`"), "{error:#}");
    assert!(!format!("{error:#}").contains("hidden"), "{error:#}");
}

/// RFC 8707 section 2.
#[test]
fn a_resource_is_an_absolute_uri_without_a_fragment() {
    for resource in ["https://api.example.com/", "urn:example:api"] {
        build(client().resource(resource)).expect(resource);
    }
    for resource in [
        "",
        "api",
        "/api",
        "https://a/#b",
        "https://a/ b",
        "1:2",
        "urn:",
    ] {
        assert_eq!(refused(client().resource(resource)).field(), "resource");
    }
}

/// P50: HTTP Basic can carry any text if it is encoded.
#[test]
fn unencoded_basic_refuses_what_it_cannot_send() {
    let colon = || client().client_id("i:d");
    assert_eq!(
        refused(colon().client_secret_basic_unencoded()).field(),
        "client_id"
    );
    let newline = || client().client_secret("hidden\n");
    let error = refused(newline().client_secret_basic_unencoded());
    assert_eq!(error.field(), "client_secret");
    assert!(!format!("{error:#}").contains("hidden"), "{error:#}");
    build(colon()).expect("encoded");
    build(newline()).expect("encoded");
}

#[test]
fn a_wrong_header_name_is_refused() {
    assert_eq!(
        refused(client().header_name("no header")).field(),
        "header_name"
    );
}

#[test]
fn debug_shows_no_secret() {
    let url = "https://auth.example.com/token?key=hidden";
    let client = || at(url).param("password", "hidden");
    for client in [
        client(),
        client().client_secret_basic_unencoded(),
        client().client_secret_post(),
    ] {
        let shown = format!("{client:?}");
        let shown = format!("{shown} {:?}", build(client).unwrap());
        assert!(
            !shown.contains("hidden") && !shown.contains("aGlkZGVu"),
            "{shown}"
        );
    }
}

#[test]
fn a_provider_is_sync_even_if_its_service_is_not() {
    fn check<T: Send + Sync>(_: T) {}
    let not_sync = std::cell::Cell::new(0);
    let service = service_fn(move |_| {
        not_sync.set(1);
        async { Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())) }
    });
    check(client().http(service).build().unwrap());
}
