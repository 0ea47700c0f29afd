//! Doorkeeper on Rails, with its API in the same process.

mod machines;
mod users;

use futures::{FutureExt, future::BoxFuture};
use tower_auth::BoxError;

use crate::{
    client::{Answer, Http, post_form},
    flow::{Settings, Suite, flow},
    needs::Need,
    server::{Kind, Server},
};
use machines::*;
use users::*;

pub(crate) const SUITE: Suite = Suite {
    server: "doorkeeper",
    needs: &[
        Need::Command("puma"),
        Need::Path("/usr/share/doc/ruby-doorkeeper"),
        Need::Path("/usr/share/doc/ruby-sqlite3"),
    ],
    start,
    flows: &[
        flow!(client_credentials_in_basic),
        flow!(client_credentials_with_an_odd_secret_in_unencoded_basic),
        flow!(client_credentials_with_an_odd_secret_in_the_body),
        flow!(a_wrong_secret_is_reported_with_the_servers_error),
        flow!(a_revoked_token_is_replaced),
        flow!(a_missing_scope_causes_no_refresh),
        flow!(a_password_and_its_refresh_tokens),
        flow!(a_wrong_password_is_sent_once),
        flow!(a_refresh_token_through_many_rotations),
        flow!(a_revoked_refresh_token_requires_a_new_login),
        flow!(logout_revokes_tokens),
        flow!(a_user_logs_in_to_a_client_without_a_secret, in browser),
        flow!(a_user_logs_in_with_the_implicit_flow, in browser),
        flow!(a_user_refuses, in browser),
        flow!(a_user_logs_in, in browser, "TOKEN_TTL" = "2"),
        flow!(tokens_that_expire, "TOKEN_TTL" = "2"),
        flow!(
            a_token_that_expired_unnoticed_is_replaced,
            "TOKEN_TTL" = "2"
        ),
        flow!(
            a_server_that_returns_the_same_token_again,
            "TOKEN_TTL" = "4",
            "REUSE" = "1"
        ),
        flow!(
            providers_with_one_store_share_a_token,
            "REVOKE_PREV_CC" = "1"
        ),
        flow!(
            providers_without_a_store_revoke_each_others_tokens,
            "REVOKE_PREV_CC" = "1"
        ),
    ],
};

const TOKEN: &str = "/oauth/token";

fn start(settings: Settings) -> BoxFuture<'static, Result<Server, BoxError>> {
    const DOORKEEPER: Kind = Kind {
        name: "doorkeeper",
        ready: "/health",
        has_setup: false,
    };
    Server::start(&DOORKEEPER, settings).boxed()
}

fn me(server: &Server) -> String {
    format!("{}/api/me", server.url)
}

fn token_url(server: &Server) -> String {
    format!("{}{TOKEN}", server.url)
}

/// Revokes the token at the server, without the layer's knowledge.
async fn revoke(server: &Server, token: &str) -> Result<(), BoxError> {
    let url = format!("{}/oauth/revoke", server.url);
    let answer = post_form(&url, &[("token", token)]).await?;
    assert_eq!(answer.status, 200, "{}", answer.body);
    Ok(())
}

/// Logs alice in, without the layer.
async fn log_in(server: &Server) -> Result<Answer, BoxError> {
    let form = [
        ("grant_type", "password"),
        ("username", "alice"),
        ("password", "wonderland"),
    ];
    post_form(&token_url(server), &form).await
}

/// Returns the number of token requests.
fn asked(http: &Http) -> usize {
    http.count(TOKEN)
}
