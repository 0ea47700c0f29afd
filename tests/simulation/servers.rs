//! What the servers know, whatever happens to their hosts.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use bytes::Bytes;
use futures::stream;
use http::{Request, Response, header::AUTHORIZATION};
use http_body_util::{BodyExt, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Frame, Incoming};
use tokio::time::sleep;

pub(crate) type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// Seconds that an access token lasts.
const LIFETIME: u64 = 20;

/// Access tokens `a1`, `a2`.., refresh tokens `r0`, `r1`...
///
/// A refresh brings the next of both. The newest refresh token is accepted, and, by servers that
/// forgive, the one before it, which brings the newest again: so a client gets over an answer that
/// was lost, as it does with servers that end the old token at the first use of the new one. Any
/// other counts as stolen.
#[derive(Clone, Default)]
pub(crate) struct Servers(Arc<Mutex<Known>>);

#[derive(Default)]
pub(crate) struct Known {
    newest: u64,
    accepted_from: u64,
    is_strict: bool,
    /// Between the heads of the token server's answers and their bodies.
    pause: Duration,
    pub(crate) refreshes: usize,
    /// Refreshes with a token that the client must not have any more.
    pub(crate) lost: usize,
    /// Requests without any credential.
    pub(crate) bare: usize,
    pub(crate) rejected: usize,
}

impl Servers {
    /// Servers that forgive nothing.
    pub(crate) fn strict() -> Self {
        let servers = Self::default();
        servers.lock().is_strict = true;
        servers
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap()
    }

    pub(crate) async fn token(self, request: Request<Incoming>) -> Answer {
        let Ok(form) = request.into_body().collect().await else {
            return answer(400, String::new());
        };
        let form = String::from_utf8(form.to_bytes().to_vec()).unwrap();
        let token = form
            .split('&')
            .find_map(|pair| pair.strip_prefix("refresh_token=r"));
        let token: u64 = token.unwrap().parse().unwrap();
        let known = &mut *self.lock();
        known.refreshes += 1;
        let forgiven = u64::from(!known.is_strict);
        if token + forgiven < known.newest {
            known.lost += 1;
            return answer(400, r#"{"error":"invalid_grant"}"#.into());
        }
        known.newest = token + 1;
        let number = known.newest;
        slow_answer(
            known.pause,
            format!(
                r#"{{"access_token":"a{number}","token_type":"Bearer","expires_in":{LIFETIME},"refresh_token":"r{number}"}}"#
            ),
        )
    }

    pub(crate) async fn api(self, request: Request<Incoming>) -> Answer {
        let known = &mut *self.lock();
        let Some(token) = request.headers().get(AUTHORIZATION) else {
            known.bare += 1;
            return answer(500, String::new());
        };
        let token = token.to_str().unwrap().strip_prefix("Bearer a").unwrap();
        if token.parse::<u64>().unwrap() < known.accepted_from {
            known.rejected += 1;
            return answer(401, String::new());
        }
        answer(200, String::new())
    }

    /// Bodies of the token server come so much later than their heads.
    pub(crate) fn pause(&self, pause: Duration) {
        self.lock().pause = pause;
    }

    /// No access token is accepted any more.
    pub(crate) fn revoke(&self) {
        let known = &mut *self.lock();
        known.accepted_from = known.newest + 1;
    }
}

fn answer(status: u16, body: String) -> Answer {
    let mut response = Response::new(body.boxed_unsync());
    *response.status_mut() = status.try_into().unwrap();
    response
}

/// A success whose head comes at once, and its body after the pause.
fn slow_answer(pause: Duration, body: String) -> Answer {
    let body = stream::once(async move {
        sleep(pause).await;
        Ok(Frame::data(Bytes::from(body)))
    });
    Response::new(StreamBody::new(body).boxed_unsync())
}
