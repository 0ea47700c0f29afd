//! The effects of `FollowRedirect`, outside and inside the layer.

use std::{sync::atomic::Ordering::SeqCst, time::Duration};

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use tower::ServiceBuilder;
use tower_auth::{
    AuthLayer, BoxError, CloneBody, NotAttached, Origins, SkipAuth, credential::ApiKey,
};
use tower_http::follow_redirect::{
    FollowRedirectLayer,
    policy::{Action, FilterCredentials, PolicyExt, clone_body_fn},
};

use crate::memory::{Answer, Api, Valid, get, numbered, only_api, send, status};

const OTHER_ORIGIN: &str = "https://cdn.example.net/";

fn redirect(code: u16, location: &str) -> Answer {
    let mut response = status(code);
    response
        .headers_mut()
        .insert("location", location.parse().unwrap());
    response
}

/// Creates an API that redirects to another origin, which redirects back.
fn redirecting_api() -> Api {
    Api::new(|seen| {
        let response = match (seen.uri.host(), seen.uri.path()) {
            (Some("api.example.com"), "/things") => redirect(302, OTHER_ORIGIN),
            (Some("cdn.example.net"), _) => redirect(302, "https://api.example.com/back"),
            _ => status(200),
        };
        (Duration::ZERO, response)
    })
}

/// P34.
#[tokio::test(start_paused = true)]
async fn follow_redirect_outside_checks_the_origin_at_every_hop() {
    let api = redirecting_api();
    let service = ServiceBuilder::new()
        .layer(FollowRedirectLayer::new())
        .layer(only_api(numbered(Duration::ZERO).0))
        .service(api.clone());
    let response = send(&service, get()).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.extensions().get::<NotAttached>(), None);
    assert_eq!(api.tokens_seen(), ["t1", "none", "t1"]);
}

/// P34: this holds even if the redirect policy strips nothing.
#[tokio::test(start_paused = true)]
async fn follow_redirect_outside_is_safe_with_any_redirect_policy() {
    let api = redirecting_api();
    let service = ServiceBuilder::new()
        .layer(FollowRedirectLayer::with_policy(Action::Follow))
        .layer(only_api(numbered(Duration::ZERO).0))
        .service(api.clone());
    assert_eq!(send(&service, get()).await.unwrap().status(), 200);
    assert_eq!(api.tokens_seen(), ["t1", "none", "t1"]);
}

/// P34: spellings of the same origin, and origins that look alike.
#[tokio::test(start_paused = true)]
async fn follow_redirect_outside_compares_normalized_origins() {
    for (location, token) in [
        ("/other", "t1"),
        ("//api.example.com/other", "t1"),
        ("https://API.Example.COM/", "t1"),
        ("https://api.example.com:443/", "t1"),
        ("https://api.example.com./", "t1"),
        ("https://user:password@api.example.com/", "t1"),
        ("http://api.example.com/", "none"),
        ("http://api.example.com:443/", "none"),
        ("https://api.example.com:8443/", "none"),
        ("https://api.example.com@cdn.example.net/", "none"),
        ("https://api.example.com.example.net/", "none"),
        ("//cdn.example.net/", "none"),
        ("https://[2001:db8::1]/", "none"),
    ] {
        let api = Api::new(move |seen| {
            let first = seen.uri.path() == "/things";
            let response = if first {
                redirect(307, location)
            } else {
                status(200)
            };
            (Duration::ZERO, response)
        });
        let service = ServiceBuilder::new()
            .layer(FollowRedirectLayer::new())
            .layer(only_api(numbered(Duration::ZERO).0))
            .service(api.clone());
        assert_eq!(send(&service, get()).await.unwrap().status(), 200);
        assert_eq!(api.tokens_seen(), ["t1", token], "{location}");
    }
}

#[tokio::test(start_paused = true)]
async fn follow_redirect_outside_retries_each_hop_after_a_401() {
    let valid = Valid::of(&["t2"]);
    let tokens = valid.clone();
    let api = Api::new(move |seen| {
        let response = tokens.answer(seen);
        if response.status() == 200 && seen.uri.path() == "/things" {
            tokens.set(&["t3"]);
            return (Duration::ZERO, redirect(307, "/moved"));
        }
        (Duration::ZERO, response)
    });
    let service = ServiceBuilder::new()
        .layer(FollowRedirectLayer::new())
        .layer(only_api(numbered(Duration::ZERO).0))
        .service(api.clone());
    assert_eq!(send(&service, get()).await.unwrap().status(), 200);
    assert_eq!(api.tokens_seen(), ["t1", "t2", "t2", "t3"]);
}

/// Bodies are resent after a 307 only if the redirect policy clones them. tower-http's own policies
/// never do.
#[tokio::test(start_paused = true)]
async fn follow_redirect_outside_resends_bodies_its_policy_clones() {
    let api = Api::new(|seen| {
        let first = seen.uri.path() == "/things";
        let response = if first {
            redirect(307, "/moved")
        } else {
            status(200)
        };
        (Duration::ZERO, response)
    });
    let upload = || {
        let request = Request::post("https://api.example.com/things");
        request.body(Full::<Bytes>::from("data")).unwrap()
    };
    let auth = only_api(numbered(Duration::ZERO).0);
    let bare = ServiceBuilder::new()
        .layer(FollowRedirectLayer::new())
        .layer(auth.clone())
        .service(api.clone());
    assert_eq!(send(&bare, upload()).await.unwrap().status(), 307);

    let clone_body = clone_body_fn(|body: &Full<Bytes>| body.try_clone_body());
    let policy = FilterCredentials::new().and::<_, Full<Bytes>, BoxError>(clone_body);
    let cloning = ServiceBuilder::new()
        .layer(FollowRedirectLayer::with_policy(policy))
        .layer(auth)
        .service(api.clone());
    assert_eq!(send(&cloning, upload()).await.unwrap().status(), 200);
    assert_eq!(api.seen().last().unwrap().body, "data");
}

/// Pitfall: a redirect to another origin drops the request's extensions.
#[tokio::test(start_paused = true)]
async fn follow_redirect_outside_drops_skip_auth_unless_allowed() {
    let marked = || {
        let mut request = get();
        request.extensions_mut().insert(SkipAuth);
        request
    };
    let api = redirecting_api();
    let auth = only_api(numbered(Duration::ZERO).0);
    let standard = ServiceBuilder::new()
        .layer(FollowRedirectLayer::new())
        .layer(auth.clone())
        .service(api.clone());
    send(&standard, marked()).await.unwrap();
    assert_eq!(api.tokens_seen(), ["none", "none", "t1"]);

    let api = redirecting_api();
    let policy = FilterCredentials::new().allow_extension::<SkipAuth>();
    let allowing = ServiceBuilder::new()
        .layer(FollowRedirectLayer::with_policy(policy))
        .layer(auth)
        .service(api.clone());
    send(&allowing, marked()).await.unwrap();
    assert_eq!(api.tokens_seen(), ["none", "none", "none"]);
}

/// Pitfall: the layer does not check redirects that happen beneath it. tower-http's default policy
/// drops `Authorization` at another origin, and does not restore it on the hop back.
#[tokio::test(start_paused = true)]
async fn follow_redirect_inside_leaves_authorization_to_its_policy() {
    let api = redirecting_api();
    let service = ServiceBuilder::new()
        .layer(only_api(numbered(Duration::ZERO).0))
        .layer(FollowRedirectLayer::new())
        .service(api.clone());
    assert_eq!(send(&service, get()).await.unwrap().status(), 200);
    assert_eq!(api.tokens_seen(), ["t1", "none", "none"]);

    let api = redirecting_api();
    let service = ServiceBuilder::new()
        .layer(only_api(numbered(Duration::ZERO).0))
        .layer(FollowRedirectLayer::with_policy(Action::Follow))
        .service(api.clone());
    assert_eq!(send(&service, get()).await.unwrap().status(), 200);
    assert_eq!(api.tokens_seen(), ["t1", "t1", "t1"]);
}

/// Pitfall: a key in a custom header is sent to every redirect target.
#[tokio::test(start_paused = true)]
async fn follow_redirect_inside_leaks_custom_headers_cross_origin() {
    let keys = |api: &Api| -> Vec<bool> {
        let seen = api.seen();
        seen.iter()
            .map(|seen| seen.headers.contains_key("x-api-key"))
            .collect()
    };
    let auth = || {
        let origins = Origins::only("https://api.example.com").unwrap();
        AuthLayer::new(ApiKey::header("x-api-key", "key").unwrap(), origins)
    };
    let api = redirecting_api();
    let inside = ServiceBuilder::new()
        .layer(auth())
        .layer(FollowRedirectLayer::new())
        .service(api.clone());
    send(&inside, get()).await.unwrap();
    assert_eq!(keys(&api), [true, true, true]);

    let api = redirecting_api();
    let outside = ServiceBuilder::new()
        .layer(FollowRedirectLayer::new())
        .layer(auth())
        .service(api.clone());
    send(&outside, get()).await.unwrap();
    assert_eq!(keys(&api), [true, false, true]);
}

/// Pitfall: the layer treats a 401 from another origin as a rejection, although that origin never
/// saw the token.
#[tokio::test(start_paused = true)]
async fn follow_redirect_inside_refreshes_on_any_origins_401() {
    let api = || {
        Api::new(|seen| {
            let response = match seen.uri.host() {
                Some("api.example.com") => redirect(302, OTHER_ORIGIN),
                _ => status(401),
            };
            (Duration::ZERO, response)
        })
    };
    let (provider, calls) = numbered(Duration::ZERO);
    let inside = ServiceBuilder::new()
        .layer(only_api(provider))
        .layer(FollowRedirectLayer::new())
        .service(api());
    assert_eq!(send(&inside, get()).await.unwrap().status(), 401);
    assert_eq!(calls.load(SeqCst), 2);

    let (provider, calls) = numbered(Duration::ZERO);
    let outside = ServiceBuilder::new()
        .layer(FollowRedirectLayer::new())
        .layer(only_api(provider))
        .service(api());
    let response = send(&outside, get()).await.unwrap();
    assert_eq!(response.status(), 401);
    assert_eq!(response.extensions().get(), Some(&NotAttached::OtherOrigin));
    assert_eq!(calls.load(SeqCst), 1);
}
