use http::{HeaderValue, Request, Uri, header::CACHE_CONTROL};

use super::*;

/// Applies a credential as the layer does. Returns whether the request already carried one.
fn apply(
    credential: &impl Credential,
    request: &mut Request<()>,
    keep: bool,
) -> Result<bool, BoxError> {
    let mut head = RequestHeadMut::new(request).keep_existing(keep);
    credential.apply(&mut head)?;
    Ok(head.found_existing())
}

fn get(uri: &str) -> Request<()> {
    Request::get(uri).body(()).unwrap()
}

/// Returns the value of the only header with this name.
fn only<'a>(request: &'a Request<()>, name: &str) -> &'a HeaderValue {
    let mut values = request.headers().get_all(name).iter();
    let value = values.next().expect("the header is there");
    assert_eq!(values.next(), None, "the header is there once");
    value
}

fn is_attached<C: Credential>(current: Option<&C>, request: &Request<()>) -> bool {
    C::is_attached(current, &RequestHead::new(request))
}

fn with_query(uri: &str, name: &str, key: &str) -> String {
    let mut request = get(uri);
    apply(&ApiKey::query(name, key).unwrap(), &mut request, true).unwrap();
    request.uri().to_string()
}

#[test]
fn a_bearer_token_is_sent_in_authorization_as_sensitive() {
    let bearer = Bearer::new("test-08/12/2024-01/01/2025-xxxx").unwrap();
    let mut request = get("https://api.example.com/");
    assert!(!apply(&bearer, &mut request, true).unwrap());
    let value = only(&request, "authorization");
    assert_eq!(value, "Bearer test-08/12/2024-01/01/2025-xxxx");
    assert!(value.is_sensitive());
    assert_eq!(bearer.expose(), "test-08/12/2024-01/01/2025-xxxx");
}

/// P51, R14.
#[test]
fn invalid_tokens_are_refused_and_not_shown() {
    for token in [
        "",
        "se cret",
        "secret\n",
        "secret\0",
        "\u{7f}secret",
        "sécret",
        "Bearer secret",
    ] {
        let error = Bearer::new(token).unwrap_err();
        assert_eq!(error.field(), "token");
        let shown = format!("{error:#} {error:?}");
        assert!(!shown.contains("cret"), "{shown}");
    }
}

/// P51: real tokens contain characters outside of `b64token`.
#[test]
fn tokens_may_contain_all_visible_ascii() {
    let token: String = ('!'..='~').collect();
    assert_eq!(Bearer::new(token.as_str()).unwrap().expose(), token);
}

#[test]
fn a_bearer_token_is_sent_in_the_configured_header() {
    let bearer = Bearer::new("t")
        .unwrap()
        .header_name("Authentication")
        .unwrap();
    let mut request = get("/");
    apply(&bearer, &mut request, true).unwrap();
    assert_eq!(only(&request, "authentication"), "Bearer t");
    assert!(!request.headers().contains_key("authorization"));
    assert!(is_attached(Some(&bearer), &request));
    assert!(!is_attached::<Bearer>(None, &request));

    let error = bearer.header_name("no header").unwrap_err();
    assert_eq!(error.field(), "header_name");
}

#[test]
fn an_unshared_copy_is_equal_and_shares_no_memory() {
    fn check(credential: &impl Credential, header: &str) {
        let (mut one, mut other) = (get("/"), get("/"));
        let unshared = credential.unshared();
        apply(credential, &mut one, true).unwrap();
        apply(&unshared, &mut other, true).unwrap();
        let (one, other) = (only(&one, header), only(&other, header));
        assert_eq!(one, other);
        assert!(other.is_sensitive());
        assert_ne!(one.as_bytes().as_ptr(), other.as_bytes().as_ptr());
        assert!(credential.is_same(&unshared));
    }
    check(&Bearer::new("t").unwrap(), "authorization");
    check(
        &Bearer::new("t").unwrap().header_name("x-token").unwrap(),
        "x-token",
    );
    check(&Basic::new("u", "p").unwrap(), "authorization");
    check(&ApiKey::header("x-api-key", "k").unwrap(), "x-api-key");
}

#[test]
fn different_bytes_or_places_are_different_credentials() {
    let bearer = Bearer::new("t").unwrap();
    assert!(!bearer.is_same(&Bearer::new("u").unwrap()));
    assert!(!bearer.is_same(&bearer.clone().header_name("x-token").unwrap()));
    let basic = Basic::new("u", "p").unwrap();
    assert!(!basic.is_same(&Basic::new("u", "q").unwrap()));
    let key = ApiKey::header("x-api-key", "k").unwrap();
    let query = ApiKey::query("x-api-key", "k").unwrap();
    assert!(query.is_same(&query.unshared()) && !key.is_same(&query));
    assert!(!query.is_same(&ApiKey::query("x-api-key", "l").unwrap()));
}

/// P50, R18: the bytes that `curl -u` sends, the first two from RFC 7617 sections 2 and 2.1.
#[test]
fn basic_encodes_the_exact_utf8_bytes() {
    for (user, password, sent) in [
        (
            "Aladdin",
            "open sesame",
            "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
        ),
        ("test", "123£", "Basic dGVzdDoxMjPCow=="),
        (
            "a.b@example.com",
            "p:w",
            "Basic YS5iQGV4YW1wbGUuY29tOnA6dw==",
        ),
        ("sk_key", "", "Basic c2tfa2V5Og=="),
    ] {
        let mut request = get("/");
        apply(&Basic::new(user, password).unwrap(), &mut request, true).unwrap();
        let value = only(&request, "authorization");
        assert_eq!(value, sent);
        assert!(value.is_sensitive());
    }
}

/// P50, R17, R18.
#[test]
fn invalid_users_and_passwords_are_refused_and_not_shown() {
    for (user, password, field) in [
        ("hidden:x", "hidden", "user"),
        ("hidden\n", "hidden", "user"),
        ("hidden", "hidden\r\n", "password"),
        ("hidden", "hidden\u{7f}", "password"),
    ] {
        let error = Basic::new(user, password).unwrap_err();
        assert_eq!(error.field(), field);
        assert!(!format!("{error:#} {error:?}").contains("hidden"));
    }
}

#[test]
fn an_api_key_is_sent_in_its_header() {
    let key = ApiKey::header("Authorization", "Token k-123").unwrap();
    let mut request = get("/");
    assert!(!is_attached(Some(&key), &request));
    assert!(!apply(&key, &mut request, true).unwrap());
    assert_eq!(only(&request, "authorization"), "Token k-123");
    assert!(only(&request, "authorization").is_sensitive());
    assert!(is_attached(Some(&key), &request));
    assert!(
        !is_attached::<ApiKey>(None, &request),
        "the header is not known"
    );
}

#[test]
fn invalid_api_keys_are_refused_and_not_shown() {
    for (name, key, field) in [
        ("x-key", "", "key"),
        ("x-key", "hidden\n", "key"),
        ("x-key", " hidden", "key"),
        ("x-key", "hiddén", "key"),
        ("x key", "hidden", "name"),
    ] {
        let error = ApiKey::header(name, key).unwrap_err();
        assert_eq!(error.field(), field);
        assert!(!format!("{error:#} {error:?}").contains("hidd"));
    }
    assert_eq!(ApiKey::query("", "hidden").unwrap_err().field(), "name");
    assert_eq!(ApiKey::query("key", "").unwrap_err().field(), "key");
    assert_eq!(
        ApiKey::query("key", "hidden\r\n").unwrap_err().field(),
        "key"
    );
}

/// R13.
#[test]
fn a_key_in_the_query_forbids_caching() {
    let key = ApiKey::query("api_key", "k").unwrap();
    let mut request = get("https://api.example.com/items");
    apply(&key, &mut request, true).unwrap();
    assert_eq!(only(&request, "cache-control"), "no-store");

    let mut request = get("https://api.example.com/items");
    let own = HeaderValue::from_static("no-cache");
    request.headers_mut().insert(CACHE_CONTROL, own);
    apply(&key, &mut request, true).unwrap();
    assert_eq!(only(&request, "cache-control"), "no-cache");

    let mut request = get("/");
    apply(
        &ApiKey::header("x-api-key", "k").unwrap(),
        &mut request,
        true,
    )
    .unwrap();
    assert!(!request.headers().contains_key(CACHE_CONTROL));
}

#[test]
fn a_key_in_the_query_leaves_the_rest_of_the_uri_unchanged() {
    for (uri, expected) in [
        ("https://h:8443/a/b", "https://h:8443/a/b?key=k"),
        ("https://h", "https://h/?key=k"),
        ("/a?", "/a?key=k"),
        ("/a?z=1&b=%20+&a", "/a?z=1&b=%20+&a&key=k"),
        ("/a?keys=1&ke=2&=key", "/a?keys=1&ke=2&=key&key=k"),
    ] {
        assert_eq!(with_query(uri, "key", "k"), expected);
    }
}

#[test]
fn name_and_key_are_percent_encoded_in_the_query() {
    assert_eq!(
        with_query("/", "api key", "a&b=c#d+e%2F é~-._?"),
        "/?api%20key=a%26b%3Dc%23d%2Be%252F%20%C3%A9~-._%3F"
    );
}

/// P21, for the query, even if the caller encodes the name differently.
#[test]
fn an_existing_parameter_is_kept_or_replaced_as_configured() {
    let key = ApiKey::query("api_key", "k").unwrap();
    for own in [
        "/?a=1&api_key=own&b=2",
        "/?a=1&api%5Fkey=own&b=2",
        "/?a=1&api_key&b=2",
    ] {
        let mut request = get(own);
        assert!(is_attached(Some(&key), &request));
        assert!(apply(&key, &mut request, true).unwrap());
        assert_eq!(request.uri(), own);
        assert!(!request.headers().contains_key(CACHE_CONTROL));

        assert!(!apply(&key, &mut request, false).unwrap());
        assert_eq!(request.uri(), "/?a=1&b=2&api_key=k");
    }
    assert!(!is_attached::<ApiKey>(None, &get("/?api_key=own")));
}

#[test]
fn a_uri_that_cannot_have_a_query_is_an_error() {
    for uri in [Uri::from_static("*"), Uri::from_static("example.com:443")] {
        let mut request = Request::new(());
        *request.uri_mut() = uri.clone();
        let error =
            apply(&ApiKey::query("key", "hidden").unwrap(), &mut request, true).unwrap_err();
        assert!(format!("{error:#}").contains("no query"), "{error:#}");
        assert_eq!(request.uri(), &uri);
    }
}

#[test]
fn a_uri_that_becomes_too_long_is_an_error_without_the_key() {
    let key = ApiKey::query("key", "hidden".repeat(20_000)).unwrap();
    let error = apply(&key, &mut get("/"), true).unwrap_err();
    assert!(!format!("{error:#}").contains("hidden"), "{error:#}");
}

/// P21.
#[test]
fn all_existing_authorization_values_are_kept() {
    let mut request = get("/");
    for value in ["Bearer one", "Basic two"] {
        let value = HeaderValue::from_static(value);
        request.headers_mut().append(AUTHORIZATION, value);
    }
    let bearer = Bearer::new("t").unwrap();
    assert!(is_attached(Some(&bearer), &request) && is_attached::<Bearer>(None, &request));
    assert!(apply(&bearer, &mut request, true).unwrap());
    let kept: Vec<_> = request.headers().get_all(AUTHORIZATION).iter().collect();
    assert_eq!(kept, ["Bearer one", "Basic two"]);
}

/// P22.
#[test]
fn an_overwritten_credential_leaves_one_header() {
    let mut request = get("/");
    for value in ["Bearer one", "Basic two"] {
        let value = HeaderValue::from_static(value);
        request.headers_mut().append(AUTHORIZATION, value);
    }
    assert!(!apply(&Bearer::new("t").unwrap(), &mut request, false).unwrap());
    assert_eq!(only(&request, "authorization"), "Bearer t");
}

#[test]
fn debug_shows_no_secret() {
    let bearer = Bearer::new("hidden").unwrap();
    let basic = Basic::new("hidden", "hidden").unwrap();
    let header = ApiKey::header("x-api-key", "hidden").unwrap();
    let query = ApiKey::query("api_key", "hidden").unwrap();
    let shown = format!("{bearer:?} {basic:?} {header:?} {query:?}");
    assert!(
        !shown.contains("hidden") && !shown.contains("aGlkZGVu"),
        "{shown}"
    );
    assert!(
        shown.contains("x-api-key") && shown.contains("api_key"),
        "{shown}"
    );

    let mut request = get("/");
    for credential in [&header, &query] {
        apply(credential, &mut request, true).unwrap();
    }
    assert!(!format!("{:?}", request.headers()).contains("hidden"));
}
