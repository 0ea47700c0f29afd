use std::{
    convert::Infallible,
    future::{Ready, ready},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use serde_json::{Value, json};

use super::{key, *};
use crate::{
    credential::{Credential, RequestHeadMut, ResponseHead, SentHead},
    error::ProviderError,
    oauth2::{
        Builder, ClientCredentials, JwtBearer, SigningAlgorithm, TokenExchange,
        grant::{Grant, TokenEndpointGrant},
        jwt::jwk,
    },
    provider::Provider,
};

const API: &str = "https://api.example.com/things?page=2#top";

/// The examples in RFC 9449 sections 6.1 and 7.1.
#[test]
fn thumbprints_and_token_hashes_match_the_examples_of_the_rfc() {
    let key = json!({
        "kty": "EC",
        "crv": "P-256",
        "x": "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",
        "y": "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA",
    });
    let thumbprint = jwk::thumbprint(key.as_object().unwrap());
    assert_eq!(thumbprint, "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
    assert_eq!(
        key::token_hash("Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU"),
        "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"
    );
}

/// Checks the signature of a proof with the key in its header, and returns its header and claims.
fn read(proof: &str) -> (Value, Value) {
    let decode = |part: &str| BASE64_URL_SAFE_NO_PAD.decode(part).unwrap();
    let (input, signature) = proof.rsplit_once('.').unwrap();
    let (header, claims) = input.split_once('.').unwrap();
    let header: Value = serde_json::from_slice(&decode(header)).unwrap();
    let claims: Value = serde_json::from_slice(&decode(claims)).unwrap();
    let number = |name: &str| decode(header["jwk"][name].as_str().unwrap());
    let point = [vec![4], number("x"), number("y")].concat();
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
        .verify(input.as_bytes(), &decode(signature))
        .unwrap();
    (header, claims)
}

fn prove(key: &DpopKey, usage: Use<'_>, method: &Method, uri: &str) -> (Value, Value) {
    let proof = key.prove(usage, method, &uri.parse().unwrap()).unwrap();
    read(proof.to_str().unwrap())
}

/// R28.
#[test]
fn a_proof_names_its_request_and_is_unique() {
    let key = DpopKey::generate().unwrap();
    let (header, claims) = prove(&key, Use::Api("token"), &Method::PUT, API);
    assert_eq!(
        (&header["typ"], &header["alg"]),
        (&json!("dpop+jwt"), &json!("ES256"))
    );
    assert!(header["jwk"].get("d").is_none());
    assert_eq!(claims["htm"], "PUT");
    assert_eq!(claims["htu"], "https://api.example.com/things");
    assert_eq!(claims["ath"], key::token_hash("token"));
    assert!(claims["iat"].is_u64() && claims.get("nonce").is_none());
    let (_, other) = prove(&key, Use::Api("token"), &Method::PUT, API);
    assert_ne!(claims["jti"], other["jti"]);

    let (_, claims) = prove(
        &key,
        Use::TokenRequest,
        &Method::POST,
        "https://a.example/token",
    );
    assert!(claims.get("ath").is_none());
}

#[test]
fn the_target_is_normalized() {
    for (uri, expected) in [
        ("https://Api.Example:443", "https://api.example/"),
        (
            "http://127.0.0.1:8080/a%20b?c",
            "http://127.0.0.1:8080/a%20b",
        ),
        ("https://[::1]:8443/x", "https://[::1]:8443/x"),
    ] {
        assert_eq!(key::target(&uri.parse().unwrap()).unwrap(), expected);
    }
    assert!(key::target(&Uri::from_static("/things")).is_err());
}

#[test]
fn a_key_survives_a_round_trip_through_pem() {
    let pem = DpopKey::generate_pem().unwrap();
    let [one, two] = [(); 2].map(|()| DpopKey::from_pem(SigningAlgorithm::Es256, &pem).unwrap());
    assert_eq!(one.thumbprint(), two.thumbprint());
    assert_ne!(one.thumbprint(), DpopKey::generate().unwrap().thumbprint());
    assert!(!format!("{one:?}").contains("PRIVATE"));
}

fn headers(nonce: &str, challenge: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if !nonce.is_empty() {
        headers.insert("dpop-nonce", nonce.parse().unwrap());
    }
    if !challenge.is_empty() {
        headers.insert("www-authenticate", challenge.parse().unwrap());
    }
    headers
}

fn token(key: &DpopKey) -> DpopToken {
    DpopToken::new(
        crate::credential::Bearer::new("token").unwrap(),
        key.clone(),
    )
    .unwrap()
}

/// Applies the token to an API request. Returns the claims of the proof, and whether the response
/// asks the client to repeat the request.
fn exchange(token: &DpopToken, url: &str, status: u16, response: &HeaderMap) -> (Value, bool) {
    let mut request = Request::get(url).body(()).unwrap();
    token.apply(&mut RequestHeadMut::new(&mut request)).unwrap();
    assert_eq!(request.headers()["authorization"], "DPoP token");
    let proof = &request.headers()["dpop"];
    assert!(proof.is_sensitive());
    let (_, claims) = read(proof.to_str().unwrap());
    let head = SentHead::of(&request);
    let status = StatusCode::from_u16(status).unwrap();
    let again = token.on_response(&ResponseHead::new(&head, status, response));
    (claims, again)
}

/// R29, R30: proofs use the latest nonce of each server, including nonces from 2xx responses,
/// without a refresh.
#[test]
fn the_latest_nonce_of_each_api_is_used() {
    let key = DpopKey::generate().unwrap();
    let token = token(&key);
    let wants = "DPoP error=\"use_dpop_nonce\"";
    let (claims, again) = exchange(&token, API, 401, &headers("n1", wants));
    assert!(again && claims.get("nonce").is_none());
    let (claims, again) = exchange(&token, API, 200, &headers("n2", ""));
    assert!(!again && claims["nonce"] == "n1");
    let (claims, again) = exchange(&token, API, 401, &headers("n3", wants));
    assert!(again && claims["nonce"] == "n2");
    let (claims, again) = exchange(
        &token,
        API,
        401,
        &headers("n4", "DPoP error=\"invalid_token\""),
    );
    assert!(!again && claims["nonce"] == "n3");

    let (claims, _) = exchange(&token, "https://other.example/", 200, &headers("", ""));
    assert!(claims.get("nonce").is_none());
    // The token server counts as a separate server, even at the same origin.
    let (_, claims) = prove(&key, Use::TokenRequest, &Method::POST, API);
    assert!(claims.get("nonce").is_none());
    for number in 0..1000 {
        exchange(
            &token,
            &format!("https://{number}.example/"),
            200,
            &headers("n", ""),
        );
    }
    assert_eq!(
        exchange(&token, "https://999.example/", 200, &headers("", "")).0["nonce"],
        "n"
    );
}

#[test]
fn the_callers_own_credential_is_sent_without_a_proof() {
    let token = token(&DpopKey::generate().unwrap());
    let request = Request::get(API).header("authorization", "DPoP own");
    let mut request = request.body(()).unwrap();
    token.apply(&mut RequestHeadMut::new(&mut request)).unwrap();
    assert_eq!(request.headers()["authorization"], "DPoP own");
    assert!(!request.headers().contains_key("dpop"));
}

type Responses = Vec<(u16, &'static str, &'static str)>;

/// A token server that returns these responses (status, nonce, body), and records the claims and
/// forms of the requests that it receives.
struct TokenServer {
    responses: Mutex<Responses>,
    proofs: Mutex<Vec<Value>>,
    forms: Mutex<Vec<String>>,
}

impl TokenServer {
    fn new(responses: Responses) -> Arc<Self> {
        Arc::new(Self {
            responses: Mutex::new(responses),
            proofs: Mutex::default(),
            forms: Mutex::default(),
        })
    }

    async fn respond(
        self: Arc<Self>,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Full<Bytes>>, Infallible> {
        let (_, claims) = read(request.headers()["dpop"].to_str().unwrap());
        self.proofs.lock().unwrap().push(claims);
        let form = request.into_body().collect().await?.to_bytes();
        let form = String::from_utf8(form.to_vec()).unwrap();
        self.forms.lock().unwrap().push(form);
        let (status, nonce, body) = self.responses.lock().unwrap().remove(0);
        let mut response = Response::new(Full::from(body));
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        *response.headers_mut() = headers(nonce, "");
        Ok(response)
    }

    /// Requests a token with a grant.
    async fn issue<G: TokenEndpointGrant + Grant>(
        self: &Arc<Self>,
        key: &DpopKey,
        builder: Builder<G>,
    ) -> Result<String, String> {
        let server = Arc::clone(self);
        let service = tower::service_fn(move |request| Arc::clone(&server).respond(request));
        let provider = builder.http(service).dpop(key.clone()).build().unwrap();
        let bind = |bearer| DpopToken::new(bearer, key.clone()).unwrap();
        let context = crate::oauth2::tests::context().map(bind);
        let issued = provider.issue(context).await;
        let token = issued.map(|issued| issued.credential().expose().to_owned());
        token.map_err(|error| format!("{error:#}"))
    }
}

const TOKEN_URL: &str = "https://login.example.com/token?tenant=1";

/// Requests a token from a server that returns these responses. Also returns the claims of the
/// proofs.
async fn issue(key: &DpopKey, responses: Responses) -> (Result<String, String>, Vec<Value>) {
    let server = TokenServer::new(responses);
    let client = ClientCredentials::builder(TOKEN_URL);
    let client = client.client_id("me").client_secret("hidden");
    let token = server.issue(key, client).await;
    let proofs = server.proofs.lock().unwrap().clone();
    (token, proofs)
}

const TOKEN: &str = r#"{"access_token":"t","token_type":"dpop"}"#;
const WANTS: &str = r#"{"error":"use_dpop_nonce"}"#;

/// R29, R30.
#[tokio::test]
async fn a_token_request_is_sent_again_with_the_nonce() {
    let key = DpopKey::generate().unwrap();
    let (token, proofs) = issue(&key, vec![(400, "n1", WANTS), (200, "n2", TOKEN)]).await;
    assert_eq!(token.unwrap(), "t");
    assert_eq!(proofs.len(), 2);
    assert_eq!(proofs[0]["htu"], "https://login.example.com/token");
    assert!(proofs[0].get("nonce").is_none() && proofs[1]["nonce"] == "n1");
    assert_ne!(proofs[0]["jti"], proofs[1]["jti"]);

    let (_, proofs) = issue(&key, vec![(200, "", TOKEN)]).await;
    assert_eq!(proofs[0]["nonce"], "n2");
    // The server may ask for a different nonce, but only once per request.
    let (token, proofs) = issue(&key, vec![(401, "n3", WANTS), (401, "n4", WANTS)]).await;
    assert_eq!(
        (proofs[0]["nonce"].clone(), proofs[1]["nonce"].clone()),
        (json!("n2"), json!("n3"))
    );
    assert!(token.unwrap_err().contains("use_dpop_nonce"));
}

/// R29, R31: grants with assertions call their closure once per token, and send its assertion again
/// with the nonce.
#[tokio::test]
async fn assertions_are_exchanged_for_bound_tokens() {
    const EXCHANGED: &str = r#"{"access_token":"t","token_type":"DPoP","issued_token_type":"x"}"#;
    const UNBOUND: &str = r#"{"access_token":"t","token_type":"Bearer","issued_token_type":"x"}"#;

    async fn check<G: TokenEndpointGrant + Grant>(
        builder: impl Fn(Arc<AtomicUsize>) -> Builder<G>,
        parameter: &str,
    ) {
        let key = DpopKey::generate().unwrap();
        let count = Arc::new(AtomicUsize::new(0));
        let server = TokenServer::new(vec![(400, "n1", WANTS), (200, "", EXCHANGED)]);
        let token = server.issue(&key, builder(Arc::clone(&count))).await;
        assert_eq!(token.unwrap(), "t");
        assert_eq!(count.load(Ordering::Relaxed), 1);
        let proofs = server.proofs.lock().unwrap().clone();
        assert!(proofs[0].get("nonce").is_none() && proofs[1]["nonce"] == "n1");
        assert_ne!(proofs[0]["jti"], proofs[1]["jti"]);
        let forms = server.forms.lock().unwrap().clone();
        assert!(forms[0].contains(parameter), "{}", forms[0]);
        assert_eq!(forms[0], forms[1]);

        let server = TokenServer::new(vec![(200, "", UNBOUND)]);
        let error = server.issue(&key, builder(count)).await.unwrap_err();
        assert!(
            error.contains("its token_type is `Bearer`, not DPoP"),
            "{error}"
        );
    }

    fn counting(
        count: Arc<AtomicUsize>,
    ) -> impl Fn() -> Ready<Result<String, ProviderError>> + Send + Sync + 'static {
        move || {
            let number = count.fetch_add(1, Ordering::Relaxed) + 1;
            ready(Ok(format!("proof{number}")))
        }
    }

    let jwt_bearer = |count| JwtBearer::builder(TOKEN_URL).assertion(counting(count));
    check(jwt_bearer, "&assertion=proof1").await;
    let exchange = |count| {
        TokenExchange::builder(TOKEN_URL).subject_token(TokenExchange::JWT, counting(count))
    };
    check(exchange, "&subject_token=proof1").await;
}

#[tokio::test]
async fn other_errors_are_returned_even_with_a_nonce() {
    let key = DpopKey::generate().unwrap();
    let responses = vec![(400, "n1", r#"{"error":"invalid_client"}"#)];
    let (token, proofs) = issue(&key, responses).await;
    assert_eq!(proofs.len(), 1);
    assert!(token.unwrap_err().contains("invalid_client"));
}

/// R31.
#[tokio::test]
async fn an_unbound_token_is_refused() {
    let body = r#"{"access_token":"t","token_type":"Bearer"}"#;
    let (token, _) = issue(&DpopKey::generate().unwrap(), vec![(200, "", body)]).await;
    let error = token.unwrap_err();
    assert!(
        error.contains("its token_type is `Bearer`, not DPoP"),
        "{error:#}"
    );
}

#[test]
fn another_header_is_refused() {
    for name in ["x-token", "no header"] {
        let error = ClientCredentials::builder("https://login.example.com/token")
            .client_id("me")
            .client_secret("hidden")
            .http(tower::service_fn(|_: Request<Full<Bytes>>| async {
                Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
            }))
            .header_name(name)
            .dpop(DpopKey::generate().unwrap())
            .build()
            .unwrap_err();
        assert_eq!(error.field(), "header_name");
    }
}
