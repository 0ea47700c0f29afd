use ::http::StatusCode;

use super::*;
use crate::provider::Lifetime;

const DAY: u64 = 24 * 3600;

fn response(status: u16, content_type: &str, body: &str) -> Response<String> {
    Response::builder()
        .status(status)
        .header("content-type", content_type)
        .body(body.to_owned())
        .unwrap()
}

async fn issue_json(status: u16, body: &str) -> Result<Issued<Bearer>, ProviderError> {
    issue(client(), response(status, "application/json", body)).await
}

async fn error_of(status: u16, body: &str) -> ProviderError {
    issue_json(status, body).await.unwrap_err()
}

/// R3: unknown fields are ignored.
#[tokio::test(start_paused = true)]
async fn a_token_is_issued_with_its_lifetime() {
    for status in [200, 201, 203] {
        let body = r#"{"token_type":"Bearer","expires_in":3600,"access_token":"ey.J.=",
            "jti":[{}],"access_token_2":7}"#;
        let issued = issue_json(status, body).await.unwrap();
        assert_eq!(issued.credential().expose(), "ey.J.=");
        assert_eq!(issued.lifetime(), Lifetime::In(Duration::from_secs(3600)));
    }
}

/// P9, R5.
#[tokio::test(start_paused = true)]
async fn expires_in_is_read_in_every_format() {
    let seconds = |seconds| Lifetime::In(Duration::from_secs_f64(seconds));
    let ten_years = Lifetime::In(Duration::from_secs(3650 * DAY));
    for (written, expected) in [
        ("3600", seconds(3600.0)),
        ("\"3600\"", seconds(3600.0)),
        ("\" 3600 \"", seconds(3600.0)),
        ("3600.5", seconds(3600.5)),
        ("0", seconds(0.0)),
        ("-1", seconds(0.0)),
        ("\"-1\"", seconds(0.0)),
        ("1e300", ten_years),
        ("\"1e300\"", ten_years),
        ("99999999999999999999999999", ten_years),
        ("null", Lifetime::Unknown),
        ("\"\"", Lifetime::Unknown),
        ("\"soon\"", Lifetime::Unknown),
        ("\"NaN\"", Lifetime::Unknown),
        ("\"inf\"", Lifetime::Unknown),
        ("true", Lifetime::Unknown),
        ("[3600]", Lifetime::Unknown),
    ] {
        let body =
            format!(r#"{{"access_token":"abc","token_type":"Bearer","expires_in":{written}}}"#);
        let issued = issue_json(200, &body).await.unwrap();
        assert_eq!(issued.lifetime(), expected, "{written}");
    }
    let issued = issue_json(200, TOKEN).await.unwrap();
    assert_eq!(issued.lifetime(), Lifetime::Unknown);
}

/// P48, R3.
#[tokio::test]
async fn token_type_is_case_insensitive_and_sent_as_bearer() {
    for kind in ["Bearer", "bearer", "BEARER", "bEaReR"] {
        let body = format!(r#"{{"access_token":"abc","token_type":"{kind}"}}"#);
        assert!(issue_json(200, &body).await.is_ok(), "{kind}");
    }
}

/// P48, R3.
#[tokio::test]
async fn an_unknown_token_type_is_refused_by_name() {
    for kind in ["mac", "N_A", "DPoP", ""] {
        let body = format!(r#"{{"access_token":"abc","token_type":"{kind}"}}"#);
        let error = error_of(200, &body).await;
        assert!(error.is_permanent());
        assert!(
            format!("{error:#}").contains(&format!("`{kind}`")),
            "{error:#}"
        );
    }
}

/// P48, R3: an error names the field and never shows the body.
#[tokio::test]
async fn a_missing_or_unusable_field_is_refused_by_name() {
    for (body, field) in [
        ("{}", "access_token"),
        (r#"{"token_type":"Bearer","x":"leak"}"#, "access_token"),
        (
            r#"{"token_type":"Bearer","access_token":null}"#,
            "access_token",
        ),
        (
            r#"{"token_type":"Bearer","access_token":123454321}"#,
            "access_token",
        ),
        (
            r#"{"token_type":"Bearer","access_token":""}"#,
            "access_token",
        ),
        (
            r#"{"token_type":"Bearer","access_token":"le ak"}"#,
            "access_token",
        ),
        (r#"{"access_token":"leak"}"#, "token_type"),
        (
            r#"{"access_token":"leak","token_type":["leak"]}"#,
            "token_type",
        ),
        (
            r#"{"access_token":"leak","token_type":"leak"}"#,
            "token_type",
        ),
        (r#"["leak","Bearer"]"#, "JSON object"),
        (r#""leak""#, "JSON object"),
        (r#"{"access_token":"leak""#, "JSON object"),
    ] {
        let error = error_of(200, body).await;
        assert!(error.is_permanent(), "{body}");
        let shown = format!("{error:#} {error:?}");
        assert!(shown.contains(field), "{shown}");
        for leak in ["leak", "le ak", "12345"] {
            assert!(!shown.contains(leak), "{shown}");
        }
    }
}

/// R4.
#[tokio::test]
async fn the_scope_is_the_granted_or_else_the_requested_one() {
    for (scope, expected) in [
        (r#","scope":"read""#, Some("read")),
        ("", Some("read write")),
        (r#","scope":null"#, Some("read write")),
        (r#","scope":["read"]"#, Some("read write")),
    ] {
        let body = format!(r#"{{"access_token":"abc","token_type":"Bearer"{scope}}}"#);
        let response = response(200, "application/json", &body);
        let issued = issue(client().scopes(["read", "write"]), response).await;
        assert_eq!(issued.unwrap().credential().scope(), expected);
    }
    assert_eq!(
        issue_json(200, TOKEN).await.unwrap().credential().scope(),
        None
    );
}

#[tokio::test]
async fn the_token_is_sent_in_the_configured_header() {
    let client = client().header_name("Authentication");
    let issued = issue(client, Response::new(TOKEN)).await.unwrap();
    let expected = Bearer::new("abc").unwrap().header_name("Authentication");
    let token = issued.into_credential();
    assert!(crate::credential::Credential::is_same(
        &token,
        &expected.unwrap()
    ));
}

/// P49, R6, R7.
#[tokio::test]
async fn errors_are_read_on_400_401_and_403_alike() {
    for status in [400, 401, 403] {
        let error = error_of(
            status,
            r#"{"error":"invalid_client","error_description":"No such client",
                "error_uri":"https://auth.example.com/errors/1"}"#,
        )
        .await;
        assert!(error.is_permanent());
        let token_error = token_error(&error);
        assert_eq!(token_error.status().unwrap().as_u16(), status);
        assert_eq!(token_error.code(), Some("invalid_client"));
        assert_eq!(token_error.description(), Some("No such client"));
        assert_eq!(token_error.uri(), Some("https://auth.example.com/errors/1"));
        assert_eq!(
            format!("{error:#}"),
            format!(
                "provider error: the token endpoint refused the request: {status} invalid_client \
                 (No such client), see https://auth.example.com/errors/1: check client_id and \
                 client_secret, and whether the server requires client_secret_basic_unencoded() \
                 or client_secret_post()"
            )
        );
    }
}

/// P49.
#[tokio::test]
async fn a_success_with_an_error_field_is_an_error() {
    for error in [r#""invalid_scope""#, r#"{"message":"abc"}"#, "7"] {
        let body = format!(r#"{{"access_token":"abc","token_type":"Bearer","error":{error}}}"#);
        let error = error_of(200, &body).await;
        assert!(
            error.is_permanent() && !format!("{error:#}").contains("abc"),
            "{error:#}"
        );
    }
    for error in ["null", "\"\"", "false"] {
        let body = format!(r#"{{"access_token":"abc","token_type":"Bearer","error":{error}}}"#);
        assert!(issue_json(200, &body).await.is_ok(), "{error:#}");
    }
}

/// P49.
#[tokio::test]
async fn errors_show_status_and_content_type_but_never_the_body() {
    let huge = "leak".repeat(300_000);
    for (status, content_type, body, expected) in [
        (
            200,
            "text/html; charset=utf-8",
            "<p>leak",
            "not a JSON object; content type: text/html",
        ),
        (200, "", "leak", "content type: unknown"),
        (200, "application/json", "", "its body is empty"),
        (200, "application/json", huge.as_str(), "larger than 1 MiB"),
        (400, "text/html", "<p>leak", "content type: text/html"),
        (
            401,
            "application/json",
            "",
            "check client_id and client_secret",
        ),
        (403, "text/plain", huge.as_str(), "larger than 1 MiB"),
        (404, "text/html", "<p>leak", "check the token URL"),
        (502, "text/html", "<p>leak", "content type: text/html"),
    ] {
        let response = response(status, content_type, body);
        let error = issue(client(), response).await.unwrap_err();
        let shown = format!("{error:#}");
        assert!(shown.contains(expected), "{shown}");
        let status = StatusCode::from_u16(status).unwrap();
        assert!(shown.contains(&status.to_string()), "{shown}");
        assert!(!format!("{shown} {error:?}").contains("leak"), "{shown}");
    }
}

#[tokio::test]
async fn only_network_and_temporary_failures_are_transient() {
    for (status, transient) in [
        (200, false),
        (400, false),
        (401, false),
        (403, false),
        (404, false),
        (408, true),
        (425, true),
        (429, true),
        (500, true),
        (501, true),
        (503, true),
        (599, true),
    ] {
        for body in ["", r#"{"error":"invalid_grant"}"#] {
            let error = error_of(status, body).await;
            assert_eq!(error.is_transient(), transient, "{status} {body}");
            assert_eq!(error.is_permanent(), !transient, "{status} {body}");
        }
    }
}

#[tokio::test]
async fn a_truncated_response_is_transient_only_on_success() {
    for (status, transient) in [(200, true), (400, false), (500, true)] {
        let service = service_fn(move |_| async move {
            let cause = std::io::Error::other("reset by peer");
            let frames: [Result<http_body::Frame<Bytes>, _>; 1] = [Err(cause)];
            let body = http_body_util::StreamBody::new(futures::stream::iter(frames));
            Response::builder().status(status).body(body)
        });
        let provider = client().http(service).build().unwrap();
        let error = provider.issue(context()).await.unwrap_err();
        assert_eq!(error.is_transient(), transient);
        assert_eq!(token_error(&error).status().unwrap().as_u16(), status);
    }
}

#[tokio::test]
async fn server_text_is_shown_short_and_printable() {
    let long = "x".repeat(10_000);
    let body = format!(r#"{{"error":"{long}","error_description":"a\u0007\nbé\u001b[1m{long}"}}"#);
    let error = error_of(400, &body).await;
    assert_eq!(token_error(&error).code().map(str::len), Some(60));
    let description = token_error(&error).description().unwrap();
    assert!(description.starts_with("ab[1mxxx"), "{description}");
    assert_eq!(description.len(), 200);
}

/// Rule 10: this applies to every encoding in which the secret was sent.
#[tokio::test]
async fn server_text_with_a_secret_is_left_out() {
    for echo in [
        "a:hidden b",
        "hid\\u0000den",
        "aWQ6aGlkZGVu",
        "p4ram",
        "t0ken",
    ] {
        for field in ["error", "error_description", "error_uri"] {
            let body = format!(r#"{{"{field}":"got {echo}!","access_token":"t0ken"}}"#);
            let client = client().param("password", "p4ram");
            let error = issue(client, response(400, "", &body)).await.unwrap_err();
            let shown = format!("{error:#} {error:?}");
            assert!(!shown.contains("got"), "{shown}");
        }
    }
    let body = r#"{"error_description":"got a%2Fb"}"#;
    let client = client().client_secret("a/b");
    let error = issue(client, response(400, "", body)).await.unwrap_err();
    assert_eq!(token_error(&error).description(), None);
}

#[tokio::test]
async fn no_response_causes_a_panic() {
    let pieces = [
        "{",
        "}",
        "[",
        "\"",
        ":",
        ",",
        "1e999",
        "\u{0}",
        "é",
        "access_token",
        "null",
    ];
    for seed in 0..2_000 {
        let mut random = fastrand::Rng::with_seed(seed);
        let body: String = (0..random.usize(..12))
            .filter_map(|_| random.choice(pieces))
            .collect();
        let status = random.u16(200..1000);
        let _ = issue_json(status, &body).await;
    }
}

/// The codes decide whether a refresh token is dead, and reveal no secret.
#[tokio::test]
async fn known_error_codes_are_read_even_if_they_contain_a_secret() {
    for (sent, read) in [
        ("invalid_grant", Some("invalid_grant")),
        ("authorization_pending", Some("authorization_pending")),
        ("other_grant", None),
    ] {
        let body = format!(r#"{{"error":"{sent}","error_description":"no grant"}}"#);
        let response = Response::builder().status(400).body(body).unwrap();
        let client = client().param("audience", "grant").param("tenant", "a");
        let error = issue(client, response).await.unwrap_err();
        assert_eq!(token_error(&error).code(), read);
        assert_eq!(token_error(&error).description(), None);
    }
}
