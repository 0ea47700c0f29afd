use std::fmt::Write;

use fastrand::Rng;
use http::{HeaderMap, header::WWW_AUTHENTICATE};

use super::{parse::MAX_CHALLENGES, *};

/// Prints each challenge as a line `scheme token68 name=value ...`.
fn read(value: &str) -> String {
    let mut text = String::new();
    for challenge in Challenge::parse(value) {
        text.push_str(challenge.scheme());
        if let Some(token68) = challenge.token68() {
            write!(text, " {token68}").unwrap();
        }
        for (name, value) in challenge.params() {
            write!(text, " {name}={value}").unwrap();
        }
        text.push('\n');
    }
    text
}

/// P19, R33.
#[test]
fn real_challenges_are_parsed() {
    for (value, expected) in [
        ("Basic", "Basic\n"),
        ("Basic realm=\"x\"", "Basic realm=x\n"),
        ("Basic realm=x", "Basic realm=x\n"),
        ("Basic, Bearer", "Basic\nBearer\n"),
        (
            "Basic realm=\"x\",Bearer error=\"y\"",
            "Basic realm=x\nBearer error=y\n",
        ),
        (
            "Bearer realm=\"a, b\", error=\"c\"",
            "Bearer realm=a, b error=c\n",
        ),
        (
            r#"Basic realm="api realm \"quoted\" \\""#,
            "Basic realm=api realm \"quoted\" \\\n",
        ),
        ("Negotiate abc==", "Negotiate abc==\n"),
        ("Negotiate abc=", "Negotiate abc=\n"),
        (
            "NTLM, Negotiate TlRM/+==, Basic realm=x",
            "NTLM\nNegotiate TlRM/+==\nBasic realm=x\n",
        ),
        (
            "Bearer realm = \"x\" , error\t=\ty",
            "Bearer realm=x error=y\n",
        ),
        (", ,Basic realm=x,, ,Bearer,", "Basic realm=x\nBearer\n"),
        (
            "Newauth realm=\"apps\", type=1, title=\"Login to \\\"apps\\\"\", Basic realm=\"s\"",
            "Newauth realm=apps type=1 title=Login to \"apps\"\nBasic realm=s\n",
        ),
        ("Bearer error=\"\"", "Bearer error=\n"),
        ("", ""),
        (" \t ", ""),
    ] {
        assert_eq!(read(value), expected, "{value}");
    }
}

/// P19, R34: a syntax error in one challenge does not hide the next.
#[test]
fn text_outside_the_grammar_is_skipped() {
    for (value, expected) in [
        (
            "Basic realm=\"x\" junk, Bearer error=y",
            "Basic realm=x\nBearer error=y\n",
        ),
        ("???, Bearer error=y", "Bearer error=y\n"),
        ("=, Bearer error=y", "Bearer error=y\n"),
        ("orphan=1, Bearer error=y", "Bearer error=y\n"),
        ("B@d realm=x, Bearer error=y", "Bearer error=y\n"),
        (
            "Basic some words, Bearer error=y",
            "Basic\nBearer error=y\n",
        ),
        ("Bearer error=\"never closed", "Bearer error=never closed\n"),
        (
            "Bearer error=\"never closed\\",
            "Bearer error=never closed\n",
        ),
        (
            "Bearer realm=\"Zürich\", error=y",
            "Bearer realm=Zürich error=y\n",
        ),
    ] {
        assert_eq!(read(value), expected, "{value}");
    }
}

#[test]
fn several_fields_form_one_list_even_with_invalid_utf8() {
    let mut headers = HeaderMap::new();
    headers.append(WWW_AUTHENTICATE, "Basic realm=x".parse().unwrap());
    headers.append(WWW_AUTHENTICATE, "Bearer error=y".parse().unwrap());
    let latin1 = http::HeaderValue::from_bytes(b"Digest realm=\"\xfc\", qop=auth").unwrap();
    headers.append(WWW_AUTHENTICATE, latin1);
    let challenges = Challenge::from_headers(&headers);
    let schemes: Vec<_> = challenges.iter().map(Challenge::scheme).collect();
    assert_eq!(schemes, ["Basic", "Bearer", "Digest"]);
    assert_eq!(challenges[2].param("QOP"), Some("auth"));
}

#[test]
fn a_huge_field_is_bounded() {
    assert_eq!(
        Challenge::parse(&"Basic,".repeat(100_000)).len(),
        MAX_CHALLENGES
    );
    let many = format!("Basic {}", "a=b,".repeat(100_000));
    assert_eq!(Challenge::parse(&many)[0].params().count(), 64);
}

/// P19, R15.
#[test]
fn error_codes_ignore_case_and_invalid_token_wins() {
    let code = |value| error_code(&Challenge::parse(value));
    assert_eq!(
        code("Bearer error=\"invalid_token\""),
        Some(ErrorCode::InvalidToken)
    );
    assert_eq!(
        code("BEARER ERROR=invalid_request"),
        Some(ErrorCode::InvalidRequest)
    );
    assert_eq!(
        code("DPoP error=\"insufficient_scope\""),
        Some(ErrorCode::InsufficientScope)
    );
    assert_eq!(
        code("Bearer error=insufficient_scope, Bearer error=invalid_token"),
        Some(ErrorCode::InvalidToken)
    );
    assert_eq!(code("Basic error=\"invalid_request\""), None);
    assert_eq!(code("Bearer realm=x"), None);
}

/// Rule 13, P19, R33.
#[test]
fn no_field_makes_the_parser_panic() {
    let mut random = Rng::with_seed(19);
    let pieces = [
        "Basic", "=", "\"", "\\", ",", " ", "\t", "a", "==", "é", "error", "\u{7f}", ";",
    ];
    for _ in 0..100_000 {
        let length = random.usize(..24);
        let value: String = (0..length)
            .map(|_| *random.choice(&pieces).unwrap_or(&""))
            .collect();
        let _ = Challenge::parse(&value);
    }
}

#[test]
fn well_formed_challenges_round_trip() {
    let mut random = Rng::with_seed(33);
    let word = |random: &mut Rng| -> String {
        (0..random.usize(1..8))
            .map(|_| random.alphanumeric())
            .collect()
    };
    for _ in 0..10_000 {
        let (mut text, mut expected) = (String::new(), String::new());
        for challenge in 0..random.usize(1..4) {
            if challenge > 0 {
                text.push_str(random.choice([",", ", ", " ,\t,"]).unwrap());
            }
            let scheme = word(&mut random);
            write!(text, "{scheme} ").unwrap();
            write!(expected, "{scheme}").unwrap();
            for param in 0..random.usize(1..4) {
                let (name, value) = (word(&mut random), word(&mut random));
                let comma = if param > 0 { ", " } else { "" };
                let odd = random.choice(["", ",", "\"", " ", "\\", "="]).unwrap();
                let escaped = odd.replace('\\', r"\\").replace('"', "\\\"");
                write!(text, "{comma}{name}=\"{value}{escaped}\"").unwrap();
                write!(expected, " {name}={value}{odd}").unwrap();
            }
            expected.push('\n');
        }
        assert_eq!(read(&text), expected, "{text}");
    }
}

/// RFC 9110 section 11.6.1: a challenge has parameters or a token68.
#[test]
fn an_empty_parameter_before_others_is_not_a_token68() {
    let challenges = Challenge::parse(r#"Bearer error=, realm="api""#);
    assert_eq!(challenges.len(), 1);
    assert_eq!(challenges[0].token68(), None);
    assert_eq!(challenges[0].param("realm"), Some("api"));
}
