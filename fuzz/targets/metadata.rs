//! A server's metadata (RFC 8414).

#![no_main]

use bytes::Bytes;
use http::Response;
use libfuzzer_sys::fuzz_target;
use tower_auth::oauth2::ServerMetadata;
use tower_auth_fuzz::{answering, is_harmless, run};

const ISSUER: &str = "https://auth.example.com";

fuzz_target!(|data: &[u8]| {
    let (http, _) = answering(Response::new(Bytes::copy_from_slice(data)));
    match run(ServerMetadata::fetch(ISSUER, http)) {
        Ok(metadata) => {
            assert_eq!(metadata.issuer(), ISSUER);
            let endpoints = [
                metadata.token_endpoint(),
                metadata.authorization_endpoint(),
                metadata.revocation_endpoint(),
            ];
            for endpoint in endpoints.into_iter().flatten() {
                let lower = endpoint.to_ascii_lowercase();
                let is_near = ["http://localhost", "http://127.", "http://[::1]"];
                let is_near = is_near.iter().any(|start| lower.starts_with(start));
                assert!(lower.starts_with("https://") || is_near, "{endpoint}");
            }
        }
        Err(error) => assert!(is_harmless(&error.to_string()), "{error}"),
    }
});
