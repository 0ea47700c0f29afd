//! Apache httpd: HTTP Basic and Digest, and resources for servers without an API.

use std::{fs, time::Duration};

use futures::{FutureExt, future::BoxFuture};
use tokio::time::sleep;
use tower_auth::{BoxError, NotRetried, challenge::Challenge, credential::Basic};

use crate::{
    client::Api,
    digest::{
        a_stale_nonce_is_replaced, a_wrong_password_reaches_the_caller,
        one_nonce_serves_many_requests,
    },
    flow::{Settings, Suite, flow},
    needs::Need,
    server::{Kind, Server},
};

pub(crate) const NEEDS: &[Need] = &[
    Need::Path("/usr/sbin/apache2"),
    Need::Path("/usr/lib/apache2/modules/mod_auth_openidc.so"),
    Need::Path("/usr/lib/apache2/modules/mod_oauth2.so"),
    Need::Command("openssl"),
];

pub(crate) const SUITE: Suite = Suite {
    server: "apache",
    needs: NEEDS,
    start,
    flows: &[
        flow!(basic_with_a_colon_and_an_accent_in_the_password),
        flow!(a_wrong_password_reaches_the_caller_and_is_sent_once),
        flow!(a_public_page_receives_the_credential_too),
        flow!(one_nonce_serves_many_requests),
        flow!(a_stale_nonce_is_replaced),
        flow!(a_wrong_password_reaches_the_caller),
    ],
};

const APACHE: Kind = Kind {
    name: "apache",
    ready: "/open/",
    has_setup: false,
};

fn start(settings: Settings) -> BoxFuture<'static, Result<Server, BoxError>> {
    Server::start(&APACHE, settings).boxed()
}

/// Starts Apache next to an authorization server. `keys` is the path of the server's keys below
/// its URL (without `/jwks`), and `introspection` the path for opaque tokens.
pub(crate) async fn beside(
    mut server: Server,
    keys: &str,
    introspect: &str,
) -> Result<Server, BoxError> {
    let issuer = format!("{}{keys}", server.url);
    let introspect = format!("{}{introspect}", server.url);
    let key = server.dir.path().join("key.pem");
    let key = if key.exists() {
        key.to_str().unwrap_or_default()
    } else {
        ""
    };
    let settings = [
        ("ISSUER", &*issuer),
        ("INTROSPECT", &introspect),
        ("KEY", key),
    ];
    let apache = Server::start(&APACHE, &settings).await?;
    server.beside = Some(Box::new(apache));
    Ok(server)
}

async fn basic_with_a_colon_and_an_accent_in_the_password(server: &Server) -> Result<(), BoxError> {
    let api = Api::new(Basic::new("alice", "wonder:land é")?, &server.url)?;
    let answer = api.get(&format!("{}/basic/", server.url)).await?;
    assert_eq!((answer.status, &*answer.body), (200, "basic\n"));
    Ok(())
}

async fn a_wrong_password_reaches_the_caller_and_is_sent_once(
    server: &Server,
) -> Result<(), BoxError> {
    let api = Api::new(Basic::new("alice", "wonder:land e")?, &server.url)?;
    let answer = api.get(&format!("{}/basic/", server.url)).await?;
    assert_eq!(answer.status, 401);
    assert!(answer.body.contains("401 Unauthorized"), "{}", answer.body);
    let why = answer.not_retried();
    assert!(matches!(why, Some(NotRetried::StaticCredential)), "{why:?}");

    let challenges = Challenge::from_headers(&answer.headers);
    let realms: Vec<_> = challenges.iter().map(|it| it.param("realm")).collect();
    assert_eq!(realms, [Some("a realm of \"quotes\"")]);
    assert_eq!(api.http.statuses(), [401]);
    assert_eq!(logged(server, "GET /basic/ 401").await?, 1);
    Ok(())
}

async fn a_public_page_receives_the_credential_too(server: &Server) -> Result<(), BoxError> {
    let api = Api::new(Basic::new("stranger", "nothing")?, &server.url)?;
    assert_eq!(api.get(&format!("{}/open/", server.url)).await?.status, 200);
    Ok(())
}

/// Returns how often the server logged this line. The server logs a request shortly after
/// responding.
async fn logged(server: &Server, line: &str) -> Result<usize, BoxError> {
    let mut times = 0;
    for _ in 0..10 {
        sleep(Duration::from_millis(50)).await;
        let text = fs::read_to_string(server.dir.path().join("access.log"))?;
        times = text.lines().filter(|written| *written == line).count();
    }
    Ok(times)
}
