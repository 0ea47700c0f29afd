//! glewlwyd, the least conventional server: errors of its token endpoint and rejections of its API
//! are bare statuses. It is two authorization servers in one: refresh tokens of the `glwd` plugin
//! are static, and those of the `oidc` plugin rotate.

mod machines;
mod users;

use futures::{FutureExt, future::BoxFuture};
use tower_auth::BoxError;

use crate::{
    apache,
    flow::{Settings, Suite, flow},
    needs::Need,
    server::{Kind, Server},
};
use machines::*;
use users::*;

pub(crate) const SUITE: Suite = Suite {
    server: "glewlwyd",
    needs: &[
        Need::Command("glewlwyd"),
        Need::Command("sqlite3"),
        Need::Command("python3"),
        Need::Path("/usr/share/dbconfig-common/data/glewlwyd/install/sqlite3"),
        Need::Path("/usr/share/doc/glewlwyd/glewlwyd.conf.sample.gz"),
        apache::NEEDS[0],
        apache::NEEDS[1],
        apache::NEEDS[2],
        apache::NEEDS[3],
    ],
    start,
    flows: &[
        flow!(client_credentials_at_both_plugins),
        flow!(client_credentials_with_an_odd_secret_in_unencoded_basic),
        flow!(a_wrong_secret_is_a_bare_403),
        flow!(a_revoked_token_is_replaced),
        flow!(a_request_that_the_server_calls_invalid_is_not_retried),
        flow!(passwords_at_both_plugins),
        flow!(a_wrong_password_is_sent_once),
        flow!(a_401_without_a_challenge_is_a_rejection),
        flow!(a_static_refresh_token),
        flow!(a_rotating_refresh_token),
        flow!(a_refresh_token_that_is_refused_by_a_bare_400),
        flow!(a_user_logs_in_at_both_plugins, in browser),
        flow!(tokens_that_expire, "TOKEN_TTL" = "2"),
    ],
};

fn start(settings: Settings) -> BoxFuture<'static, Result<Server, BoxError>> {
    const GLEWLWYD: Kind = Kind {
        name: "glewlwyd",
        ready: "/config/",
        has_setup: true,
    };
    let start = async move {
        let server = Server::start(&GLEWLWYD, settings).await?;
        apache::beside(server, "/api/oidc", "/api/glwd/introspect").await
    };
    start.boxed()
}

#[derive(Clone, Copy, Debug)]
enum Plugin {
    Glwd,
    Oidc,
}

impl Plugin {
    const BOTH: [Self; 2] = [Self::Glwd, Self::Oidc];

    fn url(self, server: &Server, path: &str) -> String {
        let name = match self {
            Self::Glwd => "glwd",
            Self::Oidc => "oidc",
        };
        format!("{}/api/{name}/{path}", server.url)
    }

    /// Returns the URL of a user's profile.
    fn user(self, server: &Server) -> String {
        self.url(
            server,
            match self {
                Self::Glwd => "profile",
                Self::Oidc => "userinfo",
            },
        )
    }
}
