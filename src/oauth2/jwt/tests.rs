use std::{
    collections::HashMap,
    time::{SystemTime, UNIX_EPOCH},
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use percent_encoding::percent_decode_str;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256,
    RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde_json::{Value, json};

use super::*;
use crate::{
    error::{BoxError, ProviderError},
    oauth2::{
        Builder, ClientCredentials, TokenError,
        tests::{client, issue, request_of, token_error},
    },
};

/// RFC 7515 A.2.1.
const RSA: &str = r#"{"kty":"RSA",
"n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ",
"e":"AQAB",
"d":"Eq5xpGnNCivDflJsRQBXHx1hdR1k6Ulwe2JZD50LpXyWPEAeP88vLNO97IjlA7_GQ5sLKMgvfTeXZx9SE-7YwVol2NXOoAJe46sui395IW_GO-pWJ1O0BkTGoVEn2bKVRUCgu-GjBVaYLU6f3l9kJfFNS3E0QbVdxzubSu3Mkqzjkn439X0M_V51gfpRLI9JYanrC4D4qAdGcopV_0ZHHzQlBjudU2QvXt4ehNYTCBr6XCLQUShb1juUO1ZdiYoFaFQT5Tw8bGUl_x_jTj3ccPDVZFD9pIuhLhBOneufuBiB4cS98l2SR_RQyGWSeWjnczT0QU91p1DhOVRuOopznQ",
"p":"4BzEEOtIpmVdVEZNCqS7baC4crd0pqnRH_5IB3jw3bcxGn6QLvnEtfdUdiYrqBdss1l58BQ3KhooKeQTa9AB0Hw_Py5PJdTJNPY8cQn7ouZ2KKDcmnPGBY5t7yLc1QlQ5xHdwW1VhvKn-nXqhJTBgIPgtldC-KDV5z-y2XDwGUc",
"q":"uQPEfgmVtjL0Uyyx88GZFF1fOunH3-7cepKmtH4pxhtCoHqpWmT8YAmZxaewHgHAjLYsp1ZSe7zFYHj7C6ul7TjeLQeZD_YwD66t62wDmpe_HlB-TnBA-njbglfIsRLtXlnDzQkv5dTltRJ11BKBBypeeF6689rjcJIDEz9RWdc",
"dp":"BwKfV3Akq5_MFZDFZCnW-wzl-CCo83WoZvnLQwCTeDv8uzluRSnm71I3QCLdhrqE2e9YkxvuxdBfpT_PI7Yz-FOKnu1R6HsJeDCjn12Sk3vmAktV2zb34MCdy7cpdTh_YVr7tss2u6vneTwrA86rZtu5Mbr1C1XsmvkxHQAdYo0",
"dq":"h_96-mK1R_7glhsum81dZxjTnYynPbZpHziZjeeHcXYsXaaMwkOlODsWa7I9xXDoRwbKgB719rrmI2oKr6N3Do9U0ajaHF-NKJnwgjMd2w9cjz3_-kyNlxAr2v4IKhGNpmM5iIgOS1VZnOZ68m6_pbLBSp3nssTdlqvd0tIiTHU",
"qi":"IYd7DHOhrWvxkwPQsRM2tOgrjbcrfvtQJipd-DlcxyVuuM9sQLdgjVk2oy26F0EmpScGLq2MowX7fhd_QJQ3ydy5cY7YIBi87w93IKLEdfnbJtoOPLUW0ITrJReOgo1cq9SbsxYawBgfp_gh6A5603k2-ZQwVK0JKSHuLFkuQ3U"}"#;
/// RFC 7515 A.3.1.
const P256: &str = r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
"y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0","d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"}"#;
/// RFC 8037 A.1.
const ED25519: &str = r#"{"kty":"OKP","crv":"Ed25519","kid":"one",
"d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;

/// The claims of RFC 7515 A, with its line ends.
const CLAIMS: &str = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt\
                      cGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

fn key(jwk: &str) -> SigningKey {
    SigningKey::from_jwk(jwk).unwrap()
}

fn bytes(text: &str) -> Vec<u8> {
    BASE64_URL_SAFE_NO_PAD.decode(text).unwrap()
}

fn member(jwk: &str, name: &str) -> Vec<u8> {
    let jwk: Value = serde_json::from_str(jwk).unwrap();
    bytes(jwk[name].as_str().unwrap())
}

/// Input and signature of a JWS, and its header and claims.
fn parts(jws: &str) -> (String, Vec<u8>, Value, Value) {
    let (input, signature) = jws.rsplit_once('.').unwrap();
    let (header, claims) = input.split_once('.').unwrap();
    let json = |text: &str| serde_json::from_slice(&bytes(text)).unwrap();
    (
        input.to_owned(),
        bytes(signature),
        json(header),
        json(claims),
    )
}

#[tokio::test]
async fn signatures_are_those_of_the_specifications() {
    let sign = async |jwk: &str, input: String| {
        let signature = key(jwk).sign(input.into()).await.unwrap();
        BASE64_URL_SAFE_NO_PAD.encode(signature)
    };
    // RFC 7515 A.2.1.
    assert_eq!(
        sign(RSA, format!("eyJhbGciOiJSUzI1NiJ9.{CLAIMS}")).await,
        "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W\
         2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkS\
         jtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnv\
         Wh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"
    );
    // RFC 8037 A.4.
    let input = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
    assert_eq!(
        sign(ED25519, input.to_owned()).await,
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
    );
    // RFC 7515 A.1.1.
    let secret =
        "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
    let input = format!("eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.{CLAIMS}");
    assert_eq!(
        BASE64_URL_SAFE_NO_PAD.encode(hmac_sha256(&bytes(secret), input.as_bytes())),
        "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    );
}

/// Of these no two are alike, so the public keys of RFC 7515 have to accept them.
#[tokio::test]
async fn signatures_with_random_numbers_are_accepted() {
    let jws = key(P256)
        .key_id("k1")
        .sign_jwt(&json!({"a": 1}))
        .await
        .unwrap();
    let (input, signature, header, claims) = parts(&jws);
    assert_eq!(header, json!({"alg": "ES256", "typ": "JWT", "kid": "k1"}));
    assert_eq!(claims, json!({"a": 1}));
    let point = [vec![4], member(P256, "x"), member(P256, "y")].concat();
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
        .verify(input.as_bytes(), &signature)
        .unwrap();

    let jws = key(&RSA.replace("\"RSA\",", "\"RSA\",\"alg\":\"PS256\","));
    let (input, signature, header, _) = parts(&jws.sign_jwt(&json!({})).await.unwrap());
    assert_eq!(header, json!({"alg": "PS256", "typ": "JWT"}));
    let public = RsaPublicKeyComponents {
        n: member(RSA, "n"),
        e: member(RSA, "e"),
    };
    public
        .verify(&RSA_PSS_2048_8192_SHA256, input.as_bytes(), &signature)
        .unwrap();
    assert!(
        public
            .verify(&RSA_PKCS1_2048_8192_SHA256, input.as_bytes(), &signature)
            .is_err()
    );
}

/// As OpenSSL writes them: `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256`.
#[test]
fn keys_are_read_from_pem() {
    let ed25519 = "-----BEGIN PRIVATE KEY-----\n\
                   MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n\
                   -----END PRIVATE KEY-----\n";
    let key = SigningKey::from_pem(SigningAlgorithm::EdDsa, ed25519).unwrap();
    assert_eq!(key.algorithm().name(), "EdDSA");
    let p256 = "-----BEGIN PRIVATE KEY-----\n\
                MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg0bsCf2Sz3i6AP1Rg\n\
                iL/bbR1jvD1gRlF84XTsnWAfb1ahRANCAAT+pIIPevbMfXrxKV6fryKiUGVPMOQG\n\
                AHeTwwF9wxlCjnqlNsLUYCddeXOrryjSiEAwKgPDhHMBzZWR4xNziMPc\n\
                -----END PRIVATE KEY-----\n";
    SigningKey::from_pem(SigningAlgorithm::Es256, p256).unwrap();
    let after_others =
        format!("-----BEGIN CERTIFICATE-----\r\nMAA=\r\n-----END CERTIFICATE-----\r\n{ed25519}");
    SigningKey::from_pem(SigningAlgorithm::EdDsa, &after_others.replace('\n', "\r\n")).unwrap();

    for (algorithm, pem) in [
        (SigningAlgorithm::Rs256, ed25519),
        (SigningAlgorithm::Es256, ed25519),
        (SigningAlgorithm::EdDsa, p256),
        (SigningAlgorithm::EdDsa, ""),
        (SigningAlgorithm::EdDsa, "hidden"),
        (
            SigningAlgorithm::EdDsa,
            "-----BEGIN PRIVATE KEY-----\nhidden!\n-----END PRIVATE KEY-----",
        ),
        (
            SigningAlgorithm::EdDsa,
            "-----BEGIN PRIVATE KEY-----\nhidden",
        ),
        (
            SigningAlgorithm::EdDsa,
            "-----BEGIN PUBLIC KEY-----\nMAA=\n-----END PUBLIC KEY-----",
        ),
        (
            SigningAlgorithm::Es256,
            "-----BEGIN EC PRIVATE KEY-----\nMAA=\n-----END EC PRIVATE KEY-----",
        ),
        (
            SigningAlgorithm::EdDsa,
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAA=\n-----END ENCRYPTED PRIVATE KEY-----",
        ),
    ] {
        let error = SigningKey::from_pem(algorithm, pem).unwrap_err();
        assert_eq!(error.field(), "key");
        let text = error.to_string();
        assert!(!text.contains("hidden") && !text.contains("MC4C"), "{text}");
    }
}

#[test]
fn a_jwk_that_can_not_sign_is_refused_without_being_shown() {
    for jwk in [
        "hidden",
        "[]",
        "{}",
        r#"{"kty":"oct","k":"hidden"}"#,
        r#"{"kty":"EC","crv":"P-521","d":"hidden"}"#,
        r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
        r#"{"kty":"OKP","crv":"Ed25519","d":"hidden"}"#,
        &ED25519.replace("\"one\"", "\"one\",\"alg\":\"ES256\""),
        &P256.replace("f83O", "g83O"),
        &RSA.replace("\"AQAB\"", "\"AQ\""),
        &RSA.replace("\"dp\"", "\"other\""),
    ] {
        let error = SigningKey::from_jwk(jwk).unwrap_err();
        assert_eq!(error.field(), "key");
        assert!(!error.to_string().contains("hidden"), "{error}");
    }
    let shown = format!("{:?} {:?}", key(ED25519), key(RSA));
    assert!(
        shown.contains("one") && !shown.contains("nWGx") && !shown.contains("Eq5x"),
        "{shown}"
    );
}

fn signing(key: SigningKey) -> Builder<ClientCredentials> {
    ClientCredentials::builder(crate::oauth2::tests::URL)
        .client_id("id")
        .private_key_jwt(key)
}

async fn form_of(client: Builder<ClientCredentials>) -> HashMap<String, String> {
    let (head, body) = request_of(client).await;
    assert!(!head.headers.contains_key("authorization"));
    let decode = |text: &str| percent_decode_str(text).decode_utf8().unwrap().into_owned();
    let pairs = body.split('&').map(|pair| pair.split_once('=').unwrap());
    pairs
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}

/// R26.
#[tokio::test]
async fn the_assertion_says_who_the_client_is_and_whom_it_speaks_to() {
    let form = form_of(signing(key(ED25519))).await;
    assert_eq!(form["client_id"], "id");
    assert_eq!(
        form["client_assertion_type"],
        "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    );
    assert!(!form.contains_key("client_secret"));
    let (_, _, header, claims) = parts(&form["client_assertion"]);
    assert_eq!(header, json!({"alg": "EdDSA", "typ": "JWT", "kid": "one"}));
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let iat = claims["iat"].as_u64().unwrap();
    assert!((now - 5..=now).contains(&iat), "{claims}");
    assert_eq!(claims["exp"], iat + 60);
    let named = |claims: &Value| ["iss", "sub", "aud"].map(|name| claims[name].clone());
    assert_eq!(named(&claims), ["id", "id", crate::oauth2::tests::URL]);

    let elsewhere = signing(key(ED25519)).assertion_audience("https://auth.example.com");
    let (_, _, _, claims) = parts(&form_of(elsewhere).await["client_assertion"]);
    assert_eq!(claims["aud"], "https://auth.example.com");
}

/// R26.
#[tokio::test]
async fn no_two_assertions_are_alike() {
    let assertion =
        async |client| parts(&form_of(client).await["client_assertion"]).3["jti"].clone();
    let with_secret = || client().client_secret_jwt();
    let one = assertion(signing(key(ED25519))).await;
    assert_eq!(one.as_str().unwrap().len(), 22);
    assert_ne!(one, assertion(signing(key(ED25519))).await);
    assert_ne!(
        assertion(with_secret()).await,
        assertion(with_secret()).await
    );
}

#[tokio::test]
async fn a_secret_signs_without_being_sent() {
    let form = form_of(client().client_secret_jwt()).await;
    assert!(!form.contains_key("client_secret"));
    let (input, signature, header, _) = parts(&form["client_assertion"]);
    assert_eq!(header, json!({"alg": "HS256", "typ": "JWT"}));
    assert_eq!(signature, hmac_sha256(b"hidden", input.as_bytes()));
}

/// The last word counts, as with all settings.
#[tokio::test]
async fn one_way_of_client_authentication_takes_the_place_of_another() {
    let (head, body) =
        request_of(client().client_secret_jwt().client_secret_basic_unencoded()).await;
    assert!(head.headers.contains_key("authorization") && !body.contains("assertion"));
    let form = form_of(client().client_secret_post().client_secret_jwt()).await;
    assert!(form.contains_key("client_assertion") && !form.contains_key("client_secret"));
}

#[tokio::test]
async fn what_is_missing_or_too_much_is_named() {
    let field = async |client: Builder<ClientCredentials>| {
        let service = tower::service_fn(|_| async {
            let body = http_body_util::Full::<bytes::Bytes>::default();
            Ok::<_, BoxError>(http::Response::new(body))
        });
        client.http(service).build().unwrap_err().field().to_owned()
    };
    let new = || ClientCredentials::builder(crate::oauth2::tests::URL);
    assert_eq!(
        field(new().private_key_jwt(key(ED25519))).await,
        "client_id"
    );
    assert_eq!(
        field(signing(key(ED25519)).client_id("")).await,
        "client_id"
    );
    assert_eq!(
        field(signing(key(ED25519)).client_secret("x")).await,
        "client_secret"
    );
    assert_eq!(
        field(new().client_id("id").client_secret_jwt()).await,
        "client_secret"
    );
    assert_eq!(
        field(client().client_secret("").client_secret_jwt()).await,
        "client_secret"
    );
    let audience = signing(key(ED25519)).assertion_audience("");
    assert_eq!(field(audience).await, "assertion_audience");
    assert_eq!(
        field(signing(key(ED25519)).param("client_assertion", "x")).await,
        "param"
    );
}

fn remote(signature: Result<usize, &'static str>) -> SigningKey {
    SigningKey::remote(SigningAlgorithm::Es256, move |_| async move {
        signature.map(|length| vec![7; length])
    })
}

#[tokio::test]
async fn a_vault_signs_what_it_is_given() {
    let key = SigningKey::remote(SigningAlgorithm::Rs256, |message| async move {
        Ok::<_, BoxError>(message.to_vec())
    });
    let (input, signature, header, _) = parts(&key.key_id("k").sign_jwt(&json!({})).await.unwrap());
    assert_eq!(signature, input.as_bytes());
    assert_eq!(header, json!({"alg": "RS256", "typ": "JWT", "kid": "k"}));
}

/// Nothing was sent, so nothing is known to be wrong, and nothing is spent.
#[tokio::test]
async fn a_vault_that_fails_is_a_transient_failure_that_says_so() {
    for (key, why) in [
        (remote(Err("the vault is sealed")), "the vault is sealed"),
        (remote(Ok(71)), "not DER"),
    ] {
        let error: ProviderError = issue(signing(key), http::Response::new(""))
            .await
            .unwrap_err();
        assert!(error.is_transient());
        let text = error.to_string();
        assert!(
            text.starts_with("the token endpoint was not asked"),
            "{text}"
        );
        assert!(text.contains(why), "{text}");
        let error: &TokenError = token_error(&error);
        assert!(error.is_without_effect() && error.status().is_none());
    }
}

/// Rule 10: an assertion is good for a minute, and a gateway can quote it.
#[tokio::test]
async fn no_error_shows_the_assertion() {
    let service = tower::service_fn(
        |request: http::Request<http_body_util::Full<bytes::Bytes>>| async {
            let body = http_body_util::BodyExt::collect(request.into_body())
                .await?
                .to_bytes();
            let sent = String::from_utf8_lossy(&body).into_owned();
            let assertion = sent.split("client_assertion=").nth(1).unwrap().to_owned();
            let answer = json!({"error": "invalid_client", "error_description": assertion});
            let body = http_body_util::Full::<bytes::Bytes>::from(answer.to_string());
            Ok::<_, BoxError>(http::Response::builder().status(401).body(body)?)
        },
    );
    let provider = signing(key(ED25519)).http(service).build().unwrap();
    let error = crate::Provider::issue(&provider, crate::oauth2::tests::context())
        .await
        .unwrap_err();
    assert_eq!(token_error(&error).code(), Some("invalid_client"));
    assert_eq!(token_error(&error).description(), None);
    let text = error.to_string();
    assert!(
        text.contains("key_id(..)") && !text.contains("eyJ"),
        "{text}"
    );
}

#[tokio::test]
async fn an_assertion_of_somebody_else_is_shown_as_it_is() {
    let new = || ClientCredentials::builder(crate::oauth2::tests::URL).client_id("id");
    let given = new().client_assertion(|| async { Ok("a.b.c".to_owned()) });
    assert!(!format!("{given:?}").contains("a.b.c"));
    let form = form_of(given).await;
    assert_eq!(form["client_assertion"], "a.b.c");
    assert_eq!(form["client_id"], "id");

    let broken = || async { Err(ProviderError::transient("the file is gone")) };
    let error = issue(new().client_assertion(broken), http::Response::new("")).await;
    let error = error.unwrap_err();
    assert!(
        error.is_transient() && error.to_string().contains("the file is gone"),
        "{error}"
    );
}
