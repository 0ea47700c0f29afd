//! Helpers shared by several targets.

use std::{
    error::Error,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tokio::runtime::{Builder, Runtime};
use tower::{BoxError, util::BoxCloneService};

thread_local! {
    static RUNTIME: Runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
}

/// Runs a future on paused time.
pub fn run<F: Future>(future: F) -> F::Output {
    RUNTIME.with(|runtime| runtime.block_on(future))
}

/// Creates a server that sends the same response to every request, and counts requests.
pub fn answering(
    answer: Response<Bytes>,
) -> (
    BoxCloneService<Request<Full<Bytes>>, Response<Full<Bytes>>, BoxError>,
    Arc<AtomicUsize>,
) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let service = tower::service_fn(move |_| {
        counter.fetch_add(1, SeqCst);
        let answer = answer.clone().map(Full::new);
        async move { Ok(answer) }
    });
    (BoxCloneService::new(service), asked)
}

/// Returns the text of an error and of its sources.
pub fn error_text(error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        text.push_str(&format!("{error}\n{error:?}\n"));
        next = error.source();
    }
    text
}

/// Returns whether a text contains characters that could manipulate a terminal or a log.
pub fn is_harmless(text: &str) -> bool {
    text.chars().all(|c| c == '\n' || !c.is_control())
}
