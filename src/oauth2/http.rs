//! The type-erased HTTP service for token requests.

use std::{future::poll_fn, sync::Mutex};

use bytes::{Buf, Bytes};
use futures_util::future::{BoxFuture, FutureExt};
use http::{Request, Response};
use http_body::Body;
use http_body_util::{BodyExt, Full, Limited, combinators::UnsyncBoxBody};
use tower_service::Service;

use crate::{error::BoxError, sync::lock};

/// Maximum size of a response body. Reading a larger body fails with a `LengthLimitError`.
const MAX_BODY_SIZE: usize = 1024 * 1024;

pub(super) type ResponseBody = UnsyncBoxBody<Bytes, BoxError>;
type Sending = BoxFuture<'static, Result<Response<ResponseBody>, BoxError>>;
type SendFn = dyn Fn(Request<Full<Bytes>>) -> Sending + Send;

/// A service that sends each request through a separate clone.
pub(super) struct HttpService {
    // Services need not be `Sync`, but providers are. The mutex is locked only while the service is
    // cloned.
    send: Mutex<Box<SendFn>>,
}

impl HttpService {
    pub(super) fn new<S, R>(service: S) -> Self
    where
        S: Service<Request<Full<Bytes>>, Response = Response<R>> + Clone + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Into<BoxError>,
        R: Body + Send + 'static,
        R::Error: Into<BoxError>,
    {
        let send = move |request| {
            let mut service = service.clone();
            async move {
                poll_fn(|cx| service.poll_ready(cx))
                    .await
                    .map_err(Into::into)?;
                let response = service.call(request).await.map_err(Into::into)?;
                Ok(response.map(erase))
            }
            .boxed()
        };
        Self {
            send: Mutex::new(Box::new(send)),
        }
    }

    pub(super) fn send(&self, request: Request<Full<Bytes>>) -> Sending {
        lock(&self.send)(request)
    }
}

partial_debug!(HttpService);

/// Creates a body from bytes that have already been read.
#[cfg(feature = "dpop")]
pub(super) fn whole(body: Bytes) -> ResponseBody {
    Full::new(body)
        .map_err(|never| match never {})
        .boxed_unsync()
}

fn erase<R>(body: R) -> ResponseBody
where
    R: Body + Send + 'static,
    R::Error: Into<BoxError>,
{
    let body = body.map_frame(|frame| {
        frame.map_data(|mut data: R::Data| data.copy_to_bytes(data.remaining()))
    });
    Limited::new(body, MAX_BODY_SIZE).boxed_unsync()
}
