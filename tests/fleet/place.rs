//! Where a fleet keeps its tokens.

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

pub(crate) enum Place {
    File(Folder),
    #[cfg(feature = "redis")]
    Redis(RedisServer),
}

impl Place {
    pub(crate) fn file() -> Self {
        Self::File(Folder::new())
    }

    /// `None` if there is no Redis on this machine, which is printed.
    #[cfg(feature = "redis")]
    pub(crate) fn redis() -> Option<Self> {
        RedisServer::synced().map(Self::Redis)
    }

    /// Kills the server, if there is one, and starts it again with what it has kept.
    pub(crate) fn crash(&mut self) {
        match self {
            Self::File(_) => {}
            #[cfg(feature = "redis")]
            Self::Redis(server) => tokio::task::block_in_place(|| server.restart()),
        }
    }

    /// How a process finds it.
    pub(crate) fn address(&self) -> String {
        match self {
            Self::File(folder) => folder.file().to_str().unwrap().to_owned(),
            #[cfg(feature = "redis")]
            Self::Redis(server) => server.url(),
        }
    }

    /// Puts the tokens of a new log-in there, as a tool for that would.
    pub(crate) async fn log_in(
        &self,
        settings: &Settings,
        tokens: TokenSet,
    ) -> Result<(), StoreError> {
        match self {
            Self::File(folder) => log_in(settings, FileStore::new(folder.file())?, tokens).await,
            #[cfg(feature = "redis")]
            Self::Redis(server) => {
                log_in(settings, RedisStore::connect(&server.url()).await?, tokens).await
            }
        }
    }

    pub(crate) async fn stored(&self, settings: &Settings) -> Result<Stored, StoreError> {
        let key = settings.key();
        match self {
            Self::File(folder) => FileStore::new(folder.file())?.load(&key).await,
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

/// A folder that is removed with all that is in it.
pub(crate) struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("tower-auth-fleet-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        // What a process with the same number left behind.
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("tokens.json")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
