//! Users: passwords and refresh tokens.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tower_auth::{
    BoxError, Error, Issued, NotRetried,
    credential::Bearer,
    oauth2::{
        AuthorizationCode, Builder, LoginRequired, PasswordGrant, RefreshTokenGrant, TokenProvider,
    },
    store::{MemoryStore, StoreKey, TokenSet, TokenStore},
};

use super::Plugin;
use crate::{
    client::{Api, Http, post_form},
    login::tokens_of_alice,
    server::Server,
};

fn password(server: &Server, plugin: Plugin, http: &Http, word: &str) -> Builder<PasswordGrant> {
    PasswordGrant::builder(plugin.url(server, "token"))
        .client_id("svc")
        .client_secret("s3cret")
        .credentials("alice", word)
        .scopes(["read"])
        .http(http.clone())
}

/// A client that uses a login's refresh token.
struct Alice {
    api: Api<TokenProvider<RefreshTokenGrant>>,
    /// The client that records the token requests.
    tokens: Http,
    store: MemoryStore,
    key: StoreKey,
    url: String,
}

impl Alice {
    async fn logs_in(server: &Server, plugin: Plugin) -> Result<Self, BoxError> {
        let form = [
            ("grant_type", "password"),
            ("username", "alice"),
            ("password", "wonderland"),
            ("scope", "read"),
        ];
        let token_url = plugin.url(server, "token");
        let answer = post_form(&token_url, &form).await?;
        let first = TokenSet::from_refresh_token(answer.text("refresh_token")?);
        let (tokens, store) = (Http::new(), MemoryStore::new());
        let key = StoreKey::issuer(&token_url).client("svc").subject("alice");
        let provider = RefreshTokenGrant::builder(token_url)
            .client_id("svc")
            .client_secret("s3cret")
            .store(store.clone(), key.clone())
            .initial_tokens(first)
            .http(tokens.clone())
            .build()?;
        Ok(Self {
            api: Api::new(provider, &server.url)?,
            tokens,
            store,
            key,
            url: plugin.user(server),
        })
    }

    /// Returns the refresh tokens after each of several refreshes.
    async fn refreshes(&self, times: usize) -> Result<Vec<String>, BoxError> {
        let mut seen = Vec::new();
        for _ in 0..times {
            self.api.handle.invalidate();
            assert_eq!(self.api.get(&self.url).await?.status, 200);
            let stored = self.store.load(&self.key).await?.tokens;
            let stored = stored.expect("the tokens were saved");
            seen.push(stored.expose_refresh_token().unwrap_or_default().to_owned());
        }
        assert_eq!(self.tokens.statuses(), vec![200; times]);
        Ok(seen)
    }
}

pub(super) async fn passwords_at_both_plugins(server: &Server) -> Result<(), BoxError> {
    for plugin in Plugin::BOTH {
        let tokens = Http::new();
        let provider = password(server, plugin, &tokens, "wonderland").build()?;
        let api = Api::new(provider, &server.url)?;
        for round in 1..=3 {
            assert_eq!(api.get(&plugin.user(server)).await?.status, 200);
            assert_eq!(tokens.statuses(), vec![200; round]);
            api.handle.invalidate();
        }
    }
    Ok(())
}

pub(super) async fn a_wrong_password_is_sent_once(server: &Server) -> Result<(), BoxError> {
    for plugin in Plugin::BOTH {
        let tokens = Http::new();
        let provider = password(server, plugin, &tokens, "looking-glass").build()?;
        let api = Api::new(provider.clone(), &server.url)?;
        for _ in 0..2 {
            let error = api.get(&plugin.user(server)).await.unwrap_err();
            let error = error.downcast::<Error>()?;
            let why = error
                .provider_error()
                .expect("the provider failed")
                .get_ref();
            let why: &LoginRequired = why.downcast_ref().expect("a login is required");
            assert!(why.is_password_refused(), "{error:#}");
        }
        assert_eq!(tokens.statuses(), [403]);

        provider.set_credentials("alice", "wonderland");
        api.handle.resume();
        assert_eq!(api.get(&plugin.user(server)).await?.status, 200);
    }
    Ok(())
}

pub(super) async fn a_401_without_a_challenge_is_a_rejection(
    server: &Server,
) -> Result<(), BoxError> {
    for plugin in Plugin::BOTH {
        let provider = password(server, plugin, &Http::new(), "wonderland").build()?;
        let api = Api::new(provider, &server.url)?;
        api.handle
            .set_credential(Issued::new(Bearer::new("another-users")?));
        assert_eq!(api.get(&plugin.user(server)).await?.status, 200);
        assert_eq!(api.http.statuses(), [401, 200]);
    }
    Ok(())
}

pub(super) async fn a_static_refresh_token(server: &Server) -> Result<(), BoxError> {
    let alice = Alice::logs_in(server, Plugin::Glwd).await?;
    let seen = alice.refreshes(4).await?;
    assert!(
        seen.iter().all(|token| *token == seen[0]),
        "no response contains a new one"
    );
    Ok(())
}

pub(super) async fn a_rotating_refresh_token(server: &Server) -> Result<(), BoxError> {
    let alice = Alice::logs_in(server, Plugin::Oidc).await?;
    let mut seen = alice.refreshes(4).await?;
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 4);
    Ok(())
}

/// Uses a copy of an old refresh token, which revokes all tokens of the login. The server does not
/// report `invalid_grant`, and a bare 400 does not prove a token dead. The failure is permanent,
/// but is still retried from time to time.
pub(super) async fn a_refresh_token_that_is_refused_by_a_bare_400(
    server: &Server,
) -> Result<(), BoxError> {
    let alice = Alice::logs_in(server, Plugin::Oidc).await?;
    let old = alice.refreshes(1).await?.remove(0);
    alice.api.handle.invalidate();
    assert_eq!(alice.api.get(&alice.url).await?.status, 200);

    let form = [("grant_type", "refresh_token"), ("refresh_token", &*old)];
    let stolen = post_form(&Plugin::Oidc.url(server, "token"), &form).await?;
    assert_eq!((stolen.status, &*stolen.body), (400, ""));

    alice
        .api
        .handle
        .set_credential(Issued::new(Bearer::new("outdated")?));
    let answer = alice.api.get(&alice.url).await?;
    assert_eq!(answer.status, 401);
    let Some(NotRetried::RefreshFailed(error)) = answer.not_retried() else {
        panic!("{:?}", answer.not_retried());
    };
    let error = error.provider_error().expect("the provider failed");
    assert!(
        error.is_permanent() && format!("{error:#}").contains("400"),
        "{error:#}"
    );
    assert_eq!(alice.tokens.statuses(), [200, 200, 400]);
    Ok(())
}

pub(super) async fn a_user_logs_in_at_both_plugins(server: &Server) -> Result<(), BoxError> {
    for plugin in Plugin::BOTH {
        let tokens = Http::new();
        let (authorize, token) = (plugin.url(server, "auth"), plugin.url(server, "token"));
        let flow = AuthorizationCode::builder(authorize, token)
            .client_id("svc")
            .client_secret("s3cret")
            .scopes(["read"])
            .http(tokens.clone())
            .build()?;
        let name = format!("glewlwyd-{plugin:?}");
        let first = tokens_of_alice(server, &flow, &name).await?;
        let api = Api::new(flow.session().initial_tokens(first).build()?, &server.url)?;
        for round in 1..=3 {
            assert_eq!(api.get(&plugin.user(server)).await?.status, 200);
            assert_eq!(tokens.statuses(), vec![200; round]);
            api.handle.invalidate();
        }
    }
    Ok(())
}

/// Calls for several token lifetimes of 2 s: no call fails.
pub(super) async fn tokens_that_expire(server: &Server) -> Result<(), BoxError> {
    for plugin in Plugin::BOTH {
        let tokens = Http::new();
        let provider = password(server, plugin, &tokens, "wonderland").build()?;
        let api = Api::new(provider, &server.url)?;
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(5) {
            assert_eq!(api.get(&plugin.user(server)).await?.status, 200);
            sleep(Duration::from_millis(50)).await;
        }
        let asked = tokens.statuses();
        assert!((3..=6).contains(&asked.len()), "token requests: {asked:?}");
    }
    Ok(())
}
