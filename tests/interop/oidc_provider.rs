//! oidc-provider, which is certified and strict. Its own API is `/me`, for users. Machines send
//! their tokens to Apache, which introspects them or verifies them with the server's keys.

mod devices;
mod machines;
mod proofs;
mod users;

use futures::{FutureExt, future::BoxFuture};
use tower_auth::BoxError;

use crate::{
    apache,
    client::{Http, post_form},
    flow::{Settings, Suite, flow},
    needs::Need,
    server::{Kind, Server},
};
use devices::*;
use machines::*;
use proofs::*;
use users::*;

pub(crate) const SUITE: Suite = Suite {
    server: "oidc-provider",
    needs: &[
        Need::Command("node"),
        Need::Module("oidc-provider"),
        apache::NEEDS[0],
        apache::NEEDS[1],
        apache::NEEDS[2],
        apache::NEEDS[3],
    ],
    start,
    flows: &[
        flow!(client_credentials_percent_encoded_in_basic),
        flow!(client_credentials_in_the_body),
        flow!(an_unencoded_secret_is_refused),
        flow!(a_revoked_token_is_replaced),
        flow!(a_jwt_at_both_modules_of_apache),
        flow!(private_key_jwt_with_rs256),
        flow!(private_key_jwt_with_ps256),
        flow!(private_key_jwt_with_es256),
        flow!(private_key_jwt_with_eddsa),
        flow!(a_signature_of_another_key_is_refused),
        flow!(client_secret_jwt_with_hs256),
        flow!(a_token_is_exchanged_for_another),
        flow!(a_token_for_an_assertion),
        flow!(a_code_that_a_user_enters, in browser),
        flow!(a_code_that_a_user_refuses, in browser),
        flow!(the_device_example, in browser),
        flow!(a_user_consents_and_refresh_tokens_rotate, in browser),
        flow!(a_refresh_token_used_elsewhere_revokes_all_tokens, in browser),
        flow!(a_user_refuses, in browser),
        flow!(a_callback_from_another_issuer_is_not_used, in browser),
        flow!(the_login_example, in browser),
        flow!(tokens_are_bound_to_a_key, in browser),
        flow!(a_client_with_a_certificate, in browser),
        flow!(many_callers_spend_each_refresh_token_once, in browser, "ACCESS_TTL" = "2"),
        flow!(tokens_that_expire, "MACHINE_TTL" = "2"),
        flow!(
            a_jwt_that_expired_unnoticed_is_replaced,
            "MACHINE_TTL" = "2"
        ),
    ],
};

fn start(settings: Settings) -> BoxFuture<'static, Result<Server, BoxError>> {
    const OIDC_PROVIDER: Kind = Kind {
        name: "oidc-provider",
        ready: "/.well-known/openid-configuration",
        has_setup: false,
    };
    let start = async move {
        let server = Server::start(&OIDC_PROVIDER, settings).await?;
        apache::beside(server, "", "/token/introspection").await
    };
    start.boxed()
}

fn token_url(server: &Server) -> String {
    format!("{}/token", server.url)
}

/// Revokes the token at the server, without the layer's knowledge.
async fn revoke(server: &Server, token: &str) -> Result<(), BoxError> {
    let url = format!("{}/token/revocation", server.url);
    let answer = post_form(&url, &[("token", token)]).await?;
    assert_eq!(answer.status, 200, "{}", answer.body);
    Ok(())
}

/// Returns the number of token requests.
fn asked(http: &Http) -> usize {
    http.count("/token")
}
