//! Logins and sessions: passwords, codes, refresh tokens, states and verifiers.

#[cfg(feature = "implicit")]
use tower_auth::oauth2::Implicit;
use tower_auth::{
    AuthLayer, ConfigError, Origins, Provider,
    oauth2::{
        AuthorizationCode, LoginError, PasswordGrant, PasswordLogin, PendingLogin,
        RefreshTokenGrant, ServerMetadata,
    },
    store::{MemoryStore, StoreKey, TokenSet},
};

use crate::{
    MARK, RESPONSES, fails_silently, is_silent, log, refused, responding, shows_nothing,
    tells_nothing,
};

const TOKEN_URL: &str = "https://auth.example.com/token";
const CALLBACK: &str = "https://app.example.com/callback";

/// Responses of a server that did not understand the request, and responses that echo it.
#[tokio::test(start_paused = true)]
async fn no_failed_refresh_or_login_shows_what_was_sent() {
    let _log = log::watch();
    for (status, body) in RESPONSES {
        let http = responding(status, body);
        let refresh = RefreshTokenGrant::builder(TOKEN_URL)
            .client_id("me")
            .client_secret(MARK)
            .refresh_token(MARK)
            .store(MemoryStore::new(), StoreKey::issuer(TOKEN_URL))
            .revoke_url("https://auth.example.com/revoke")
            .http(http.clone());
        shows_nothing(&refresh);
        check(refresh.build()).await;
        let login = PasswordLogin::builder(
            "https://auth.example.com/login",
            "https://auth.example.com/refresh",
        )
        .credentials("alice", MARK)
        .http(http.clone());
        shows_nothing(&login);
        check(login.build()).await;
        let grant = PasswordGrant::builder(TOKEN_URL)
            .credentials("alice", MARK)
            .http(http);
        shows_nothing(&grant);
        check(grant.build()).await;
    }
}

async fn check<P: Provider + std::fmt::Debug>(provider: Result<P, ConfigError>) {
    let provider = provider.unwrap();
    shows_nothing(&provider);
    let layer = AuthLayer::new(provider, Origins::only("https://api.example.com").unwrap());
    fails_silently(&layer).await;
    if let Err(error) = layer.handle().log_out().await {
        tells_nothing(&error);
    }
    is_silent(&layer.handle().status().to_string());
}

fn code_flow(status: u16, body: &'static str) -> AuthorizationCode {
    let flow = AuthorizationCode::builder("https://auth.example.com/authorize", TOKEN_URL)
        .client_id("me")
        .client_secret(MARK)
        .issuer("https://auth.example.com")
        .http(responding(status, body));
    shows_nothing(&flow);
    let flow = flow.build().unwrap();
    shows_nothing(&flow);
    flow
}

/// A pending login whose state and verifier contain the mark.
fn marked(attempt: &PendingLogin) -> PendingLogin {
    let mut kept: serde_json::Value = serde_json::from_str(&attempt.expose()).unwrap();
    for (name, value) in kept.as_object_mut().unwrap() {
        if ["state", "verifier"].contains(&name.as_str()) && value.is_string() {
            *value = MARK.into();
        }
    }
    let attempt = PendingLogin::restore(&kept.to_string()).unwrap();
    shows_nothing(&attempt);
    attempt
}

fn silently<T: std::fmt::Debug>(outcome: Result<T, LoginError>) {
    match outcome {
        Ok(tokens) => shows_nothing(tokens),
        Err(error) => tells_nothing(&error),
    }
}

#[tokio::test(start_paused = true)]
async fn no_callback_puts_a_secret_into_an_error() {
    let _log = log::watch();
    let callbacks = [
        "?code=hunter2&state=hunter2&iss=https://auth.example.com",
        "?code=hunter2&state=hunter2&iss=https://hunter2.example.com",
        "?code=hunter2&state=other",
        "?code=hunter2",
        "?code=hunter2&code=hunter2&state=hunter2",
        "?hunter2&hunter2",
        "?error=hunter2&error_description=hunter2&error_uri=hunter2&state=hunter2",
        "?error=access_denied&error_description=code+hunter2&code=hunter2&state=hunter2",
        "#access_token=hunter2&token_type=bearer&state=hunter2",
        "#access_token=hunter2&token_type=hunter2&state=hunter2",
        "#access_token=hunter2%0A&token_type=bearer&state=hunter2",
        "#access_token=hunter2&error=hunter2&state=hunter2",
        "#hunter2",
    ];
    for callback in callbacks {
        let url = format!("{CALLBACK}{callback}");
        for (status, body) in RESPONSES {
            let flow = code_flow(status, body);
            let attempt = marked(&flow.start(CALLBACK).unwrap());
            silently(flow.finish(attempt, &url).await);
        }
        #[cfg(feature = "implicit")]
        {
            let flow = Implicit::builder("https://auth.example.com/authorize").client_id("me");
            let flow = flow.build().unwrap();
            let attempt = marked(&flow.start(CALLBACK).unwrap());
            silently(flow.finish(attempt, &url));
        }
    }
    for kept in [MARK, r#"{"state":"hunter2"}"#, r#"{"version":"hunter2"}"#] {
        tells_nothing(&PendingLogin::restore(kept).unwrap_err());
    }
}

#[tokio::test]
async fn invalid_login_settings_are_refused_without_showing_them() {
    let _log = log::watch();
    let flow = code_flow(200, "");
    refused(flow.start(&format!("http://me:{MARK}@app.example.com/")));
    refused(flow.start(&format!("https://app.example.com/#{MARK}")));
    #[cfg(feature = "implicit")]
    refused(
        Implicit::builder(format!("http://me:{MARK}@auth.example.com/"))
            .client_id("me")
            .build(),
    );
    refused(RefreshTokenGrant::builder(format!("http://me:{MARK}@auth.example.com/")).build());
    let issuer = format!("https://me:{MARK}@auth.example.com");
    let error = ServerMetadata::fetch(issuer, responding(200, "{}")).await;
    tells_nothing(&error.unwrap_err());
    shows_nothing(TokenSet::new(MARK).with_refresh_token(MARK));
}
