use std::fmt::Write;

use fastrand::Rng;

use super::*;

/// Challenges as `scheme token68 name=value ..`, one a line.
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
fn challenges_are_read_as_servers_write_them() {
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

/// P19, R34: a slip in one challenge does not hide the next.
#[test]
fn what_is_not_understood_is_skipped_and_what_follows_is_read() {
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
fn several_fields_are_one_list_and_other_bytes_than_text_do_not_matter() {
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
fn a_huge_field_costs_little() {
    assert_eq!(Challenge::parse(&"Basic,".repeat(100_000)).len(), MOST);
    let many = format!("Basic {}", "a=b,".repeat(100_000));
    assert_eq!(Challenge::parse(&many)[0].params().count(), 64);
}

const MOST: usize = parse::MOST_CHALLENGES;

/// P19, R15.
#[test]
fn complaints_are_read_without_case_and_a_curable_one_wins() {
    let complaint = |value| complaint(&Challenge::parse(value));
    assert_eq!(
        complaint("Bearer error=\"invalid_token\""),
        Some(Complaint::InvalidToken)
    );
    assert_eq!(
        complaint("BEARER ERROR=invalid_request"),
        Some(Complaint::InvalidRequest)
    );
    assert_eq!(
        complaint("DPoP error=\"insufficient_scope\""),
        Some(Complaint::InsufficientScope)
    );
    assert_eq!(
        complaint("Bearer error=insufficient_scope, Bearer error=invalid_token"),
        Some(Complaint::InvalidToken)
    );
    assert_eq!(complaint("Basic error=\"invalid_request\""), None);
    assert_eq!(complaint("Bearer realm=x"), None);
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
fn what_is_well_formed_reads_back_as_it_was_meant() {
    let mut random = Rng::with_seed(33);
    let word = |random: &mut Rng| -> String {
        (0..random.usize(1..8))
            .map(|_| random.alphanumeric())
            .collect()
    };
    for _ in 0..10_000 {
        let (mut text, mut meant) = (String::new(), String::new());
        for challenge in 0..random.usize(1..4) {
            if challenge > 0 {
                text.push_str(random.choice([",", ", ", " ,\t,"]).unwrap());
            }
            let scheme = word(&mut random);
            write!(text, "{scheme} ").unwrap();
            write!(meant, "{scheme}").unwrap();
            for param in 0..random.usize(1..4) {
                let (name, value) = (word(&mut random), word(&mut random));
                let comma = if param > 0 { ", " } else { "" };
                let odd = random.choice(["", ",", "\"", " ", "\\", "="]).unwrap();
                let escaped = odd.replace('\\', r"\\").replace('"', "\\\"");
                write!(text, "{comma}{name}=\"{value}{escaped}\"").unwrap();
                write!(meant, " {name}={value}{odd}").unwrap();
            }
            meant.push('\n');
        }
        assert_eq!(read(&text), meant, "{text}");
    }
}

/// RFC 9110 11.6.1: a challenge has parameters or a token68.
#[test]
fn an_empty_parameter_before_others_is_no_token68() {
    let challenges = Challenge::parse(r#"Bearer error=, realm="api""#);
    assert_eq!(challenges.len(), 1);
    assert_eq!(challenges[0].token68(), None);
    assert_eq!(challenges[0].param("realm"), Some("api"));
}
