//! Logins with a browser, and the refresh tokens that they return.

use std::{
    env,
    fs::{self, File, Permissions},
    os::unix::fs::PermissionsExt,
    process::Command,
    time::Duration,
};

use futures::future::try_join_all;
use tokio::time::{Instant, sleep};
use tower_auth::{
    AuthLayer, BoxError, NotRetried, Origins,
    oauth2::{AuthorizationCode, DpopKey, LoginRequired, RefreshTokenGrant, TokenProvider},
    store::{MemoryStore, StoreKey, TokenStore},
};

use super::{asked, token_url};
use crate::{
    browser::{Consent, alice_opens},
    client::{Api, Http, get_with, post_form},
    login::{Login, tokens_of_alice},
    process::Process,
    server::{Kind, Server},
    temp::TempDir,
};

/// Returns a flow that takes everything but the client's own settings from the server's metadata.
async fn flow(server: &Server) -> Result<AuthorizationCode, BoxError> {
    let discovered = AuthorizationCode::discover(&server.url, Http::new()).await?;
    let flow = discovered
        .client_id("svc")
        .client_secret("s3cret")
        .scopes(["openid", "offline_access"])
        // Without this, a returning browser would not get a refresh token.
        .authorization_param("prompt", "consent")
        .build()?;
    Ok(flow)
}

fn me(server: &Server) -> String {
    format!("{}/me", server.url)
}

struct Alice {
    api: Api<TokenProvider<RefreshTokenGrant>>,
    /// The client that records the token requests.
    tokens: Http,
    store: MemoryStore,
    key: StoreKey,
    me: String,
}

impl Alice {
    async fn logs_in(server: &Server, name: &str) -> Result<Self, BoxError> {
        let (tokens, store) = (Http::new(), MemoryStore::new());
        let key = StoreKey::issuer(&server.url).client("svc").subject("alice");
        let flow = flow(server).await?;
        let first = tokens_of_alice(server, &flow, name).await?;
        let session = flow.session().initial_tokens(first).http(tokens.clone());
        let provider = session.store(store.clone(), key.clone()).build()?;
        Ok(Self {
            api: Api::new(provider, &server.url)?,
            tokens,
            store,
            key,
            me: me(server),
        })
    }

    async fn refresh_token(&self) -> Result<String, BoxError> {
        let stored = self.store.load(&self.key).await?.tokens;
        let stored = stored.expect("the tokens were saved");
        Ok(stored.expose_refresh_token().unwrap_or_default().to_owned())
    }
}

pub(super) async fn a_user_consents_and_refresh_tokens_rotate(
    server: &Server,
) -> Result<(), BoxError> {
    let alice = Alice::logs_in(server, "oidc-provider-yes").await?;
    let mut seen = Vec::new();
    for _ in 0..6 {
        let answer = alice.api.get(&alice.me).await?;
        assert_eq!(answer.text("sub")?, "alice");
        let token = alice.refresh_token().await?;
        assert!(!seen.contains(&token), "each refresh returns a new one");
        seen.push(token);
        alice.api.handle.invalidate();
    }
    // The login's access token served the first call.
    assert_eq!(asked(&alice.tokens), 5);
    Ok(())
}

/// Runs ten concurrent callers across expiries of tokens that last 2 s, at a server that treats the
/// second use of a refresh token as theft and then revokes all tokens.
pub(super) async fn many_callers_spend_each_refresh_token_once(
    server: &Server,
) -> Result<(), BoxError> {
    let alice = Alice::logs_in(server, "oidc-provider-many").await?;
    let start = Instant::now();
    let caller = async || -> Result<(), BoxError> {
        while start.elapsed() < Duration::from_secs(7) {
            let answer = alice.api.get(&alice.me).await?;
            assert_eq!(answer.status, 200, "{:?}", answer.not_retried());
            sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    };
    try_join_all((0..10).map(|_| caller())).await?;
    let statuses = alice.tokens.statuses();
    assert!(
        (3..=8).contains(&statuses.len()),
        "token requests: {statuses:?}"
    );
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    Ok(())
}

pub(super) async fn a_refresh_token_used_elsewhere_revokes_all_tokens(
    server: &Server,
) -> Result<(), BoxError> {
    let alice = Alice::logs_in(server, "oidc-provider-reuse").await?;
    assert_eq!(alice.api.get(&alice.me).await?.status, 200);
    let old = alice.refresh_token().await?;
    alice.api.handle.invalidate();
    assert_eq!(alice.api.get(&alice.me).await?.status, 200);

    let form = [("grant_type", "refresh_token"), ("refresh_token", &*old)];
    let stolen = post_form(&token_url(server), &form).await?;
    assert_eq!(
        (stolen.status, &*stolen.text("error")?),
        (400, "invalid_grant")
    );

    // The server has revoked the access token too.
    for _ in 0..3 {
        let answer = alice.api.get(&alice.me).await?;
        assert_eq!(answer.status, 401);
        let Some(NotRetried::RefreshFailed(error)) = answer.not_retried() else {
            panic!("{:?}", answer.not_retried());
        };
        assert!(error.is_login_required(), "{error:#}");
        let why = error
            .provider_error()
            .expect("the provider failed")
            .get_ref();
        let why: &LoginRequired = why.downcast_ref().expect("a login is required");
        assert!(why.is_suspected_reuse(), "{error:#}");
    }
    assert_eq!(alice.tokens.statuses(), [200, 400]);
    Ok(())
}

pub(super) async fn a_user_refuses(server: &Server) -> Result<(), BoxError> {
    let flow = flow(server).await?;
    let login = Login::of_alice(server, &flow, "oidc-provider-no", Consent::No).await?;
    let error = login.result.expect_err("consent was refused");
    assert!(error.is_denied(), "{error:#}");
    assert!(login.landing.url.contains("iss="), "{:?}", login.landing);
    Ok(())
}

/// Checks R28-R31 with a client without a secret, whose refresh tokens are also bound to the key.
pub(super) async fn tokens_are_bound_to_a_key(server: &Server) -> Result<(), BoxError> {
    let tokens = Http::new();
    let flow = AuthorizationCode::discover(&server.url, Http::new())
        .await?
        .client_id("bound")
        .scopes(["openid", "offline_access"])
        .authorization_param("prompt", "consent")
        .dpop(DpopKey::generate()?)
        .build()?;
    let first = tokens_of_alice(server, &flow, "oidc-provider-dpop").await?;
    let session = flow.session().initial_tokens(first).http(tokens.clone());
    let api = Api::new(session.build()?, &server.url)?;
    for _ in 0..4 {
        assert_eq!(api.get(&me(server)).await?.text("sub")?, "alice");
        api.handle.invalidate();
    }
    // The nonce from the login's token request serves the refreshes; the API's is learned once.
    assert_eq!(tokens.statuses(), [200; 3]);
    assert_eq!(api.http.statuses(), [401, 200, 200, 200, 200]);

    let stolen = api.handle.credential().await?.expose().to_owned();
    assert_eq!(get_with(&me(server), &stolen).await?.status, 401);
    Ok(())
}

/// Checks R27: the token endpoint and the API use mutual TLS; the login pages do not.
pub(super) async fn a_client_with_a_certificate(server: &Server) -> Result<(), BoxError> {
    const MTLS: Kind = Kind {
        name: "mtls",
        ready: "/",
        has_setup: false,
    };
    let proxy = Server::start(&MTLS, &[("UPSTREAM", &server.url)]).await?;
    let secure = proxy.url.replacen("http", "https", 1);
    let http = || Http::with_certificate(proxy.dir.path());
    let tokens = http()?;
    let flow =
        AuthorizationCode::builder(format!("{}/auth", server.url), format!("{secure}/token"))
            .client_id("tls")
            .tls_client_auth()
            .scopes(["openid", "offline_access"])
            .authorization_param("prompt", "consent")
            .http(tokens.clone())
            .build()?;
    let first = tokens_of_alice(server, &flow, "oidc-provider-mtls").await?;
    let provider = flow.session().initial_tokens(first).build()?;
    let layer = AuthLayer::new(provider, Origins::only(&secure)?);
    let api = Api::over(http()?, &layer);
    for _ in 0..3 {
        assert_eq!(
            api.get(&format!("{secure}/me")).await?.text("sub")?,
            "alice"
        );
        api.handle.invalidate();
    }
    assert_eq!(
        (tokens.statuses(), api.http.statuses()),
        (vec![200; 3], vec![200; 3])
    );

    // The token is bound to the certificate. A direct request, without the proxy, does not present
    // it.
    let stolen = api.handle.credential().await?.expose().to_owned();
    assert_eq!(get_with(&me(server), &stolen).await?.status, 401);
    Ok(())
}

/// Checks R24 and R38: a mix-up attack would send one server's code to another.
pub(super) async fn a_callback_from_another_issuer_is_not_used(
    server: &Server,
) -> Result<(), BoxError> {
    let tokens = Http::new();
    let authorize = format!("{}/auth", server.url);
    let flow = AuthorizationCode::builder(authorize, token_url(server))
        .issuer("https://another.example")
        .client_id("public")
        .scopes(["openid"])
        .http(tokens.clone())
        .build()?;
    let login = Login::of_alice(server, &flow, "oidc-provider-mix-up", Consent::Yes).await?;
    let error = login.result.expect_err("it is another's");
    assert!(error.is_forged(), "{error:#}");
    assert_eq!(asked(&tokens), 0);
    Ok(())
}

/// Runs `cargo run --features loopback --example login` with alice as its browser.
pub(super) async fn the_login_example(server: &Server) -> Result<(), BoxError> {
    let dir = TempDir::new("example")?;
    let opener = dir.path().join("xdg-open");
    fs::write(
        &opener,
        "#!/bin/sh\nprintf %s \"$1\" > \"$0.new\" && mv \"$0.new\" \"$0.url\"\n",
    )?;
    fs::set_permissions(&opener, Permissions::from_mode(0o755))?;
    let path = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths(
        [dir.path().to_owned()]
            .into_iter()
            .chain(env::split_paths(&path)),
    )?;

    let output = dir.path().join("output");
    let mut example = Command::new(env::var_os("CARGO").unwrap_or("cargo".into()));
    example
        .args(["run", "--quiet", "--all-features", "--example", "login"])
        .args(["--", &server.url, "native", &me(server)])
        .env("PATH", path)
        .stdout(File::create(&output)?);
    let mut example = Process::start(example)?;
    let url = async {
        loop {
            match fs::read_to_string(dir.path().join("xdg-open.url")) {
                Ok(url) => break url,
                Err(_) => sleep(Duration::from_millis(20)).await,
            }
        }
    };
    let landing = tokio::select! {
        url = url => alice_opens("example-login", &url, Consent::Yes).await?,
        ended = example.end() => return Err(format!("it ended: {}", ended?).into()),
    };
    assert!(landing.text.contains("You are logged in"), "{landing:?}");
    let ended = example.end().await?;
    let output = fs::read_to_string(output)?;
    assert!(
        ended.success() && output.ends_with("{\"sub\":\"alice\"}\n"),
        "{output}"
    );
    Ok(())
}
