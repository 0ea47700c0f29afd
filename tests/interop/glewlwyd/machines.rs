//! Client credentials.

use tower_auth::{
    BoxError, Error, NotRetried,
    oauth2::{Builder, ClientCredentials, TokenError, TokenProvider},
};

use super::Plugin;
use crate::{
    client::{Api, Http, post_form},
    server::Server,
};

fn builder(
    server: &Server,
    plugin: Plugin,
    http: &Http,
    (id, secret): (&str, &str),
) -> Builder<ClientCredentials> {
    ClientCredentials::builder(plugin.url(server, "token"))
        .client_id(id)
        .client_secret(secret)
        .scopes(["read"])
        .http(http.clone())
}

/// Returns an API at the Apache next to the server, and the URL of the resource there that accepts
/// the plugin's tokens.
fn api(
    server: &Server,
    plugin: Plugin,
    provider: Builder<ClientCredentials>,
) -> Result<(Api<TokenProvider<ClientCredentials>>, String), BoxError> {
    let url = server.beside.as_ref().map(|apache| apache.url.as_str());
    let url = url.unwrap_or_default();
    let place = match plugin {
        Plugin::Glwd => "opaque",
        Plugin::Oidc => "jwt",
    };
    Ok((Api::new(provider.build()?, url)?, format!("{url}/{place}/")))
}

async fn is_accepted(
    server: &Server,
    plugin: Plugin,
    provider: Builder<ClientCredentials>,
) -> Result<(), BoxError> {
    let tokens = Http::new();
    let (api, url) = api(server, plugin, provider.http(tokens.clone()))?;
    for _ in 0..2 {
        let answer = api.get(&url).await?;
        assert_eq!(answer.status, 200, "{plugin:?} {:?}", answer.headers);
    }
    assert_eq!(tokens.statuses(), [200]);
    Ok(())
}

pub(super) async fn client_credentials_at_both_plugins(server: &Server) -> Result<(), BoxError> {
    for plugin in Plugin::BOTH {
        let provider = builder(server, plugin, &Http::new(), ("svc", "s3cret"));
        is_accepted(server, plugin, provider).await?;
    }
    let provider = builder(server, Plugin::Oidc, &Http::new(), ("svc", "s3cret"));
    is_accepted(server, Plugin::Oidc, provider.client_secret_post()).await
}

pub(super) async fn client_credentials_with_an_odd_secret_in_unencoded_basic(
    server: &Server,
) -> Result<(), BoxError> {
    let client = ("weird", "p@ss:w/ rd+%25&=é");
    let provider =
        builder(server, Plugin::Oidc, &Http::new(), client).client_secret_basic_unencoded();
    is_accepted(server, Plugin::Oidc, provider).await
}

pub(super) async fn a_wrong_secret_is_a_bare_403(server: &Server) -> Result<(), BoxError> {
    for plugin in Plugin::BOTH {
        let tokens = Http::new();
        let provider = builder(server, plugin, &tokens, ("svc", "s3cret-of-old"));
        let (api, url) = api(server, plugin, provider)?;
        let error = api.get(&url).await.unwrap_err().downcast::<Error>()?;
        let said = error.provider_error().expect("the provider failed");
        assert!(said.is_permanent(), "{error:#}");
        let said: &TokenError = said.get_ref().downcast_ref().expect("at the server");
        let status = said.status().map(|status| status.as_u16());
        assert_eq!((status, said.code()), (Some(403), None), "{error:#}");
        assert_eq!(
            (tokens.statuses(), api.http.statuses()),
            (vec![403], vec![])
        );
    }
    Ok(())
}

/// Uses a resource that introspects each token at the server.
pub(super) async fn a_revoked_token_is_replaced(server: &Server) -> Result<(), BoxError> {
    let plugin = Plugin::Glwd;
    let tokens = Http::new();
    let provider = builder(server, plugin, &tokens, ("svc", "s3cret"));
    let (api, url) = api(server, plugin, provider)?;
    assert_eq!(api.get(&url).await?.status, 200);
    let token = api.handle.credential().await?;
    let form = [("token", token.expose())];
    let answer = post_form(&plugin.url(server, "revoke"), &form).await?;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(api.get(&url).await?.status, 200);
    assert_eq!(api.http.statuses(), [200, 401, 200]);
    Ok(())
}

/// Requests the profile of a machine, which has none. The server reports that with a 401 that is
/// not about the token.
pub(super) async fn a_request_that_the_server_calls_invalid_is_not_retried(
    server: &Server,
) -> Result<(), BoxError> {
    let plugin = Plugin::Glwd;
    let tokens = Http::new();
    let provider = builder(server, plugin, &tokens, ("svc", "s3cret")).build()?;
    let api = Api::new(provider, &server.url)?;
    let answer = api.get(&plugin.user(server)).await?;
    assert_eq!(answer.status, 401);
    let why = answer.not_retried();
    assert!(matches!(why, Some(NotRetried::InvalidRequest)), "{why:?}");
    assert_eq!(
        (tokens.statuses(), api.http.statuses()),
        (vec![200], vec![401])
    );
    Ok(())
}
