//! The session that all clones of a provider share.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use super::{
    lock::StoreEntry,
    state::{Known, State, Tokens},
};
use crate::{
    oauth2::endpoint::TokenEndpoint,
    store::{MemoryStore, SharedStore, StoreError, StoreKey, TokenSet, share},
    sync::lock,
};

/// The settings of a session: where its tokens come from, and where they are stored.
#[derive(Default)]
pub(in crate::oauth2) struct SessionSettings {
    pub(in crate::oauth2) store: Option<(SharedStore, StoreKey)>,
    pub(in crate::oauth2) initial: Option<TokenSet>,
}

/// The tokens of one user or client, in this process and in the store.
pub(in crate::oauth2) struct Session<G> {
    pub(super) grant: G,
    pub(super) entry: StoreEntry,
    /// Whether the tokens outlive this session.
    is_stored: bool,
    pub(super) revocation: Option<TokenEndpoint>,
    /// Locked for the entire duration of each refresh, including the wait for the server's
    /// response.
    pub(super) state: tokio::sync::Mutex<State>,
    /// The reason that the newest tokens are not in the store.
    save_error: Mutex<Option<StoreError>>,
    delete_due: AtomicBool,
}

impl<G> Session<G> {
    pub(in crate::oauth2) fn new(
        grant: G,
        revocation: Option<TokenEndpoint>,
        settings: SessionSettings,
    ) -> Arc<Self> {
        let is_stored = settings.store.is_some();
        let private = || (share(MemoryStore::new()), StoreKey::new("private"));
        let (store, key) = settings.store.unwrap_or_else(private);
        let tokens = Tokens {
            initial: settings.initial,
            ..Tokens::default()
        };
        Arc::new(Self {
            grant,
            entry: StoreEntry::new(store, key),
            is_stored,
            revocation,
            state: State { lock: None, tokens }.into(),
            save_error: Mutex::default(),
            delete_due: AtomicBool::new(false),
        })
    }

    pub(in crate::oauth2) fn is_stored(&self) -> bool {
        self.is_stored
    }

    pub(in crate::oauth2) fn grant(&self) -> &G {
        &self.grant
    }

    pub(in crate::oauth2) fn save_error(&self) -> Option<StoreError> {
        lock(&self.save_error).clone()
    }

    pub(super) fn set_save_error(&self, error: Option<StoreError>) {
        *lock(&self.save_error) = error;
    }

    /// Returns whether the store entry must be deleted before anything else.
    pub(super) fn is_delete_due(&self) -> bool {
        self.delete_due.load(Ordering::Acquire)
    }

    pub(super) fn set_delete_due(&self, is_due: bool) {
        self.delete_due.store(is_due, Ordering::Release);
    }

    /// Replaces the known tokens, and ends attempts to save the previous ones.
    pub(super) fn set_known(&self, tokens: &mut Tokens, known: Option<Known>) {
        tokens.known = known;
        tokens.unsaved = false;
        self.set_save_error(None);
    }
}
