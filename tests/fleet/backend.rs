//! The store in which a fleet keeps its tokens.

use std::{
    path::PathBuf,
    sync::atomic::{AtomicU32, Ordering},
};

use bytes::Bytes;
use http_body_util::Full;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
#[cfg(feature = "redis")]
use tower_auth::store::RedisStore;
use tower_auth::{
    oauth2::RefreshTokenGrant,
    store::{FileStore, StoreError, Stored, TokenSet, TokenStore},
};

#[cfg(feature = "redis")]
use crate::redis_server::RedisServer;
use crate::worker::Settings;

pub(crate) enum Backend {
    File(TempDir),
    #[cfg(feature = "redis")]
    Redis(RedisServer),
}

impl Backend {
    pub(crate) fn file() -> Self {
        Self::File(TempDir::new())
    }

    /// Returns `None`, and prints that the test is skipped, if Redis is not installed.
    #[cfg(feature = "redis")]
    pub(crate) fn redis() -> Option<Self> {
        RedisServer::synced().map(Self::Redis)
    }

    /// Kills the server, if there is one, and restarts it with its data.
    pub(crate) fn crash(&mut self) {
        match self {
            Self::File(_) => {}
            #[cfg(feature = "redis")]
            Self::Redis(server) => tokio::task::block_in_place(|| server.restart()),
        }
    }

    /// Returns the address that the processes use.
    pub(crate) fn address(&self) -> String {
        match self {
            Self::File(dir) => dir.file().to_str().unwrap().to_owned(),
            #[cfg(feature = "redis")]
            Self::Redis(server) => server.url(),
        }
    }

    /// Stores the tokens of a new login, as a separate tool would.
    pub(crate) async fn log_in(
        &self,
        settings: &Settings,
        tokens: TokenSet,
    ) -> Result<(), StoreError> {
        match self {
            Self::File(dir) => log_in(settings, FileStore::new(dir.file())?, tokens).await,
            #[cfg(feature = "redis")]
            Self::Redis(server) => {
                log_in(settings, RedisStore::connect(&server.url()).await?, tokens).await
            }
        }
    }

    pub(crate) async fn stored(&self, settings: &Settings) -> Result<Stored, StoreError> {
        let key = settings.key();
        match self {
            Self::File(dir) => FileStore::new(dir.file())?.load(&key).await,
            #[cfg(feature = "redis")]
            Self::Redis(server) => RedisStore::connect(&server.url()).await?.load(&key).await,
        }
    }
}

async fn log_in(
    settings: &Settings,
    store: impl TokenStore,
    tokens: TokenSet,
) -> Result<(), StoreError> {
    let provider = RefreshTokenGrant::builder(settings.token_url())
        .client_id("fleet")
        .store(store, settings.key())
        .http(Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>())
        .build();
    provider.unwrap().replace_tokens(tokens).await
}

/// A directory that is removed on drop, with its contents.
pub(crate) struct TempDir(PathBuf);

impl TempDir {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("tower-auth-fleet-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        // An earlier process with the same ID may have left it.
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("tokens.json")
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
