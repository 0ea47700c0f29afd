//! Many users behind one client.

#[path = "../requests/memory.rs"]
#[allow(dead_code, reason = "shared with the request tests")]
mod memory;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use tokio::{task::JoinSet, time::sleep};
use tower::Layer;
use tower_auth::{
    AuthLayer, BoxProvider, Error, Issued, NotAttached, Origins, PerKey, PerKeySettings, Provider,
    credential::Bearer, provider_fn,
};

use memory::{Api, Valid, bearer, fails_unsent, get, relative, send, status};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct User(u32);

type Calls = Arc<Mutex<HashMap<User, usize>>>;

/// Creates a layer that issues `u7-1`, `u7-2` and so on for user 7, and counts the token requests of
/// each user. Users from 1,000,000 up are unknown.
fn users() -> (AuthLayer<BoxProvider<Bearer>, PerKey<User>>, Calls) {
    let calls = Calls::default();
    let counter = Arc::clone(&calls);
    let provider = move |user: &User| -> Option<BoxProvider<Bearer>> {
        let (user, counter) = (*user, Arc::clone(&counter));
        let provider = provider_fn(move |_| {
            let number = {
                let mut calls = counter.lock().unwrap();
                let number = calls.entry(user).or_default();
                *number += 1;
                *number
            };
            async move {
                sleep(Duration::from_millis(10)).await;
                Ok(Issued::new(bearer(&format!("u{}-{number}", user.0))))
            }
        });
        (user.0 < 1_000_000).then(|| provider.boxed())
    };
    let origins = Origins::only("https://api.example.com").unwrap();
    (AuthLayer::per_key(provider, origins), calls)
}

fn request(user: u32) -> Request<Full<Bytes>> {
    let mut request = get();
    request.extensions_mut().insert(User(user));
    request
}

fn auth_error(error: tower_auth::BoxError) -> Error {
    *error.downcast().unwrap()
}

/// P36.
#[tokio::test(start_paused = true)]
async fn users_never_share_a_credential_or_a_refresh() {
    let api = Api::accepting(&Valid::of(&["u1-1", "u2-1"]));
    let (layer, calls) = users();
    let service = layer.layer(api.clone());
    let mut requests = JoinSet::new();
    for number in 0..100 {
        let service = service.clone();
        requests.spawn(async move { send(&service, request(number % 2 + 1)).await });
    }
    for response in requests.join_all().await {
        assert_eq!(response.unwrap().status(), 200);
    }
    for seen in api.seen() {
        let user: User = *seen.extensions.get().unwrap();
        assert_eq!(seen.token().unwrap(), format!("u{}-1", user.0));
    }
    assert_eq!(
        *calls.lock().unwrap(),
        HashMap::from([(User(1), 1), (User(2), 1)])
    );
}

#[tokio::test(start_paused = true)]
async fn a_rejection_refreshes_only_its_users_credential() {
    let valid = Valid::of(&["u1-1", "u2-1"]);
    let api = Api::accepting(&valid);
    let (layer, calls) = users();
    let service = layer.layer(api.clone());
    for user in [1, 2] {
        assert_eq!(send(&service, request(user)).await.unwrap().status(), 200);
    }
    valid.set(&["u1-2", "u2-1"]);
    for user in [1, 2] {
        assert_eq!(send(&service, request(user)).await.unwrap().status(), 200);
    }
    assert_eq!(
        *calls.lock().unwrap(),
        HashMap::from([(User(1), 2), (User(2), 1)])
    );
}

#[tokio::test(start_paused = true)]
async fn missing_and_unknown_keys_have_distinct_errors() {
    let api = Api::new(|_| (Duration::ZERO, status(200)));
    let (layer, _) = users();
    let service = layer.layer(api.clone());
    let error = auth_error(send(&service, get()).await.unwrap_err());
    assert_eq!(
        format!("{error:#}"),
        "the request does not name a key: insert the key into its extensions, or tell the layer \
         where to find it with key_from"
    );
    let error = auth_error(send(&service, request(1_000_000)).await.unwrap_err());
    assert!(error.is_unknown_key());
    assert!(api.seen().is_empty());
}

/// P10.
#[tokio::test(start_paused = true)]
async fn requests_that_fail_unsent_hold_no_permit() {
    let (layer, _) = users();
    for request in [get(), request(1_000_000), relative()] {
        fails_unsent(&layer, request).await;
    }
}

#[tokio::test(start_paused = true)]
async fn requests_without_the_layers_credential_need_no_key() {
    let api = Api::new(|_| (Duration::ZERO, status(200)));
    let (layer, calls) = users();
    let service = layer.layer(api.clone());
    let elsewhere = Request::get("https://other.example.com/")
        .body(Full::default())
        .unwrap();
    let response = send(&service, elsewhere).await.unwrap();
    assert_eq!(response.extensions().get(), Some(&NotAttached::OtherOrigin));
    let mut own = get();
    own.headers_mut()
        .insert("authorization", "Bearer mine".parse().unwrap());
    let response = send(&service, own).await.unwrap();
    assert_eq!(
        response.extensions().get(),
        Some(&NotAttached::AlreadyPresent)
    );
    assert!(calls.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_key_can_be_read_from_a_header() {
    let api = Api::new(|_| (Duration::ZERO, status(200)));
    let (layer, _) = users();
    let layer = layer.key_from(|head| {
        let user = head.headers().get("x-user")?.to_str().ok()?;
        user.parse().ok().map(User)
    });
    let mut by_header = get();
    by_header
        .headers_mut()
        .insert("x-user", "7".parse().unwrap());
    send(&layer.layer(api.clone()), by_header).await.unwrap();
    assert_eq!(api.tokens_seen(), ["u7-1"]);
}

#[tokio::test(start_paused = true)]
async fn logging_out_one_user_does_not_affect_others() {
    let api = Api::new(|_| (Duration::ZERO, status(200)));
    let (layer, _) = users();
    let service = layer.layer(api.clone());
    let handle = service.handle();
    for user in [1, 2] {
        send(&service, request(user)).await.unwrap();
    }
    handle.for_key(&User(1)).unwrap().log_out().await.unwrap();
    let error = auth_error(send(&service, request(1)).await.unwrap_err());
    assert!(error.is_logged_out());
    assert_eq!(send(&service, request(2)).await.unwrap().status(), 200);
    assert_eq!(
        handle.for_key(&User(1)).unwrap().status().to_string(),
        "logged out"
    );
    assert!(handle.for_key(&User(2)).unwrap().status().is_fresh());
}

/// Each user has 16 concurrent callers.
#[tokio::test(start_paused = true)]
async fn each_of_100_000_users_causes_one_token_request() {
    const USERS: u32 = 100_000;
    let token_requests = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&token_requests);
    let layer = AuthLayer::per_key_with(
        move |_: &User| {
            let counter = Arc::clone(&counter);
            Some(provider_fn(move |_| {
                counter.fetch_add(1, SeqCst);
                async { Ok(Issued::new(bearer("token"))) }
            }))
        },
        Origins::only("https://api.example.com").unwrap(),
        PerKeySettings::default().max_keys(USERS as usize),
    );
    let handle = layer.handle();
    for first in (0..USERS).step_by(1000) {
        let mut callers = JoinSet::new();
        for caller in 0..16_000 {
            let handle = handle.for_key(&User(first + caller % 1000)).unwrap();
            callers.spawn(async move { handle.credential().await.map(drop) });
        }
        for outcome in callers.join_all().await {
            outcome.unwrap();
        }
    }
    assert_eq!(token_requests.load(SeqCst), USERS as usize);
}

#[tokio::test(start_paused = true)]
async fn debug_output_names_the_type_and_hides_the_request() {
    let (layer, _) = users();
    let policy = "policy: Policy { origins: Origins { allowed: [https://api.example.com]";
    let shown = format!("{layer:?}");
    assert!(
        shown.starts_with(&format!("AuthLayer {{ {policy}")),
        "{shown}"
    );
    assert_eq!(format!("{:?}", layer.handle()), "PerKeyHandle { .. }");
    let shown = format!("{:?}", layer.layer("inner"));
    assert!(
        shown.starts_with(&format!("Auth {{ inner: \"inner\", {policy}")),
        "{shown}"
    );
    let seen = layer.key_from(|request| {
        assert_eq!(format!("{request:?}"), "RequestHead { method: GET, .. }");
        None
    });
    let api = Api::new(|_| (Duration::ZERO, status(200)));
    assert!(send(&seen.layer(api), request(1)).await.is_err());
}
