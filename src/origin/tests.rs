use super::*;

fn check(origins: &Origins, uri: &str) -> Check {
    let uri: Uri = uri.parse().unwrap();
    let quick = origins.check(&uri);
    assert_eq!(
        quick,
        origins.check_slowly(&uri),
        "the quick way agrees: {uri}"
    );
    quick
}

fn allows(origins: &Origins, uri: &str) -> bool {
    check(origins, uri) == Check::Allowed
}

/// P34.
#[test]
fn an_origin_is_scheme_host_and_port_however_they_are_written() {
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
fn addresses_are_compared_as_addresses() {
    let origins = Origins::any_of(["https://[2001:DB8::1]:8443", "https://192.0.2.7"]).unwrap();
    assert!(allows(&origins, "https://[2001:db8:0:0:0:0:0:1]:8443/"));
    assert!(!allows(&origins, "https://[2001:db8::1]/"));
    assert!(allows(&origins, "https://192.0.2.7:443/"));
    assert!(!allows(&origins, "https://192.0.2.8/"));
}

/// Rule 9: the parser of URIs lets anything follow the bracket, and clients take a port out of it.
#[test]
fn what_follows_an_address_is_a_port_or_nothing() {
    let origins = Origins::only("https://[2001:db8::1]").unwrap();
    for other in ["https://[2001:db8::1]~:8443/", "https://[2001:db8::1]evil/"] {
        assert_eq!(check(&origins, other), Check::Denied, "{other}");
    }
    assert!(Origins::only("https://[2001:db8::1]~:8443").is_err());
}

/// Rule 9, P35.
#[test]
fn plain_http_goes_to_loopback_only_unless_danger_is_named() {
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
        "origin: `http://api.example.com` is plain http, which everybody on the way can read: use \
         https, or name it with Origins::danger_plain_http if you must (plain http to loopback is \
         fine)"
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

/// P35, S4.
#[test]
fn a_wildcard_stands_for_characters_of_the_leftmost_label_only() {
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
        "one character at least"
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

/// P35, S4.
#[test]
fn an_exception_takes_away_what_a_wildcard_gives() {
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
fn a_pattern_that_is_too_wide_is_refused() {
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
fn what_is_no_origin_is_refused_with_the_reason() {
    for (text, reason) in [
        ("api.example.com", "does not start with `https://`"),
        ("ftp://x.com", "does not start with `https://`"),
        ("https://", "no valid host"),
        ("https://x.com:port", "no valid host"),
        ("https://x.com:99999", "no valid host"),
        ("https://a..b", "no valid host"),
        ("https://[::1", "no valid host"),
        ("https://x.com/path", "leave the rest away"),
        ("https://x.com?q", "leave the rest away"),
    ] {
        let error = Origins::only(text).unwrap_err();
        assert_eq!(error.field(), "origin");
        assert!(format!("{error:#}").contains(reason), "{text}: {error:#}");
        assert!(format!("{error:#}").contains(text), "{text}: {error:#}");
    }
    let error = Origins::only("https://me:my-secret@x.com")
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("user information") && !error.contains("my-secret"),
        "{error:#}"
    );
    assert!(Origins::any_of(Vec::<String>::new()).is_err());
    assert!(
        Origins::only("https://x.com/").is_ok(),
        "a slash at the end is no path"
    );
}

/// P57.
#[test]
fn a_uri_without_a_host_counts_only_where_the_policy_says_as_what() {
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
fn two_policies_together_allow_what_either_allows() {
    let both = Origins::only("https://api.example.com")
        .unwrap()
        .and(Origins::danger_plain_http(["http://internal"]).unwrap());
    assert!(allows(&both, "https://api.example.com/"));
    assert!(allows(&both, "http://internal/"));
    let [any, relative] = [
        Origins::danger_any_https(),
        Origins::for_relative_uris("https://api.example.com").unwrap(),
    ];
    for all in [any.clone().and(relative.clone()), relative.and(any)] {
        assert!(allows(&all, "https://other.example.com/"));
        assert!(allows(&all, "/things"));
    }
    let debug = format!("{both:?}");
    assert!(
        debug.contains("[https://api.example.com, http://internal]"),
        "{debug}"
    );
}

#[test]
fn the_quick_comparison_agrees_with_the_whole_one() {
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

/// P57: a server within a private network, for a client that is bound to it.
#[test]
fn plain_http_for_uris_without_a_host_is_named_with_danger() {
    let internal = Origins::danger_relative_as_plain_http("http://internal:50051").unwrap();
    assert!(allows(&internal, "/echo.Echo/Say"));
    assert!(allows(&internal, "http://internal:50051/echo.Echo/Say"));
    assert!(Origins::danger_relative_as_plain_http("http://*.x.internal").is_err());
}
