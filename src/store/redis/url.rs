//! The URL of the server.

use redis::{Client, ConnectionAddr, IntoConnectionInfo};

use crate::store::StoreError;

/// Returns a client for the URL, and the server's name for errors. The name consists only of the
/// host and the port, so that it cannot contain any part of a password.
pub(super) fn open(url: &str) -> Result<(Client, String), StoreError> {
    // The parser's errors quote the URL.
    let invalid = |why: &str| StoreError::new(format!("the URL is not a valid Redis URL: {why}"));
    let (scheme, rest) = url.split_once("://").unwrap_or_default();
    let is_tls = matches!(scheme, "rediss" | "valkeys");
    let is_tcp = is_tls || matches!(scheme, "redis" | "valkey");
    if is_tcp
        && let Some(end) = rest.find(['/', '?', '#'])
        && rest[end..].contains('@')
    {
        // The parser would mistake the beginning of the password for the host.
        return Err(invalid("percent-encode `/`, `?` and `#` in the password"));
    }
    let malformed = || match is_tls {
        true => invalid(
            "either it does not have the form rediss://user:password@host:port/database, or the \
             crate `redis` is built without TLS: add it to your dependencies with its feature \
             `tokio-rustls-comp`",
        ),
        false => invalid("it must have the form redis://user:password@host:port/database"),
    };
    let info = url.into_connection_info().map_err(|_| malformed())?;
    let name = match info.addr() {
        ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
            match host.contains(':') {
                true => format!("redis at [{host}]:{port}"),
                false => format!("redis at {host}:{port}"),
            }
        }
        other => format!("redis at {other}"),
    };
    Ok((Client::open(info).map_err(|_| malformed())?, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_named_by_host_and_port() {
        for (url, name) in [
            ("redis://127.0.0.1", "redis at 127.0.0.1:6379"),
            (
                "redis://me:hunter2@db.example.com:7000/3",
                "redis at db.example.com:7000",
            ),
            ("redis://:hun%2Fter2@[::1]:7000", "redis at [::1]:7000"),
            (
                "redis+unix:///run/redis.sock?pass=hunter2",
                "redis at /run/redis.sock",
            ),
        ] {
            assert_eq!(open(url).unwrap().1, name);
        }
    }

    #[test]
    fn without_tls_the_error_names_the_missing_feature() {
        if let Err(error) = open("rediss://me:hunter2@host") {
            let text = format!("{error:#}");
            assert!(
                text.contains("tokio-rustls-comp") && !text.contains("hunter2"),
                "{text}"
            );
        }
    }

    /// Rule 10.
    #[test]
    fn an_invalid_url_is_rejected_without_quoting_it() {
        for url in [
            "",
            "hunter2",
            "http://me:hunter2@host",
            "redis://me:hunter2",
            "redis://me:12/hunter2@host",
            "redis://me:12?hunter2@host",
            "redis://me:12#hunter2@host",
            "redis://me:hunter2@host/hunter2",
            "redis://me:hunter2@host/?protocol=hunter2",
        ] {
            let error = open(url).map(|(_, name)| name).unwrap_err();
            let text = format!("{error:#} {error:?}");
            assert!(!text.contains("hunter2"), "{text}");
            assert!(text.contains("the URL is not a valid Redis URL"), "{text}");
        }
    }
}
