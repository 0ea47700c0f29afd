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

/// Written by `openssl genrsa -traditional 2048`.
const PKCS1: &str = "-----BEGIN RSA PRIVATE KEY-----
MIIEogIBAAKCAQEAujZPiaXl6peZ9NBOh99J8XjAazp+42WHvboza1Y8xwfBVIkr
hujvz+8U1wZxCl+E+WUeNnczRdNP46SDiC+TDcW+k2TS3w0Baq24R1GmF4Wo8cIx
g+fvxEOJdxIxuGsYMgytgsHS0XA2xpoj2oA9OVgaddsJTvVODJZJrYaBWTHBwv8T
ECfCsy+579tZZMVbKu6FEEOhT3oK9f/tsDpZYv5FWLy5F52woClUhBnlH+kwK515
UrxLl6AAaTgjNL/7Iyf/z+bTk4aWBife0fWFl/l0ZMqyUY7iW2KlKgTeu0a3lYn8
YbI1Lq83TXoMri4lZpj+pZxQ5ZmnUP2hoMSfLQIDAQABAoIBAAC/t3QsaH0FwaJT
Im24CJo9S/DQLGmcR+wwaoTPR0OVFNSuWR4Jo8nWJwe7f1QHfpnXUB/vqoD69Uu4
78zFaey0HL8Zk/3QzJMWi3vl8byhn7IspDDo5uL0wN00uoa/fTpsBA8ytTcPRlSM
t5PpPh7vWQ9S2lVx9a+u/MNw5OZHo+LnEtA3QBf0IOEiQfo/fmyLKdGeUviBLf1G
3QkYNtOJ+u1luQrpmocG2Wr1N0X6hUH9gS3UZWwzmdKSIi3murEL5I+r+fWqHG3g
PlidjqVXF7gvIulV/3EESb3e2Zpv+dyl204BMhxQJWzdiVKfUr8/5EGOJAGr8UUR
izJqj/UCgYEA/j4Boq7pAwAC97zdzatbKxjdziJKdeKOjg4jZWoWbS6KZYf0s3C/
XcbHbTtBM6oT6v/OOJfFBs078GonGjZmfqN3WbWt0qt8U61HVrDgwbHRAIPs5sjX
VzaK7tiRWmL8vZrTE9R/DedezdGyQxSDmOt9dh8rxqLx4o8KFVV2MQsCgYEAu3/l
J87v6fXWnbrV5JcZ4/9RcBmKtGcVvoJMV3k8jxBJhJC9U7U548oH+cmMkg1GQ20d
n3OkmqdDbpkgH9qj1lnvvxWtOHqiPetw5aWvOLC25PiYL89uOG7Ii5EejlVeFR/B
6n1zbEzA6u3feGoAWxVWAypWmkK0c7cIPe/2g6cCgYBGHKFk1Klra2BmI05jfmLY
4rWgN/KiycSYRivatsPSfigqUbDYnzoWyU+LvvB/J+LwRnT/RFNQSd7CsPNxlhjz
yW6Lbb+uvh2+EaX/sS16HOhPJRJ6nl5MLb1omo6TB4M9YmndKReUpP6O8cogF5Mm
46IopfXzhFICMYINWhEK+wKBgEmYfd4OP+VZdZAb0fETzjnL8a9Kl0MQY1yP0F9V
WwvcnL7IAUhmDf73QgIttlttknLM1Z/MyINbvAAhYpaeP0jXrF8YpxFQMXaUf4/k
ZM6frmpZmYLKrLzB3z3JDHFZ2L/54yejbjbIOcD89YZSNSmLSmObrrqGDEaPRVDq
a5xpAoGACVOAbP9xMIBQEK9Zsh/hJbKC6E6Jmypxc1uj8czCycFP32wPhuA5Hd7z
icblrCZ9qwNq7e7VjqO7r9swaKr5XN9lDi3TNZTYZPcvb+qy57rIlpMXY2Hu10so
kk7zvdv25gvXBbiTjV4OvIS411vFru2DQkbIK+AQCaap5KY+vHU=
-----END RSA PRIVATE KEY-----\n";

/// The claims of RFC 7515 A, with its line breaks.
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

/// Splits a JWS into signing input, signature, header and claims.
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
async fn deterministic_signatures_match_the_rfc_vectors() {
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

/// These signatures are randomized, so they are verified with the public keys of RFC 7515.
#[tokio::test]
async fn randomized_signatures_verify() {
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

/// Written by OpenSSL: `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256`, and for SEC 1
/// `openssl ecparam -name prime256v1 -genkey`.
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
    // The curve parameters that OpenSSL writes before the key are skipped.
    let sec1 = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n\
                -----BEGIN EC PRIVATE KEY-----\n\
                MHcCAQEEIMYwrAtAq7khtL/bZ8tf01Gl4OkSknXHlLxzyq8aQRN5oAoGCCqGSM49\n\
                AwEHoUQDQgAEbTrIPddbL7XkQ2oq252T4eZC3BL3+ysnE6+vP5HuPrCsqxVIzY7O\n\
                5Le6aDYZWqozEAA+/HK2SBY13uMrNwf2Jw==\n\
                -----END EC PRIVATE KEY-----\n";
    SigningKey::from_pem(SigningAlgorithm::Es256, sec1).unwrap();
    for algorithm in [SigningAlgorithm::Rs256, SigningAlgorithm::Ps256] {
        SigningKey::from_pem(algorithm, PKCS1).unwrap();
    }
    let after_others =
        format!("-----BEGIN CERTIFICATE-----\r\nMAA=\r\n-----END CERTIFICATE-----\r\n{ed25519}");
    SigningKey::from_pem(SigningAlgorithm::EdDsa, &after_others.replace('\n', "\r\n")).unwrap();

    let section =
        |label: &str, body: &str| format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----");
    for (algorithm, pem, advice) in [
        (SigningAlgorithm::Rs256, ed25519, "cannot be used for RS256"),
        (SigningAlgorithm::Es256, ed25519, "cannot be used for ES256"),
        (SigningAlgorithm::EdDsa, p256, "cannot be used for EdDSA"),
        (SigningAlgorithm::EdDsa, sec1, "check the algorithm"),
        (SigningAlgorithm::EdDsa, "", "is not PEM"),
        (SigningAlgorithm::EdDsa, "hidden", "is not PEM"),
        (
            SigningAlgorithm::EdDsa,
            &section("PRIVATE KEY", "hidden!"),
            "is damaged",
        ),
        (
            SigningAlgorithm::EdDsa,
            "-----BEGIN PRIVATE KEY-----\nhidden",
            "is damaged",
        ),
        (
            SigningAlgorithm::EdDsa,
            &section("PUBLIC KEY", "MAA="),
            "is a public key",
        ),
        (
            SigningAlgorithm::Es256,
            &section("EC PRIVATE KEY", "MAA="),
            "cannot be used for ES256",
        ),
        (
            SigningAlgorithm::Es256,
            &section("RSA PRIVATE KEY", "MAA="),
            "check the algorithm",
        ),
        (
            SigningAlgorithm::EdDsa,
            &section("OPENSSH PRIVATE KEY", "MAA="),
            "openssl pkcs8 -topk8",
        ),
        (
            SigningAlgorithm::EdDsa,
            &section("ENCRYPTED PRIVATE KEY", "MAA="),
            "is encrypted",
        ),
        (
            SigningAlgorithm::Rs256,
            &section("RSA PRIVATE KEY", "Proc-Type: 4,ENCRYPTED\n\nMAA="),
            "is encrypted",
        ),
    ] {
        let error = SigningKey::from_pem(algorithm, pem).unwrap_err();
        assert_eq!(error.field(), "key");
        let text = error.to_string();
        assert!(text.contains(advice), "{text}");
        assert!(!text.contains("hidden") && !text.contains("MC4C"), "{text}");
    }
}

#[test]
fn an_unusable_jwk_is_rejected_without_being_shown() {
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
        assert!(!format!("{error:#}").contains("hidden"), "{error:#}");
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
async fn the_assertion_names_client_audience_and_expiry() {
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
async fn every_assertion_has_a_unique_id() {
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
async fn client_secret_jwt_does_not_send_the_secret() {
    let form = form_of(client().client_secret_jwt()).await;
    assert!(!form.contains_key("client_secret"));
    let (input, signature, header, _) = parts(&form["client_assertion"]);
    assert_eq!(header, json!({"alg": "HS256", "typ": "JWT"}));
    assert_eq!(signature, hmac_sha256(b"hidden", input.as_bytes()));
}

/// The last call wins, as with all settings.
#[tokio::test]
async fn the_last_client_authentication_setting_wins() {
    let (head, body) =
        request_of(client().client_secret_jwt().client_secret_basic_unencoded()).await;
    assert!(head.headers.contains_key("authorization") && !body.contains("assertion"));
    let form = form_of(client().client_secret_post().client_secret_jwt()).await;
    assert!(form.contains_key("client_assertion") && !form.contains_key("client_secret"));
}

#[tokio::test]
async fn the_error_names_a_missing_or_conflicting_setting() {
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
async fn a_remote_key_signs_the_jws_input() {
    let key = SigningKey::remote(SigningAlgorithm::Rs256, |message| async move {
        Ok::<_, BoxError>(message.to_vec())
    });
    let (input, signature, header, _) = parts(&key.key_id("k").sign_jwt(&json!({})).await.unwrap());
    assert_eq!(signature, input.as_bytes());
    assert_eq!(header, json!({"alg": "RS256", "typ": "JWT", "kid": "k"}));
}

/// Nothing was sent, so the failure is transient and nothing was spent.
#[tokio::test]
async fn a_failing_remote_key_is_a_transient_failure() {
    for (key, why) in [
        (remote(Err("the HSM is locked")), "the HSM is locked"),
        (remote(Ok(71)), "not DER"),
    ] {
        let error: ProviderError = issue(signing(key), http::Response::new(""))
            .await
            .unwrap_err();
        assert!(error.is_transient());
        let text = format!("{error:#}");
        assert!(
            text.starts_with("temporary provider error: could not create the token request"),
            "{text}"
        );
        assert!(text.contains(why), "{text}");
        let error: &TokenError = token_error(&error);
        assert!(error.is_without_effect() && error.status().is_none());
    }
}

/// Rule 10: an assertion is valid for a minute, and a gateway can echo it.
#[tokio::test]
async fn no_error_shows_the_assertion() {
    let service = tower::service_fn(
        |request: http::Request<http_body_util::Full<bytes::Bytes>>| async {
            let body = http_body_util::BodyExt::collect(request.into_body())
                .await?
                .to_bytes();
            let sent = String::from_utf8_lossy(&body).into_owned();
            let assertion = sent.split("client_assertion=").nth(1).unwrap().to_owned();
            let response = json!({"error": "invalid_client", "error_description": assertion});
            let body = http_body_util::Full::<bytes::Bytes>::from(response.to_string());
            Ok::<_, BoxError>(http::Response::builder().status(401).body(body)?)
        },
    );
    let provider = signing(key(ED25519)).http(service).build().unwrap();
    let error = crate::Provider::issue(&provider, crate::oauth2::tests::context())
        .await
        .unwrap_err();
    assert_eq!(token_error(&error).code(), Some("invalid_client"));
    assert_eq!(token_error(&error).description(), None);
    let text = format!("{error:#}");
    assert!(
        text.contains("key_id(..)") && !text.contains("eyJ"),
        "{text}"
    );
}

#[tokio::test]
async fn an_external_assertion_is_sent_unchanged() {
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
        error.is_transient() && format!("{error:#}").contains("the file is gone"),
        "{error:#}"
    );
}
