//! The origin policy. The first line is the origin, the second is the URI of a request.

#![no_main]

use std::{
    convert::Infallible,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
};

use http::{Request, Response, Uri, header::AUTHORIZATION};
use libfuzzer_sys::fuzz_target;
use tower::{Layer, ServiceExt};
use tower_auth::{AuthLayer, Origins, credential::Bearer};
use tower_auth_fuzz::run;

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let (origin, uri) = text.split_once('\n').unwrap_or((&text, ""));
    let (Ok(origins), Ok(uri)) = (Origins::only(origin), uri.parse::<Uri>()) else {
        return;
    };
    if !is_sent(origins, &uri) {
        return;
    }
    let host = host(&uri).expect("a credential to no host");
    match uri.scheme_str() {
        Some("https") => {}
        Some("http") => assert!(is_loopback(&host), "plain http to {host}"),
        other => panic!("a credential over {other:?}"),
    }
    let named: Uri = origin
        .replace('*', "wildcard")
        .parse()
        .expect("an origin that is not a URI");
    assert_eq!(port(&uri), port(&named), "another port");
    assert_eq!(named.scheme(), uri.scheme(), "another scheme");
    let named = self::host(&named).unwrap();
    if origin.contains('*') {
        let end = named.split_once('.').unwrap().1;
        assert!(
            host.ends_with(&format!(".{end}")),
            "{host} is not within {end}"
        );
        let labels = |host: &str| host.split('.').count();
        assert_eq!(
            labels(&host),
            labels(&named),
            "the star stands for one label"
        );
    } else {
        assert_eq!(host, named, "another host");
    }
});

/// Returns whether the layer attaches a credential to a request with this URI.
fn is_sent(origins: Origins, uri: &Uri) -> bool {
    let sent = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&sent);
    let server = tower::service_fn(move |request: Request<()>| {
        seen.store(request.headers().contains_key(AUTHORIZATION), SeqCst);
        async { Ok::<_, Infallible>(Response::new(String::new())) }
    });
    let mut request = Request::new(());
    *request.uri_mut() = uri.clone();
    let service = AuthLayer::new(Bearer::new("token").unwrap(), origins).layer(server);
    let _ = run(service.oneshot(request));
    sent.load(SeqCst)
}

fn host(uri: &Uri) -> Option<String> {
    let host = uri.host()?.to_ascii_lowercase();
    let host = host.strip_suffix('.').unwrap_or(&host);
    // An address has several spellings.
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    Some(match bare.parse::<IpAddr>() {
        Ok(address) => address.to_string(),
        Err(_) => host.to_owned(),
    })
}

fn port(uri: &Uri) -> u16 {
    let usual = if uri.scheme_str() == Some("http") {
        80
    } else {
        443
    };
    uri.port_u16().unwrap_or(usual)
}

fn is_loopback(host: &str) -> bool {
    host == "localhost"
        || host
            .parse()
            .is_ok_and(|address: IpAddr| address.is_loopback())
}
