//! Clients that sign assertions, token exchange, and JWT bearer grants.

use std::{
    fs,
    time::{SystemTime, UNIX_EPOCH},
};

use serde_json::json;
use tokio::time::sleep;
use tower_auth::{
    BoxError, Error, Provider, ProviderError,
    oauth2::{
        ClientCredentials, JwtBearer, SigningAlgorithm, SigningKey, TokenError, TokenExchange,
        TokenProvider,
    },
};

use super::{asked, revoke, token_url};
use crate::{
    client::{Api, Http},
    server::Server,
};

/// Returns the key of the client that is named after the algorithm.
fn key(server: &Server, algorithm: SigningAlgorithm) -> Result<SigningKey, BoxError> {
    let pem = format!("{}.pem", algorithm.name());
    let pem = fs::read_to_string(server.dir.path().join(pem))?;
    let key = SigningKey::from_pem(algorithm, &pem)?;
    Ok(key.key_id(format!("key of {}", algorithm.name())))
}

fn apache(server: &Server) -> &str {
    let apache = server.beside.as_ref();
    apache.map_or("", |apache| apache.url.as_str())
}

/// Revokes several tokens in sequence, and checks that each one causes a token request.
async fn three_tokens<P>(server: &Server, provider: P, tokens: &Http) -> Result<(), BoxError>
where
    P: Provider<Credential = tower_auth::credential::Bearer>,
{
    let api = Api::new(provider, apache(server))?;
    let url = format!("{}/opaque/", apache(server));
    for round in 1..=3 {
        assert_eq!(api.get(&url).await?.status, 200);
        assert_eq!(asked(tokens), round);
        api.handle.invalidate();
    }
    assert_eq!(tokens.statuses(), [200; 3]);
    assert_eq!(api.http.statuses(), [200; 3]);
    Ok(())
}

/// Uses assertions whose audience is the token endpoint's URL. The server accepts each one only
/// once.
async fn private_key_jwt(server: &Server, algorithm: SigningAlgorithm) -> Result<(), BoxError> {
    let tokens = Http::new();
    let provider = ClientCredentials::builder(token_url(server))
        .client_id(algorithm.name())
        .private_key_jwt(key(server, algorithm)?)
        .http(tokens.clone())
        .build()?;
    three_tokens(server, provider, &tokens).await
}

pub(super) async fn private_key_jwt_with_rs256(server: &Server) -> Result<(), BoxError> {
    private_key_jwt(server, SigningAlgorithm::Rs256).await
}

pub(super) async fn private_key_jwt_with_ps256(server: &Server) -> Result<(), BoxError> {
    private_key_jwt(server, SigningAlgorithm::Ps256).await
}

/// Also uses the server's metadata. The assertions' audience is then the issuer.
pub(super) async fn private_key_jwt_with_es256(server: &Server) -> Result<(), BoxError> {
    private_key_jwt(server, SigningAlgorithm::Es256).await?;
    let discovered = ClientCredentials::discover(&server.url, Http::new()).await?;
    let tokens = Http::new();
    let provider = discovered
        .client_id("ES256")
        .private_key_jwt(key(server, SigningAlgorithm::Es256)?)
        .http(tokens.clone())
        .build()?;
    three_tokens(server, provider, &tokens).await
}

pub(super) async fn private_key_jwt_with_eddsa(server: &Server) -> Result<(), BoxError> {
    private_key_jwt(server, SigningAlgorithm::EdDsa).await
}

pub(super) async fn a_signature_of_another_key_is_refused(server: &Server) -> Result<(), BoxError> {
    let other = fs::read_to_string(server.dir.path().join("PS256.pem"))?;
    let key = SigningKey::from_pem(SigningAlgorithm::Rs256, &other)?.key_id("key of RS256");
    let provider = ClientCredentials::builder(token_url(server))
        .client_id("RS256")
        .private_key_jwt(key)
        .http(Http::new())
        .build()?;
    let api = Api::new(provider, apache(server))?;
    let error = api.get(apache(server)).await.unwrap_err();
    let error = error.downcast::<Error>()?;
    let said = error.provider_error().expect("the provider failed");
    let said: &TokenError = said.get_ref().downcast_ref().expect("at the server");
    assert_eq!(said.code(), Some("invalid_client"), "{error:#}");
    Ok(())
}

pub(super) async fn client_secret_jwt_with_hs256(server: &Server) -> Result<(), BoxError> {
    let tokens = Http::new();
    let provider = ClientCredentials::builder(token_url(server))
        .client_id("signs")
        .client_secret("a secret of more than 32 characters")
        .client_secret_jwt()
        .http(tokens.clone())
        .build()?;
    three_tokens(server, provider, &tokens).await
}

pub(super) async fn a_token_is_exchanged_for_another(server: &Server) -> Result<(), BoxError> {
    let subject = ClientCredentials::builder(token_url(server))
        .client_id("svc")
        .client_secret("s3cret")
        .http(Http::new())
        .build()?;
    let subject = Api::new(subject, apache(server))?;
    let (handle, tokens) = (subject.handle.clone(), Http::new());
    let exchange = TokenExchange::builder(token_url(server))
        .client_id("broker")
        .client_secret("s3cret")
        .subject_token(TokenExchange::ACCESS_TOKEN, move || {
            let handle = handle.clone();
            async move {
                let token = handle.credential().await;
                Ok(token.map_err(ProviderError::transient)?.expose().to_owned())
            }
        })
        .audience("back-end")
        .http(tokens.clone())
        .build()?;
    three_tokens(server, exchange.clone(), &tokens).await?;

    let api = Api::new(exchange, apache(server))?;
    let url = format!("{}/opaque/", apache(server));
    assert_eq!(api.get(&url).await?.status, 200);
    revoke(server, subject.handle.credential().await?.expose()).await?;
    api.handle.invalidate();
    let error = api.get(&url).await.unwrap_err();
    assert!(format!("{error:#}").contains("invalid_grant"), "{error:#}");

    // With a new subject token, the next attempt succeeds once it is due.
    subject.handle.invalidate();
    let wait = error.downcast::<Error>()?.retry_after();
    sleep(wait.expect("an attempt is planned")).await;
    assert_eq!(api.get(&url).await?.status, 200);
    Ok(())
}

pub(super) async fn a_token_for_an_assertion(server: &Server) -> Result<(), BoxError> {
    let provider =
        async |issuer: &'static str, tokens: &Http| -> Result<TokenProvider<JwtBearer>, BoxError> {
            let key = key(server, SigningAlgorithm::Es256)?;
            let audience = server.url.clone();
            let assertion = move || {
                let (key, audience) = (key.clone(), audience.clone());
                async move {
                    let now = SystemTime::now().duration_since(UNIX_EPOCH);
                    let now = now.map_err(ProviderError::transient)?.as_secs();
                    let claims = json!({
                        "iss": issuer, "sub": "alice", "aud": audience, "iat": now, "exp": now + 60,
                    });
                    key.sign_jwt(&claims)
                        .await
                        .map_err(ProviderError::transient)
                }
            };
            let provider = JwtBearer::builder(token_url(server))
                .client_id("broker")
                .client_secret("s3cret")
                .assertion(assertion)
                .http(tokens.clone());
            Ok(provider.build()?)
        };
    let tokens = Http::new();
    three_tokens(server, provider("robot", &tokens).await?, &tokens).await?;
    let api = Api::new(provider("stranger", &tokens).await?, apache(server))?;
    let error = api.get(apache(server)).await.unwrap_err();
    assert!(format!("{error:#}").contains("invalid_grant"), "{error:#}");
    Ok(())
}
