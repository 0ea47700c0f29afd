use http::{Method, Request};

use super::{super::SentHead, *};

/// Returns the first challenge of RFC 7616 section 3.9.1, for an algorithm.
fn mufasa(algorithm: &str) -> Challenge {
    let value = format!(
        "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm={algorithm}, \
         nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", \
         opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
    );
    Challenge::parse(&value).remove(0)
}

fn answer_of(space: &ProtectionSpace, user: &str, uri: &str) -> Challenge {
    let value = space.authorize(user, &Method::GET, uri).unwrap();
    Challenge::parse(value.to_str().unwrap()).remove(0)
}

/// RFC 7616 section 3.9.1.
#[test]
fn authorizations_match_the_examples_of_the_rfc() {
    for (algorithm, response) in [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        (
            "SHA-256",
            "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
        ),
    ] {
        let challenge = DigestChallenge::new(&mufasa(algorithm)).unwrap();
        let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ".to_owned();
        let space = ProtectionSpace::with_cnonce(challenge, "Mufasa", "Circle of Life", cnonce);
        let answer = answer_of(&space, "Mufasa", "/dir/index.html");
        let param = |name| answer.param(name).unwrap();
        assert_eq!(param("response"), response);
        assert_eq!(
            (param("username"), param("uri")),
            ("Mufasa", "/dir/index.html")
        );
        assert_eq!((param("qop"), param("nc")), ("auth", "00000001"));
        assert_eq!(param("algorithm"), algorithm);
        assert_eq!(
            param("opaque"),
            "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"
        );
    }
}

/// RFC 7616 section 3.9.2, with the values of its erratum 4897 (SHA-512/256, not truncated
/// SHA-512).
#[test]
fn the_user_name_can_be_hashed() {
    let challenge = Challenge::parse(
        "Digest realm=\"api@example.org\", qop=\"auth\", algorithm=SHA-512-256, \
         nonce=\"5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK\", \
         opaque=\"HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS\", charset=UTF-8, userhash=true",
    )
    .remove(0);
    let challenge = DigestChallenge::new(&challenge).unwrap();
    let cnonce = "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v".to_owned();
    let user = "J\u{e4}s\u{f8}n Doe";
    let space = ProtectionSpace::with_cnonce(challenge, user, "Secret, or not?", cnonce);
    let answer = answer_of(&space, user, "/doe.json");
    assert_eq!(
        answer.param("username"),
        Some("793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b")
    );
    assert_eq!(answer.param("userhash"), Some("true"));
    assert_eq!(
        answer.param("response"),
        Some("3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5")
    );
}

#[test]
fn quotes_and_accents_are_encoded() {
    let challenge = "Digest realm=\"a \\\"realm\\\"\", nonce=\"n\"";
    let challenge = DigestChallenge::new(&Challenge::parse(challenge).remove(0)).unwrap();
    let space = ProtectionSpace::new(challenge, "J\u{e4}", "p").unwrap();
    let value = space.authorize("J\u{e4}", &Method::GET, "/").unwrap();
    let value = value.to_str().unwrap();
    assert!(
        value.starts_with("Digest username*=UTF-8''J%C3%A4, realm=\"a \\\"realm\\\"\""),
        "{value}"
    );
    // RFC 2069 has neither a count nor a cnonce.
    assert!(
        !value.contains("nc=") && !value.contains("algorithm"),
        "{value}"
    );
}

#[test]
fn unsupported_challenges_are_ignored() {
    for challenge in [
        "Basic realm=\"x\"",
        "Digest realm=\"x\"",
        "Digest realm=\"x\", nonce=\"n\", algorithm=SHA-3",
        "Digest realm=\"x\", nonce=\"n\", qop=\"auth-int\"",
    ] {
        assert!(
            DigestChallenge::new(&Challenge::parse(challenge).remove(0)).is_none(),
            "{challenge}"
        );
    }
}

const URL: &str = "https://camera.example/snapshot?size=2";

/// Sends a request with the credential in its current state. Returns whether the response leads to
/// a retry, and the `Authorization` value that was sent.
fn exchange(
    digest: &Digest,
    url: &str,
    status: u16,
    headers: &[(&str, &str)],
) -> (bool, Option<String>) {
    let mut request = Request::get(url).body(()).unwrap();
    digest
        .apply(&mut RequestHeadMut::new(&mut request))
        .unwrap();
    let sent = request.headers().get(AUTHORIZATION);
    let sent = sent.map(|value| value.to_str().unwrap().to_owned());
    let mut response = HeaderMap::new();
    for (name, value) in headers {
        response.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
    }
    let head = SentHead::of(&request);
    let status = StatusCode::from_u16(status).unwrap();
    (
        digest.on_response(&ResponseHead::new(&head, status, &response)),
        sent,
    )
}

fn challenge_with(nonce: &str) -> Vec<(&'static str, String)> {
    vec![(
        "www-authenticate",
        format!("Digest realm=\"r\", qop=\"auth\", nonce=\"{nonce}\""),
    )]
}

fn digest() -> Digest {
    Digest::new("alice", "hunter2").unwrap()
}

fn challenged(digest: &Digest, url: &str, challenge: &str) -> bool {
    exchange(digest, url, 401, &[("www-authenticate", challenge)]).0
}

#[test]
fn a_nonce_is_used_until_it_is_stale() {
    let digest = digest();
    let (_, sent) = exchange(&digest, URL, 200, &[]);
    assert_eq!(sent, None);
    assert!(challenged(&digest, URL, &challenge_with("n1")[0].1));
    for count in 1..=3 {
        let sent = exchange(&digest, URL, 200, &[]).1.unwrap();
        assert!(
            sent.contains("nonce=\"n1\"") && sent.contains(&format!("nc=0000000{count}")),
            "{sent}"
        );
        assert!(sent.contains("uri=\"/snapshot?size=2\""), "{sent}");
    }
    assert!(challenged(
        &digest,
        URL,
        &format!("{}, stale=TRUE", challenge_with("n2")[0].1)
    ));
    let sent = exchange(&digest, URL, 200, &[]).1.unwrap();
    assert!(
        sent.contains("nonce=\"n2\"") && sent.contains("nc=00000001"),
        "{sent}"
    );
}

#[test]
fn a_wrong_password_is_not_retried() {
    let digest = digest();
    assert!(
        challenged(&digest, URL, &challenge_with("n1")[0].1),
        "sent without authorization"
    );
    assert!(
        !challenged(&digest, URL, &challenge_with("n2")[0].1),
        "the password is wrong"
    );
    assert!(!challenged(&digest, URL, &challenge_with("n3")[0].1));
}

/// A restarted server does not know the nonce, and does not report it as stale.
#[test]
fn an_accepted_nonce_that_is_rejected_is_replaced() {
    let digest = digest();
    assert!(challenged(&digest, URL, &challenge_with("n1")[0].1));
    exchange(&digest, URL, 200, &[]);
    assert!(challenged(&digest, URL, &challenge_with("n2")[0].1));
    assert!(!challenged(&digest, URL, &challenge_with("n3")[0].1));
}

#[test]
fn nextnonce_replaces_the_nonce() {
    let digest = digest();
    assert!(challenged(&digest, URL, &challenge_with("n1")[0].1));
    exchange(
        &digest,
        URL,
        200,
        &[("authentication-info", "qop=auth, nextnonce=\"n2\"")],
    );
    let sent = exchange(&digest, URL, 200, &[]).1.unwrap();
    assert!(sent.contains("nonce=\"n2\""), "{sent}");
}

#[test]
fn servers_have_separate_nonces_and_are_bounded() {
    let digest = digest();
    assert!(challenged(&digest, URL, &challenge_with("n1")[0].1));
    assert_eq!(
        exchange(&digest, "https://other.example/", 200, &[]).1,
        None
    );
    for number in 0..1000 {
        let url = format!("https://{number}.example/");
        assert!(challenged(&digest, &url, &challenge_with("n")[0].1));
    }
    assert!(digest.spaces().len() <= MAX_SPACES);
}

#[test]
fn bad_user_names_and_passwords_are_refused_and_not_shown() {
    for (user, password, field) in [
        ("a:b", "p", "user"),
        ("a\n", "p", "user"),
        ("a", "hunter2\n", "password"),
    ] {
        let error = Digest::new(user, password).unwrap_err();
        assert_eq!(error.field(), field);
        assert!(!format!("{error:#}").contains("hunter2"), "{error:#}");
    }
    assert_eq!(format!("{:?}", digest()), "Digest { .. }");
}
