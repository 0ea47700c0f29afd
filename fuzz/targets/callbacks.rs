//! The callback from a browser. `{state}` stands for the login's state.

#![no_main]

use std::sync::{LazyLock, atomic::Ordering::SeqCst};

use bytes::Bytes;
use http::Response;
use libfuzzer_sys::fuzz_target;
use tower_auth::oauth2::{AuthorizationCode, Implicit, PendingLogin};
use tower_auth_fuzz::{answering, error_text, is_harmless, run};

const AUTHORIZE: &str = "https://auth.example.com/authorize";
const CALLBACK: &str = "https://app.example.com/callback";
const ANSWER: &[u8] = br#"{"access_token":"a","token_type":"bearer"}"#;

/// A pending login of each kind in serialized form, with its state.
static ATTEMPTS: LazyLock<[(String, String); 2]> = LazyLock::new(|| {
    let (code, _) = code_flow();
    let attempts = [code.start(CALLBACK), implicit_flow().start(CALLBACK)];
    let urls = |url: String| {
        let state = url.split("state=").nth(1).unwrap().split('&').next();
        state.unwrap().to_owned()
    };
    let [code_attempt, implicit_attempt] = attempts.map(Result::unwrap);
    [
        (
            code_attempt.expose(),
            urls(code.authorization_url(&code_attempt)),
        ),
        (
            implicit_attempt.expose(),
            urls(implicit_flow().authorization_url(&implicit_attempt)),
        ),
    ]
});

fn code_flow() -> (
    AuthorizationCode,
    std::sync::Arc<std::sync::atomic::AtomicUsize>,
) {
    let (http, asked) = answering(Response::new(Bytes::from_static(ANSWER)));
    let flow = AuthorizationCode::builder(AUTHORIZE, "https://auth.example.com/token")
        .client_id("fuzzer")
        .issuer("https://auth.example.com")
        .http(http)
        .build();
    (flow.unwrap(), asked)
}

fn implicit_flow() -> Implicit {
    Implicit::builder(AUTHORIZE)
        .client_id("fuzzer")
        .build()
        .unwrap()
}

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    if let Err(error) = PendingLogin::restore(&text) {
        assert!(is_harmless(&error.to_string()), "{error}");
    }

    let [
        (code_attempt, code_state),
        (implicit_attempt, implicit_state),
    ] = &*ATTEMPTS;
    let callback = text.replace("{state}", code_state);
    let (flow, asked) = code_flow();
    let attempt = PendingLogin::restore(code_attempt).unwrap();
    let outcome = run(flow.finish(attempt, &callback));
    let mut asked = asked.load(SeqCst);
    if !callback.contains(code_state) {
        assert!(
            outcome.is_err() && asked == 0,
            "a response to another login was accepted"
        );
    }
    if outcome.is_ok() {
        asked -= 1;
    }
    assert_eq!(asked, 0, "a code was spent for nothing");
    check(outcome, code_state);

    let callback = text.replace("{state}", implicit_state);
    let attempt = PendingLogin::restore(implicit_attempt).unwrap();
    let outcome = implicit_flow().finish(attempt, &callback);
    if let Ok(tokens) = &outcome {
        assert!(
            callback.contains(implicit_state),
            "a response to another login was accepted"
        );
        assert!(tokens.expose_access_token().is_some_and(is_harmless));
        assert!(tokens.expose_refresh_token().is_none());
    }
    check(outcome, implicit_state);
});

fn check<T>(outcome: Result<T, impl std::error::Error + 'static>, state: &str) {
    if let Err(error) = outcome {
        assert!(!error_text(&error).contains(state), "the state is told");
        assert!(is_harmless(&error.to_string()), "{error}");
    }
}
