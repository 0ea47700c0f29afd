use super::*;

fn check(origins: &Origins, uri: &str) -> Check {
    let uri: Uri = uri.parse().unwrap();
    let fast = origins.check(&uri);
    assert_eq!(
        fast,
        origins.check_slowly(&uri),
        "the fast path agrees: {uri}"
    );
    fast
}

fn allows(origins: &Origins, uri: &str) -> bool {
    check(origins, uri) == Check::Allowed
}

/// P34.
#[test]
fn origins_compare_by_scheme_host_and_port_not_by_spelling() {
    let api = Origins::only("https://api.example.com").unwrap();
    for same in [
        "https://api.example.com/",
        "https://api.example.com/things?page=2",
        "https://api.example.com:443/",
        "https://API.Example.COM/",
        "HTTPS://api.example.com/",
        "https://api.example.com./",
        "https://user:password@api.example.com/",
    ] {
        assert!(allows(&api, same), "{same}");
    }
    for other in [
        "http://api.example.com/",
        "http://api.example.com:443/",
        "https://api.example.com:8443/",
        "https://example.com/",
        "https://a.api.example.com/",
        "https://xapi.example.com/",
        "https://api.example.com.evil.com/",
        "https://api.example.com@evil.com/",
        "https://api.example.com:443@evil.com/",
        "https://api.example.com../",
        "ftp://api.example.com/",
    ] {
        assert_eq!(check(&api, other), Check::Denied, "{other}");
    }
}

/// P34.
#[test]
fn ip_addresses_are_compared_by_value() {
    let origins = Origins::any_of(["https://[2001:DB8::1]:8443", "https://192.0.2.7"]).unwrap();
    assert!(allows(&origins, "https://[2001:db8:0:0:0:0:0:1]:8443/"));
    assert!(!allows(&origins, "https://[2001:db8::1]/"));
    assert!(allows(&origins, "https://192.0.2.7:443/"));
    assert!(!allows(&origins, "https://192.0.2.8/"));
}

/// Rule 9: the URI parser accepts any text after the bracket, and clients read a port from it.
#[test]
fn only_a_port_may_follow_an_ipv6_address() {
    let origins = Origins::only("https://[2001:db8::1]").unwrap();
    for other in ["https://[2001:db8::1]~:8443/", "https://[2001:db8::1]evil/"] {
        assert_eq!(check(&origins, other), Check::Denied, "{other}");
    }
    assert!(Origins::only("https://[2001:db8::1]~:8443").is_err());
}

/// Rule 9, P35.
#[test]
fn plain_http_beyond_loopback_needs_a_danger_constructor() {
    for loopback in [
        "http://localhost:8080",
        "http://127.0.0.1",
        "http://127.8.9.10:1",
        "http://[::1]:2",
    ] {
        let origins = Origins::only(loopback).unwrap();
        assert!(allows(&origins, &format!("{loopback}/path")), "{loopback}");
    }
    let error = Origins::only("http://api.example.com").unwrap_err();
    assert_eq!(
        format!("{error:#}"),
        "origin: `http://api.example.com` is plain http, so everyone on the network path can \
         read the credential: use https, or allow it with Origins::danger_plain_http (plain http to \
         loopback is allowed)"
    );
    for other in [
        "http://localhost.example.com",
        "http://128.0.0.1",
        "http://[::2]",
    ] {
        assert!(Origins::only(other).is_err(), "{other}");
    }
    let internal = Origins::danger_plain_http(["http://internal:8080"]).unwrap();
    assert!(allows(&internal, "http://internal:8080/"));
    assert!(!allows(&internal, "http://internal/"));
}

/// P35.
#[test]
fn a_wildcard_matches_within_the_leftmost_label_only() {
    let services = Origins::only("https://*.services.x.com").unwrap();
    for inside in ["https://a.services.x.com/", "https://A-1.Services.x.com/"] {
        assert!(allows(&services, inside), "{inside}");
    }
    for outside in [
        "https://services.x.com/",
        "https://.services.x.com/",
        "https://a.b.services.x.com/",
        "https://aservices.x.com/",
        "https://a.services.x.com.evil.com/",
        "http://a.services.x.com/",
        "https://a.services.x.com:444/",
    ] {
        assert!(!allows(&services, outside), "{outside}");
    }
    let staging = Origins::only("https://*-stg.services.x.com").unwrap();
    assert!(allows(&staging, "https://a-stg.services.x.com/"));
    assert!(!allows(&staging, "https://a.services.x.com/"));
    assert!(!allows(&staging, "https://a-dev.services.x.com/"));
    assert!(
        !allows(&staging, "https://-stg.services.x.com/"),
        "at least one character"
    );
    let middle = Origins::only("https://a*b.x.com").unwrap();
    assert!(allows(&middle, "https://a-b.x.com/"));
    for outside in ["ab", "x-b", "a-x", "a-bx", "xa-b"] {
        assert!(
            !allows(&middle, &format!("https://{outside}.x.com/")),
            "{outside}"
        );
    }
}

/// P35.
#[test]
fn an_exception_overrides_a_wildcard() {
    let production = Origins::any_of(["https://*.services.x.com"])
        .unwrap()
        .except(["https://*-stg.services.x.com"])
        .unwrap();
    assert!(allows(&production, "https://a.services.x.com/"));
    assert!(!allows(&production, "https://a-stg.services.x.com/"));
    let but_one = Origins::danger_any_https()
        .except(["https://evil.example.com"])
        .unwrap();
    assert!(allows(&but_one, "https://anything.example.com/"));
    assert!(!allows(&but_one, "https://evil.example.com/"));
    assert!(!allows(&but_one, "http://anything.example.com/"));
    for no_host in ["https://.example.com/", "https://a..example.com/"] {
        assert!(!allows(&but_one, no_host), "{no_host}");
    }
}

/// P35.
#[test]
fn patterns_that_match_too_much_are_refused() {
    for wide in [
        "https://*",
        "https://*.com",
        "https://*x.com",
        "https://*.*.x.com",
        "https://a.*.x.com",
        "https://**.x.com",
        "https://127.*.0.1",
        "https://*.com.",
        "https://*.com:443",
    ] {
        assert!(Origins::only(wide).is_err(), "{wide}");
    }
}

#[test]
fn invalid_origins_are_refused_with_the_reason() {
    for (text, reason) in [
        ("api.example.com", "does not start with `https://`"),
        ("ftp://x.com", "does not start with `https://`"),
        ("https://", "valid host and port"),
        ("https://x.com:port", "valid host and port"),
        ("https://x.com:99999", "valid host and port"),
        ("https://a..b", "valid host and port"),
        ("https://[::1", "valid host and port"),
        ("https://x.com/path", "remove the rest"),
        ("https://x.com?q", "remove the rest"),
    ] {
        let error = Origins::only(text).unwrap_err();
        assert_eq!(error.field(), "origin");
        assert!(format!("{error:#}").contains(reason), "{text}: {error:#}");
        assert!(format!("{error:#}").contains(text), "{text}: {error:#}");
    }
    let error = Origins::only("https://me:my-secret@x.com").unwrap_err();
    let error = format!("{error:#}");
    assert!(
        error.contains("user information") && !error.contains("my-secret"),
        "{error:#}"
    );
    assert!(Origins::any_of(Vec::<String>::new()).is_err());
    assert!(
        Origins::only("https://x.com/").is_ok(),
        "a trailing slash is not a path"
    );
}

/// P57.
#[test]
fn relative_uris_need_a_policy_that_names_their_origin() {
    let absolute = Origins::only("https://api.example.com").unwrap();
    assert_eq!(check(&absolute, "/things"), Check::NoAuthority);
    let bound = Origins::for_relative_uris("https://api.example.com").unwrap();
    assert!(allows(&bound, "/things"));
    assert!(allows(&bound, "https://api.example.com/things"));
    assert!(!allows(&bound, "https://other.example.com/things"));
    assert!(
        !allows(&bound, "other.example.com:443"),
        "the target of CONNECT"
    );
    assert!(Origins::for_relative_uris("https://*.x.example.com").is_err());
    assert!(Origins::for_relative_uris("http://api.example.com").is_err());
}

#[test]
fn or_allows_what_either_policy_allows() {
    let both = Origins::only("https://api.example.com")
        .unwrap()
        .or(Origins::danger_plain_http(["http://internal"]).unwrap());
    assert!(allows(&both, "https://api.example.com/"));
    assert!(allows(&both, "http://internal/"));
    let [any, relative] = [
        Origins::danger_any_https(),
        Origins::for_relative_uris("https://api.example.com").unwrap(),
    ];
    for all in [any.clone().or(relative.clone()), relative.or(any)] {
        assert!(allows(&all, "https://other.example.com/"));
        assert!(allows(&all, "/things"));
    }
    let excluded = Origins::danger_any_https()
        .except(["https://api.example.com"])
        .unwrap();
    for all in [both.clone().or(excluded.clone()), excluded.or(both.clone())] {
        assert!(!allows(&all, "https://api.example.com/"), "exceptions win");
        assert!(allows(&all, "http://internal/"));
    }
    let debug = format!("{both:?}");
    assert!(
        debug.contains("[https://api.example.com, http://internal]"),
        "{debug}"
    );
}

#[test]
fn the_fast_path_agrees_with_the_full_check() {
    let mut random = fastrand::Rng::with_seed(34);
    let hosts = [
        "a.x.com",
        "A.x.com",
        "b.x.com",
        "a.x.com.",
        "127.0.0.1",
        "[::1]",
        "u@a.x.com",
    ];
    let ports = ["", ":443", ":80", ":8443"];
    let all = [
        Origins::only("https://a.x.com").unwrap(),
        Origins::only("https://a.x.com:8443").unwrap(),
        Origins::only("https://a.x.com")
            .unwrap()
            .except(["https://a.x.com"])
            .unwrap(),
        Origins::only("https://*.x.com").unwrap(),
        Origins::any_of(["http://127.0.0.1", "https://[::1]:8443"]).unwrap(),
        Origins::danger_any_https(),
    ];
    for _ in 0..10_000 {
        let scheme = random.choice(["http", "https"]).unwrap();
        let (host, port) = (random.choice(hosts).unwrap(), random.choice(ports).unwrap());
        for origins in &all {
            check(origins, &format!("{scheme}://{host}{port}/path"));
        }
    }
}

/// P57: a client that is bound to a server on a private network.
#[test]
fn plain_http_for_relative_uris_needs_a_danger_constructor() {
    let internal = Origins::danger_plain_http_for_relative_uris("http://internal:50051").unwrap();
    assert!(allows(&internal, "/echo.Echo/Say"));
    assert!(allows(&internal, "http://internal:50051/echo.Echo/Say"));
    assert!(Origins::danger_plain_http_for_relative_uris("http://*.x.internal").is_err());
}
