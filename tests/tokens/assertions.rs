//! Client authentication with signed assertions (RFC 7523, feature `jwt`).

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tower_auth::{
    oauth2::{Builder, ClientCredentials, RefreshTokenGrant, SigningAlgorithm, SigningKey},
    store::{MemoryStore, TokenStore},
};

use crate::{
    clients::{key, with_initial_token},
    server::{Fault, REVOKE_URL, Server, TOKEN_URL, auth_error, call, pass},
};

/// A remote key that returns an empty signature, unless it is sealed.
fn vault(sealed: &Arc<AtomicBool>) -> SigningKey {
    let sealed = Arc::clone(sealed);
    SigningKey::remote(SigningAlgorithm::Es256, move |_| {
        let sealed = sealed.load(Ordering::Relaxed);
        async move {
            match sealed {
                true => Err("the vault is sealed"),
                false => Ok(vec![0; 64]),
            }
        }
    })
}

fn client_credentials(server: &Server) -> Builder<ClientCredentials> {
    ClientCredentials::builder(TOKEN_URL)
        .client_id("machine")
        .private_key_jwt(vault(&Arc::default()))
        .http(server.client())
}

fn assertions(server: &Server) -> Vec<String> {
    let forms = &server.state().forms;
    let sent = forms.iter().filter_map(|form| form.get("client_assertion"));
    sent.cloned().collect()
}

/// R26: an attempt after a failed one gets a new assertion too.
#[tokio::test(start_paused = true)]
async fn each_token_request_has_a_new_signature() {
    let server = Server::new();
    server.instead([Fault::Respond(503, "text/plain", ""), Fault::Break]);
    let (api, handle) = server.layer(client_credentials(&server).build().unwrap());
    for _ in 0..2 {
        call(&api).await.unwrap_err();
        pass(30).await;
    }
    for _ in 0..3 {
        assert_eq!(call(&api).await.unwrap(), 200);
        handle.invalidate();
    }
    let sent = assertions(&server);
    assert_eq!(sent.len(), 5);
    assert_eq!(sent.iter().collect::<HashSet<_>>().len(), 5);
}

/// A revocation endpoint authenticates clients too (RFC 7009 2.1).
#[tokio::test(start_paused = true)]
async fn a_revocation_is_signed() {
    let server = Server::new();
    let provider = client_credentials(&server).revoke_url(REVOKE_URL);
    let (api, handle) = server.layer(provider.build().unwrap());
    assert_eq!(call(&api).await.unwrap(), 200);
    handle.log_out().await.unwrap();
    assert_eq!(server.trace(), ["client_credentials 200", "revoke a1 200"]);
    assert_eq!(assertions(&server).len(), 2);
}

/// Rule 8: an unsent request has spent nothing. No intent remains that would make the next refusal
/// look like a lost outcome.
#[tokio::test(start_paused = true)]
async fn a_sealed_vault_spends_no_refresh_token() {
    let (server, store) = (Server::new(), MemoryStore::new());
    let sealed = Arc::new(AtomicBool::new(true));
    let provider: Builder<RefreshTokenGrant> =
        with_initial_token(&server).private_key_jwt(vault(&sealed));
    let provider = provider.store(store.clone(), key()).build().unwrap();
    let (api, _) = server.layer(provider);

    let error = auth_error(call(&api).await.unwrap_err());
    assert!(
        format!("{error:#}").contains("the vault is sealed"),
        "{error:#}"
    );
    assert!(server.trace().is_empty());
    assert!(store.load(&key()).await.unwrap().intent.is_none());

    sealed.store(false, Ordering::Relaxed);
    pass(30).await;
    assert_eq!(call(&api).await.unwrap(), 200);
    assert_eq!(server.trace(), ["refresh r0 200"]);
}
