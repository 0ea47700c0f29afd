//! A person with a browser, and the refresh tokens that follow.

use std::time::Duration;

use futures::future::try_join_all;
use tokio::time::{Instant, sleep};
use tower_auth::{
    BoxError, NotRetried,
    oauth2::{LoginRequired, RefreshToken},
    store::{MemoryStore, StoreKey, TokenSet, TokenStore},
};

use super::{asked, token_url};
use crate::{
    browser::{Consent, Landing, person_alone},
    client::{Api, Http, post_form},
    code::{code_request, exchange},
    server::Server,
};

/// Alice opens the server's log-in.
async fn visit(server: &Server, name: &str, consent: Consent) -> Result<Landing, BoxError> {
    let url = format!(
        "{}/auth?{}&prompt=consent&scope=openid%20offline_access",
        server.url,
        code_request(&server.redirect_uri)
    );
    let end = person_alone(server, name, &url, consent).await?;
    assert!(end.url.starts_with(&server.redirect_uri), "{end:?}");
    assert_eq!(end.text, "back");
    assert_eq!(end.parameter("state").as_deref(), Some("a state"));
    assert_eq!(end.parameter("iss").as_ref(), Some(&server.url));
    Ok(end)
}

async fn log_in(server: &Server, name: &str) -> Result<TokenSet, BoxError> {
    let end = visit(server, name, Consent::Yes).await?;
    let code = end.parameter("code").expect("a code");
    let answer = exchange(&token_url(server), &server.redirect_uri, &code).await?;
    let tokens = TokenSet::new(answer.text("access_token")?);
    Ok(tokens.with_refresh_token(answer.text("refresh_token")?))
}

struct Alice {
    api: Api<RefreshToken>,
    /// The token requests.
    tokens: Http,
    store: MemoryStore,
    key: StoreKey,
    me: String,
}

impl Alice {
    async fn logs_in(server: &Server, name: &str) -> Result<Self, BoxError> {
        let (tokens, store) = (Http::new(), MemoryStore::new());
        let key = StoreKey::issuer(&server.url).client("svc").subject("alice");
        let provider = RefreshToken::builder(token_url(server))
            .client_id("svc")
            .client_secret("s3cret")
            .store(store.clone(), key.clone())
            .seed(log_in(server, name).await?)
            .http(tokens.clone())
            .build()?;
        Ok(Self {
            api: Api::new(provider, &server.url)?,
            tokens,
            store,
            key,
            me: format!("{}/me", server.url),
        })
    }

    async fn refresh_token(&self) -> Result<String, BoxError> {
        let stored = self.store.load(&self.key).await?.tokens;
        let stored = stored.expect("the tokens were saved");
        Ok(stored.expose_refresh_token().unwrap_or_default().to_owned())
    }
}

pub(super) async fn a_person_consents_and_refresh_tokens_rotate(
    server: &Server,
) -> Result<(), BoxError> {
    let alice = Alice::logs_in(server, "oidc-provider-yes").await?;
    let mut seen = Vec::new();
    for _ in 0..6 {
        let answer = alice.api.get(&alice.me).await?;
        assert_eq!(answer.text("sub")?, "alice");
        let token = alice.refresh_token().await?;
        assert!(!seen.contains(&token), "it is another one each time");
        seen.push(token);
        alice.api.handle.invalidate();
    }
    // The access token of the log-in was good enough for the first call.
    assert_eq!(asked(&alice.tokens), 5);
    Ok(())
}

/// Ten callers at once across the expiries of tokens that last 2 s, at a server that takes a second
/// use of a refresh token for theft, and then ends everything.
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

pub(super) async fn a_refresh_token_used_elsewhere_ends_the_family(
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

    // The server has ended the access token too.
    for _ in 0..3 {
        let answer = alice.api.get(&alice.me).await?;
        assert_eq!(answer.status, 401);
        let Some(NotRetried::RefreshFailed(error)) = answer.not_retried() else {
            panic!("{:?}", answer.not_retried());
        };
        assert!(error.is_login_required(), "{error}");
        let why = error
            .provider_error()
            .expect("the provider failed")
            .get_ref();
        let why: &LoginRequired = why.downcast_ref().expect("for want of a log-in");
        assert!(why.is_suspected_reuse(), "{error}");
    }
    assert_eq!(alice.tokens.statuses(), [200, 400]);
    Ok(())
}

pub(super) async fn a_person_refuses(server: &Server) -> Result<(), BoxError> {
    let end = visit(server, "oidc-provider-no", Consent::No).await?;
    assert_eq!(end.parameter("error").as_deref(), Some("access_denied"));
    Ok(())
}
