//! Arbitrary `WWW-Authenticate` fields.

#![no_main]

use http::{HeaderMap, HeaderValue, header::WWW_AUTHENTICATE};
use libfuzzer_sys::fuzz_target;
use tower_auth::Challenge;

fuzz_target!(|data: &[u8]| {
    let mut headers = HeaderMap::new();
    for line in data.split(|byte| *byte == b'\n') {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.append(WWW_AUTHENTICATE, value);
        }
    }
    let challenges = Challenge::from_headers(&headers);
    let read: usize = challenges.iter().map(size).sum();
    assert!(read <= 3 * data.len(), "more than was written");
    for challenge in &challenges {
        let scheme = challenge.scheme();
        assert!(!scheme.is_empty() && challenge.is_scheme(&scheme.to_ascii_uppercase()));
        assert!(challenge.token68().is_none() || challenge.params().next().is_none());
        for (name, _) in challenge.params() {
            assert!(!name.is_empty() && challenge.param(name).is_some());
        }
        assert_eq!(
            written(challenge).as_ref(),
            Some(challenge),
            "read otherwise when written"
        );
    }
});

fn size(challenge: &Challenge) -> usize {
    let params = challenge
        .params()
        .map(|(name, value)| name.len() + value.len());
    let token68 = challenge.token68().map_or(0, str::len);
    challenge.scheme().len() + params.sum::<usize>() + token68
}

/// Serializes the challenge and parses it again.
fn written(challenge: &Challenge) -> Option<Challenge> {
    let mut text = challenge.scheme().to_owned();
    if let Some(token68) = challenge.token68() {
        text.push_str(&format!(" {token68}"));
    }
    for (index, (name, value)) in challenge.params().enumerate() {
        let value = value.replace('\\', "\\\\").replace('"', "\\\"");
        let comma = if index == 0 { "" } else { "," };
        text.push_str(&format!("{comma} {name}=\"{value}\""));
    }
    Challenge::parse(&text).into_iter().next()
}
