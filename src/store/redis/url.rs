//! Where the server is.

use redis::{Client, ConnectionAddr, IntoConnectionInfo};

use crate::store::StoreError;

/// A client for the URL, and how errors call the server: no more than host and port, so that
/// nothing of a password can be in it.
pub(super) fn open(url: &str) -> Result<(Client, String), StoreError> {
    // The errors of the parser quote the URL.
    let refused = |why: &str| StoreError::new(format!("the URL of Redis cannot be used: {why}"));
    let (scheme, rest) = url.split_once("://").unwrap_or_default();
    let is_tls = matches!(scheme, "rediss" | "valkeys");
    let is_tcp = is_tls || matches!(scheme, "redis" | "valkey");
    if is_tcp
        && let Some(end) = rest.find(['/', '?', '#'])
        && rest[end..].contains('@')
    {
        // Else the beginning of the password would be taken for the host.
        return Err(refused(
            "`/`, `?` and `#` in a password must be percent-encoded",
        ));
    }
    let form = || match is_tls {
        true => refused(
            "either it is not of the form rediss://user:password@host:port/database, or the crate \
             `redis` is built without TLS: depend on it too, with its feature `tokio-rustls-comp`",
        ),
        false => refused("it is not of the form redis://user:password@host:port/database"),
    };
    let info = url.into_connection_info().map_err(|_| form())?;
    let name = match info.addr() {
        ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
            match host.contains(':') {
                true => format!("redis at [{host}]:{port}"),
                false => format!("redis at {host}:{port}"),
            }
        }
        other => format!("redis at {other}"),
    };
    Ok((Client::open(info).map_err(|_| form())?, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_called_by_host_and_port() {
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
    fn without_tls_the_error_says_what_to_depend_on() {
        if let Err(error) = open("rediss://me:hunter2@host") {
            let text = error.to_string();
            assert!(
                text.contains("tokio-rustls-comp") && !text.contains("hunter2"),
                "{text}"
            );
        }
    }

    /// Rule 10.
    #[test]
    fn a_url_that_is_none_is_refused_and_not_shown() {
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
            assert!(text.contains("the URL of Redis cannot be used"), "{text}");
        }
    }
}
