//! `FollowRedirect`.

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

const ELSEWHERE: &str = "https://cdn.example.net/";

fn redirect(code: u16, location: &str) -> Answer {
    let mut response = status(code);
    response
        .headers_mut()
        .insert("location", location.parse().unwrap());
    response
}

/// Sends whoever comes to another origin, which sends them back.
fn there_and_back() -> Api {
    Api::new(|seen| {
        let answer = match (seen.uri.host(), seen.uri.path()) {
            (Some("api.example.com"), "/things") => redirect(302, ELSEWHERE),
            (Some("cdn.example.net"), _) => redirect(302, "https://api.example.com/back"),
            _ => status(200),
        };
        (Duration::ZERO, answer)
    })
}

/// P34.
#[tokio::test(start_paused = true)]
async fn follow_redirect_outside_attaches_at_each_hop_to_the_origin_and_nowhere_else() {
    let api = there_and_back();
    let service = ServiceBuilder::new()
        .layer(FollowRedirectLayer::new())
        .layer(only_api(numbered(Duration::ZERO).0))
        .service(api.clone());
    let response = send(&service, get()).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.extensions().get::<NotAttached>(), None);
    assert_eq!(api.tokens_seen(), ["t1", "none", "t1"]);
}

/// P34: also if the policy of the redirects strips nothing.
#[tokio::test(start_paused = true)]
async fn follow_redirect_outside_needs_no_filter_for_the_layers_own_credential() {
    let api = there_and_back();
    let service = ServiceBuilder::new()
        .layer(FollowRedirectLayer::with_policy(Action::Follow))
        .layer(only_api(numbered(Duration::ZERO).0))
        .service(api.clone());
    assert_eq!(send(&service, get()).await.unwrap().status(), 200);
    assert_eq!(api.tokens_seen(), ["t1", "none", "t1"]);
}

/// P34: the ways to write an origin, and those to seem to.
#[tokio::test(start_paused = true)]
async fn follow_redirect_outside_compares_origins_not_how_they_are_written() {
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
            let answer = if first {
                redirect(307, location)
            } else {
                status(200)
            };
            (Duration::ZERO, answer)
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
async fn follow_redirect_outside_gives_each_hop_its_own_retry_after_a_401() {
    let valid = Valid::of(&["t2"]);
    let tokens = valid.clone();
    let api = Api::new(move |seen| {
        let answer = tokens.answer(seen);
        if answer.status() == 200 && seen.uri.path() == "/things" {
            tokens.set(&["t3"]);
            return (Duration::ZERO, redirect(307, "/moved"));
        }
        (Duration::ZERO, answer)
    });
    let service = ServiceBuilder::new()
        .layer(FollowRedirectLayer::new())
        .layer(only_api(numbered(Duration::ZERO).0))
        .service(api.clone());
    assert_eq!(send(&service, get()).await.unwrap().status(), 200);
    assert_eq!(api.tokens_seen(), ["t1", "t2", "t2", "t3"]);
}

/// A body is sent at a 307 only if the policy of the redirects clones it, which tower-http's own
/// never do.
#[tokio::test(start_paused = true)]
async fn follow_redirect_outside_sends_a_body_again_if_its_policy_clones_it() {
    let api = Api::new(|seen| {
        let first = seen.uri.path() == "/things";
        let answer = if first {
            redirect(307, "/moved")
        } else {
            status(200)
        };
        (Duration::ZERO, answer)
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

/// Footgun: what a request says in its extensions is lost on the way to another origin.
#[tokio::test(start_paused = true)]
async fn follow_redirect_outside_drops_the_skip_mark_unless_its_policy_allows_it() {
    let marked = || {
        let mut request = get();
        request.extensions_mut().insert(SkipAuth);
        request
    };
    let api = there_and_back();
    let auth = only_api(numbered(Duration::ZERO).0);
    let standard = ServiceBuilder::new()
        .layer(FollowRedirectLayer::new())
        .layer(auth.clone())
        .service(api.clone());
    send(&standard, marked()).await.unwrap();
    assert_eq!(api.tokens_seen(), ["none", "none", "t1"]);

    let api = there_and_back();
    let policy = FilterCredentials::new().allow_extension::<SkipAuth>();
    let allowing = ServiceBuilder::new()
        .layer(FollowRedirectLayer::with_policy(policy))
        .layer(auth)
        .service(api.clone());
    send(&allowing, marked()).await.unwrap();
    assert_eq!(api.tokens_seen(), ["none", "none", "none"]);
}

/// Footgun: beneath the layer nobody asks where a credential may go. A well-known header is saved
/// by tower-http's own policy, and then missed at the way back.
#[tokio::test(start_paused = true)]
async fn follow_redirect_inside_relies_on_its_policy_for_authorization() {
    let api = there_and_back();
    let service = ServiceBuilder::new()
        .layer(only_api(numbered(Duration::ZERO).0))
        .layer(FollowRedirectLayer::new())
        .service(api.clone());
    assert_eq!(send(&service, get()).await.unwrap().status(), 200);
    assert_eq!(api.tokens_seen(), ["t1", "none", "none"]);

    let api = there_and_back();
    let service = ServiceBuilder::new()
        .layer(only_api(numbered(Duration::ZERO).0))
        .layer(FollowRedirectLayer::with_policy(Action::Follow))
        .service(api.clone());
    assert_eq!(send(&service, get()).await.unwrap().status(), 200);
    assert_eq!(api.tokens_seen(), ["t1", "t1", "t1"], "leaked");
}

/// Footgun: a key in a header of its own goes wherever a redirect points.
#[tokio::test(start_paused = true)]
async fn follow_redirect_inside_leaks_a_key_in_a_header_to_other_origins() {
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
    let api = there_and_back();
    let inside = ServiceBuilder::new()
        .layer(auth())
        .layer(FollowRedirectLayer::new())
        .service(api.clone());
    send(&inside, get()).await.unwrap();
    assert_eq!(keys(&api), [true, true, true], "leaked");

    let api = there_and_back();
    let outside = ServiceBuilder::new()
        .layer(FollowRedirectLayer::new())
        .layer(auth())
        .service(api.clone());
    send(&outside, get()).await.unwrap();
    assert_eq!(keys(&api), [true, false, true]);
}

/// Footgun: the layer takes the 401 of another origin, which never saw the token, for a rejection
/// of the token.
#[tokio::test(start_paused = true)]
async fn follow_redirect_inside_spends_a_refresh_on_the_401_of_another_origin() {
    let api = || {
        Api::new(|seen| {
            let answer = match seen.uri.host() {
                Some("api.example.com") => redirect(302, ELSEWHERE),
                _ => status(401),
            };
            (Duration::ZERO, answer)
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
