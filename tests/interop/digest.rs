//! HTTP Digest, at servers that support it.

use std::time::Duration;

use futures::{FutureExt, future::BoxFuture};
use tokio::time::sleep;
use tower_auth::{BoxError, NotRetried, credential::Digest};

use crate::{
    client::Api,
    flow::{Settings, Suite, flow},
    needs::Need,
    server::{Kind, Server},
};

pub(crate) const SUITE: Suite = Suite {
    server: "lighttpd",
    needs: &[Need::Path("/usr/sbin/lighttpd")],
    start,
    flows: &[
        flow!(one_nonce_serves_many_requests),
        flow!(a_wrong_password_reaches_the_caller),
    ],
};

fn start(settings: Settings) -> BoxFuture<'static, Result<Server, BoxError>> {
    const LIGHTTPD: Kind = Kind {
        name: "lighttpd",
        ready: "/open/",
        has_setup: false,
    };
    Server::start(&LIGHTTPD, settings).boxed()
}

fn api(server: &Server, password: &str) -> Result<Api<Digest>, BoxError> {
    Api::new(Digest::new("alice", password)?, &server.url)
}

fn url(server: &Server) -> String {
    format!("{}/digest/?size=2&name=a%20b", server.url)
}

pub(crate) async fn one_nonce_serves_many_requests(server: &Server) -> Result<(), BoxError> {
    let api = api(server, "wonder:land é")?;
    for _ in 0..5 {
        let answer = api.get(&url(server)).await?;
        assert_eq!((answer.status, &*answer.body), (200, "digest\n"));
    }
    assert_eq!(api.http.statuses(), [401, 200, 200, 200, 200, 200]);
    Ok(())
}

/// Waits between requests, because the server treats nonces older than a second as stale.
pub(crate) async fn a_stale_nonce_is_replaced(server: &Server) -> Result<(), BoxError> {
    let api = api(server, "wonder:land é")?;
    for _ in 0..2 {
        assert_eq!(api.get(&url(server)).await?.status, 200);
        sleep(Duration::from_millis(2100)).await;
    }
    assert_eq!(api.http.statuses(), [401, 200, 401, 200]);
    Ok(())
}

pub(crate) async fn a_wrong_password_reaches_the_caller(server: &Server) -> Result<(), BoxError> {
    let api = api(server, "looking-glass")?;
    for sent in [2, 3] {
        let answer = api.get(&url(server)).await?;
        assert_eq!(answer.status, 401);
        let why = answer.not_retried();
        assert!(matches!(why, Some(NotRetried::StaticCredential)), "{why:?}");
        // Only the first request needs a second attempt, to learn the challenge.
        assert_eq!(api.http.statuses(), vec![401; sent]);
    }
    Ok(())
}
