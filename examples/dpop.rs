//! Sender-constrained tokens (DPoP): they are bound to a key, so a stolen token is useless.
//!
//! `cargo run --features dpop --example dpop` starts its own servers, which require a nonce in each
//! proof.
//! `CLIENT_SECRET=... cargo run --features dpop --example dpop -- ISSUER CLIENT_ID API_URL` uses
//! your server, which must publish its metadata, and calls your API.

#[path = "support/serve.rs"]
mod serve;

use std::env;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{Request, Response, header::HeaderName};
use http_body_util::Empty;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use serde_json::Value;
use tower::{ServiceBuilder, ServiceExt};
use tower_auth::{
    AuthLayer, BoxError, Origins,
    oauth2::{ClientCredentials, DpopKey},
};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    // For https, use a connector with TLS, such as `hyper-rustls`.
    let http = Client::builder(TokioExecutor::new()).build_http();
    let args: Vec<_> = env::args().skip(1).collect();
    let (tokens, api) = match args.as_slice() {
        [issuer, client_id, api] => {
            let tokens = ClientCredentials::discover(issuer, http).await?;
            let tokens = tokens.client_id(client_id);
            let secret = env::var("CLIENT_SECRET")?;
            (tokens.client_secret(secret), api.clone())
        }
        [] => {
            let url = format!("http://{}", serve::serve(servers).await?);
            let tokens = ClientCredentials::builder(format!("{url}/token"));
            let tokens = tokens.client_id("me").client_secret("s3cret").http(http);
            (tokens, format!("{url}/things"))
        }
        _ => return Err("usage: dpop [ISSUER CLIENT_ID API_URL]".into()),
    };

    let key = DpopKey::generate()?;
    println!("the tokens are bound to the key {}", key.thumbprint());
    let tokens = tokens.dpop(key).build()?;
    let layer = AuthLayer::new(tokens, Origins::only(origin(&api)?)?);
    let handle = layer.handle();
    let client = ServiceBuilder::new()
        .layer(layer)
        .service(Client::builder(TokioExecutor::new()).build_http());
    for _ in 0..3 {
        let request = Request::get(&api).body(Empty::<Bytes>::new())?;
        let status = client.clone().oneshot(request).await?.status();
        println!("{api} returned {status}");
    }

    // An attacker has only the token, not the key.
    let stolen = handle.credential().await?;
    let client = Client::builder(TokioExecutor::new()).build_http();
    for scheme in ["Bearer", "DPoP"] {
        let request = Request::get(&api);
        let request = request.header("authorization", format!("{scheme} {}", stolen.expose()));
        let response = client.request(request.body(Empty::<Bytes>::new())?).await?;
        println!("the stolen token as {scheme}: {}", response.status());
    }
    Ok(())
}

/// Returns the origin of the API, the only one that may receive the token.
fn origin(url: &str) -> Result<String, BoxError> {
    let url: http::Uri = url.parse()?;
    let (Some(scheme), Some(authority)) = (url.scheme_str(), url.authority()) else {
        return Err("API_URL must be a full URL, such as https://api.example.com/things".into());
    };
    Ok(format!("{scheme}://{authority}"))
}

/// Serves a token endpoint and an API. The token is the `x` parameter of the key's JWK, which makes
/// the binding easy to check.
async fn servers(request: Request<String>) -> Response<String> {
    let path = request.uri().path();
    let proof = proof(&request);
    let has_nonce = |nonce: &str| {
        proof
            .as_ref()
            .is_some_and(|(_, claims)| claims["nonce"] == nonce)
    };
    let key = proof.as_ref().and_then(|(key, _)| key["x"].as_str());
    let (nonce, mut response) = match (path, key) {
        ("/token", Some(_)) if !has_nonce("of-the-token-server") => {
            println!("  (the token server requires a nonce)");
            let body = r#"{"error":"use_dpop_nonce"}"#;
            ("of-the-token-server", serve::response(400, body))
        }
        ("/token", Some(key)) => {
            println!("  (the token server issues a token)");
            let body = format!(r#"{{"access_token":"{key}","token_type":"DPoP","expires_in":60}}"#);
            ("of-the-token-server", serve::response(200, body))
        }
        (_, Some(key)) => {
            let header = request.headers().get("authorization");
            let is_bound = header.is_some_and(|value| *value == format!("DPoP {key}"));
            let status = if is_bound && has_nonce("of-the-api") {
                200
            } else {
                401
            };
            ("of-the-api", serve::response(status, ""))
        }
        (_, None) => ("", serve::response(401, "")),
    };
    if response.status() == 401 && !nonce.is_empty() {
        println!("  (the API requires a nonce)");
        let challenge = "DPoP error=\"use_dpop_nonce\"".parse();
        response.headers_mut().extend(
            challenge
                .ok()
                .map(|value| (http::header::WWW_AUTHENTICATE, value)),
        );
    }
    let name = HeaderName::from_static("dpop-nonce");
    response
        .headers_mut()
        .extend(nonce.parse().ok().map(|value| (name, value)));
    response
}

/// Returns the key and the claims of a request's proof, if the proof is valid for the request.
fn proof(request: &Request<String>) -> Option<(Value, Value)> {
    let proof = request.headers().get("dpop")?.to_str().ok()?;
    let (input, signature) = proof.rsplit_once('.')?;
    let (header, claims) = input.split_once('.')?;
    let json = |part| serde_json::from_slice::<Value>(&decode(part)?).ok();
    let (key, claims) = (json(header)?["jwk"].clone(), json(claims)?);
    let number = |name: &str| decode(key[name].as_str()?);
    let point = [vec![4], number("x")?, number("y")?].concat();
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
        .verify(input.as_bytes(), &decode(signature)?)
        .ok()?;
    let matches = claims["htm"] == request.method().as_str()
        && claims["htu"].as_str()?.ends_with(request.uri().path());
    matches.then_some((key, claims))
}

fn decode(text: &str) -> Option<Vec<u8>> {
    BASE64_URL_SAFE_NO_PAD.decode(text).ok()
}
