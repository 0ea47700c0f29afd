//! The servers' state, which survives crashes of their hosts.

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

pub(crate) type ServerResponse = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// The lifetime of an access token in seconds.
const LIFETIME: u64 = 20;

/// Issues access tokens `a1`, `a2`, ... and refresh tokens `r0`, `r1`, ...
///
/// A refresh returns the next token of each kind. The newest refresh token is accepted. Lenient
/// servers also accept the one before it, and return the newest tokens again. A client can
/// therefore recover from a lost response, as it can with servers that revoke the old token at the
/// first use of the new one. Any other token counts as stolen.
#[derive(Clone, Default)]
pub(crate) struct Servers(Arc<Mutex<Known>>);

#[derive(Default)]
pub(crate) struct Known {
    newest: u64,
    accepted_from: u64,
    is_strict: bool,
    /// The time between the head of a token response and its body.
    pause: Duration,
    pub(crate) refreshes: usize,
    /// Refreshes with a token that the client must have replaced.
    pub(crate) lost: usize,
    /// Requests without a credential.
    pub(crate) bare: usize,
    pub(crate) rejected: usize,
}

impl Servers {
    /// Creates servers that accept only the newest refresh token.
    pub(crate) fn strict() -> Self {
        let servers = Self::default();
        servers.lock().is_strict = true;
        servers
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap()
    }

    pub(crate) async fn token(self, request: Request<Incoming>) -> ServerResponse {
        let Ok(form) = request.into_body().collect().await else {
            return response(400, String::new());
        };
        let form = String::from_utf8(form.to_bytes().to_vec()).unwrap();
        let token = form
            .split('&')
            .find_map(|pair| pair.strip_prefix("refresh_token=r"));
        let token: u64 = token.unwrap().parse().unwrap();
        let known = &mut *self.lock();
        known.refreshes += 1;
        let lenience = u64::from(!known.is_strict);
        if token + lenience < known.newest {
            known.lost += 1;
            return response(400, r#"{"error":"invalid_grant"}"#.into());
        }
        known.newest = token + 1;
        let number = known.newest;
        slow_response(
            known.pause,
            format!(
                r#"{{"access_token":"a{number}","token_type":"Bearer","expires_in":{LIFETIME},"refresh_token":"r{number}"}}"#
            ),
        )
    }

    pub(crate) async fn api(self, request: Request<Incoming>) -> ServerResponse {
        let known = &mut *self.lock();
        let Some(token) = request.headers().get(AUTHORIZATION) else {
            known.bare += 1;
            return response(500, String::new());
        };
        let token = token.to_str().unwrap().strip_prefix("Bearer a").unwrap();
        if token.parse::<u64>().unwrap() < known.accepted_from {
            known.rejected += 1;
            return response(401, String::new());
        }
        response(200, String::new())
    }

    /// Sets the time between the head of a token response and its body.
    pub(crate) fn pause(&self, pause: Duration) {
        self.lock().pause = pause;
    }

    /// Rejects all access tokens issued so far.
    pub(crate) fn revoke(&self) {
        let known = &mut *self.lock();
        known.accepted_from = known.newest + 1;
    }
}

fn response(status: u16, body: String) -> ServerResponse {
    let mut response = Response::new(body.boxed_unsync());
    *response.status_mut() = status.try_into().unwrap();
    response
}

/// Creates a successful response whose head is sent immediately, and whose body follows after the
/// pause.
fn slow_response(pause: Duration, body: String) -> ServerResponse {
    let body = stream::once(async move {
        sleep(pause).await;
        Ok(Frame::data(Bytes::from(body)))
    });
    Response::new(StreamBody::new(body).boxed_unsync())
}
