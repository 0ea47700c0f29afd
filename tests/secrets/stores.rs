//! Stores that cannot be read or reached.

use std::fs;

use tower_auth::{
    AuthLayer, Origins,
    oauth2::RefreshTokenGrant,
    store::{FileStore, StoreKey, TokenSet, TokenStore},
};

use crate::{MARK, fails_silently, log, responding, shows_nothing, tells_nothing};

const TOKEN_URL: &str = "https://auth.example.com/token";

/// A file that is removed on drop.
struct Scratch(std::path::PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[tokio::test]
async fn an_invalid_file_is_not_shown() {
    let _log = log::watch();
    let folder = std::env::temp_dir().join(format!("tower-auth-secrets-{}", std::process::id()));
    fs::create_dir(&folder).unwrap();
    let scratch = Scratch(folder);
    let path = scratch.0.join("tokens.json");
    for text in [
        "hunter2",
        r#"{"version":"hunter2"}"#,
        r#"{"version":1,"fence":"hunter2","entries":{"hunter2":"hunter2"}}"#,
        r#"{"version":1,"fence":1,"entries":{"k":{"tokens":{"access_token":"hunter2"}}}}"#,
        r#"{"version":1,"fence":1,"entries":{},"hunter2"#,
    ] {
        fs::write(&path, text).unwrap();
        let store = FileStore::new(&path).unwrap();
        let key = StoreKey::issuer(TOKEN_URL);
        if let Err(error) = store.load(&key).await {
            tells_nothing(&error);
        }
        let provider = RefreshTokenGrant::builder(TOKEN_URL)
            .refresh_token(MARK)
            .store(store, key)
            .http(responding(500, MARK))
            .build()
            .unwrap();
        provider
            .replace_tokens(TokenSet::from_refresh_token(MARK))
            .await
            .unwrap_or_else(|error| {
                tells_nothing(&error);
            });
        shows_nothing(&provider);
        let layer = AuthLayer::new(provider, Origins::only("https://api.example.com").unwrap());
        fails_silently(&layer).await;
    }
}

#[cfg(feature = "redis")]
#[tokio::test]
async fn a_redis_url_is_shown_without_its_password() {
    use tower_auth::store::RedisStore;

    let _log = log::watch();
    // No server listens there: the port was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    for url in [
        format!("redis://me:{MARK}@127.0.0.1:{port}/"),
        format!("redis://me:{MARK}@127.0.0.1:{port}/no-number"),
        format!("http://me:{MARK}@127.0.0.1:{port}/"),
        format!("redis://me:{MARK}@"),
        MARK.to_owned(),
    ] {
        shows_nothing(RedisStore::builder(&url));
        match RedisStore::connect(&url).await {
            Ok(store) => {
                shows_nothing(&store);
                let load = store.load(&StoreKey::issuer(TOKEN_URL)).await;
                tells_nothing(&load.unwrap_err());
            }
            Err(error) => tells_nothing(&error),
        }
    }
}
