//! A token server with single-use refresh tokens, and an API.

use std::time::Duration;

use http::{Request, Response};
use tokio::time::Instant;

use crate::serve::response;

const LIFETIME: Duration = Duration::from_secs(3);

pub(crate) struct Server {
    seen: Seen,
    /// The expiry of each access token, by its number.
    issued: Vec<Instant>,
    /// The newest token that each worker has used.
    used: Vec<usize>,
}

#[derive(Clone, Copy, Default)]
pub(crate) struct Seen {
    pub(crate) token_requests: u32,
    pub(crate) spent_twice: u32,
    pub(crate) calls: u32,
    pub(crate) rejected: u32,
    pub(crate) all_use_the_newest: bool,
}

impl Server {
    pub(crate) fn new(workers: u32) -> Self {
        Self {
            seen: Seen::default(),
            issued: Vec::new(),
            used: vec![0; workers as usize],
        }
    }

    pub(crate) fn seen(&self) -> Seen {
        let newest = self.issued.len();
        Seen {
            all_use_the_newest: self.used.iter().all(|used| *used == newest),
            ..self.seen
        }
    }

    pub(crate) fn handle(&mut self, request: &Request<String>) -> Response<String> {
        match request.uri().path().ends_with("/token") {
            true => self.token(request.body()),
            false => self.call(request),
        }
    }

    fn token(&mut self, form: &str) -> Response<String> {
        self.seen.token_requests += 1;
        let field = |name: &str| {
            let mut pairs = form.split('&');
            pairs.find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
        };
        let newest = self.issued.len();
        let worker = field("worker").unwrap_or("?");
        if field("refresh_token") != Some(&format!("refresh-{newest}")) {
            self.seen.spent_twice += 1;
            println!("worker {worker} spent a refresh token that was already spent");
            return response(400, r#"{"error":"invalid_grant"}"#);
        }
        self.issued.push(Instant::now() + LIFETIME);
        let next = newest + 1;
        println!("\nworker {worker} spends refresh-{newest} and gets access-{next}");
        response(
            200,
            format!(
                r#"{{"token_type":"bearer","access_token":"access-{next}","refresh_token":"refresh-{next}","expires_in":{}}}"#,
                LIFETIME.as_secs()
            ),
        )
    }

    fn call(&mut self, request: &Request<String>) -> Response<String> {
        let text = |name: &str| request.headers().get(name)?.to_str().ok();
        let number = text("authorization").and_then(|it| it.strip_prefix("Bearer access-"));
        let number: usize = number.and_then(|it| it.parse().ok()).unwrap_or_default();
        let until = number
            .checked_sub(1)
            .and_then(|index| self.issued.get(index));
        self.seen.calls += 1;
        if until.is_none_or(|until| *until < Instant::now()) {
            self.seen.rejected += 1;
            return response(401, "");
        }
        let worker = text("x-worker").and_then(|it| it.parse::<usize>().ok());
        let used = worker.and_then(|number| self.used.get_mut(number.checked_sub(1)?));
        if let (Some(worker), Some(used)) = (worker, used)
            && *used < number
        {
            *used = number;
            println!("  worker {worker} uses access-{number}");
        }
        response(200, "")
    }
}
