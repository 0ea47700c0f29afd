//! A token response. The first line holds the status and `Retry-After`, the rest is the body.

#![no_main]

use bytes::Bytes;
use http::Response;
use libfuzzer_sys::fuzz_target;
use tower_auth::{AuthLayer, Origins, oauth2::ClientCredentials};
use tower_auth_fuzz::{answering, error_text, is_harmless, run};

/// A secret that a server may repeat, but an error may not.
const SECRET: &str = "s3cr3t-0f-th3-cl13nt";

fuzz_target!(|data: &[u8]| {
    let (head, body) = match data.iter().position(|byte| *byte == b'\n') {
        Some(end) => (&data[..end], &data[end + 1..]),
        None => (data, &data[..0]),
    };
    let head = String::from_utf8_lossy(head);
    let (status, wait) = head.split_once(' ').unwrap_or((&head, ""));
    let mut answer = Response::builder().status(status.parse::<u16>().unwrap_or(200));
    if !wait.is_empty() {
        answer = answer.header("retry-after", wait);
    }
    let Ok(answer) = answer.body(Bytes::copy_from_slice(body)) else {
        return;
    };
    run(async {
        let (http, asked) = answering(answer);
        let provider = ClientCredentials::builder("https://auth.example.com/token")
            .client_id("fuzzer")
            .client_secret(SECRET)
            .http(http)
            .build()
            .unwrap();
        let origins = Origins::only("https://api.example.com").unwrap();
        let handle = AuthLayer::new(provider, origins).handle();
        let outcome = handle.credential().await;
        assert_eq!(asked.load(std::sync::atomic::Ordering::SeqCst), 1);
        match outcome {
            Ok(token) => {
                assert!(is_harmless(token.expose()) && !token.expose().is_empty());
                let _ = (token.expires_at(), handle.status().to_string());
            }
            Err(error) => {
                let error_text = error_text(&error);
                assert!(!error_text.contains(SECRET), "{error_text}");
                assert!(is_harmless(&error.to_string()), "{error}");
            }
        }
    });
});
