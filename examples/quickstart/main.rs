//! One client with up to 1,000 concurrent calls, while tokens are missing, revoked or about to
//! expire.
//!
//! `cargo run --example quickstart` starts an API and a token server on loopback (see
//! `servers.rs`), and prints what both observed.

mod servers;

use std::{fmt::Display, process::ExitCode, time::Duration};

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};
use tower::{ServiceBuilder, ServiceExt};
use tower_auth::{
    Auth, AuthLayer, BoxError, Origins, credential::Bearer, oauth2::ClientCredentials,
};

use servers::Servers;

/// This program's client: hyper-util's client, with a token on each request.
type ApiClient = Auth<Client<HttpConnector, Full<Bytes>>, Bearer>;

#[tokio::main]
async fn main() -> Result<ExitCode, BoxError> {
    let servers = Servers::start().await?;
    let [api, tokens] = [servers.api_url(), servers.token_url()];

    // This is all a program needs: where tokens come from, and where they may be sent.
    let provider = ClientCredentials::builder(tokens)
        .client_id("quickstart")
        .client_secret("not a secret")
        .http(Client::builder(TokioExecutor::new()).build_http())
        .build()?;
    let client: ApiClient = ServiceBuilder::new()
        .layer(AuthLayer::new(provider, Origins::only(&api)?))
        .service(
            // 1,000 calls share one connection, because many systems limit open files.
            Client::builder(TokioExecutor::new())
                .http2_only(true)
                .build_http(),
        );

    let mut report = Report::new(&servers);

    let calls = storm(&client, &api).await;
    report.line("1,000 calls, no token yet", calls);

    // From now on, tokens are valid for 2 s.
    servers.issue_for(Duration::from_secs(2));
    servers.revoke();
    let calls = storm(&client, &api).await;
    report.line("1,000 calls, the token was revoked", calls);

    for second in 1..=8 {
        let calls = steady(&client, &api, Duration::from_secs(1)).await;
        report.line(&format!("steady calls, second {second}"), calls);
    }
    Ok(report.close())
}

/// The outcomes that the callers saw.
#[derive(Default)]
struct Calls {
    made: usize,
    failed: usize,
    unauthorized: usize,
}

impl Calls {
    fn count(&mut self, outcome: Result<StatusCode, BoxError>) {
        self.made += 1;
        match outcome {
            Ok(StatusCode::OK) => {}
            Ok(StatusCode::UNAUTHORIZED) => self.unauthorized += 1,
            Ok(other) => self.fail(&format_args!("status {other}")),
            Err(error) => self.fail(&error),
        }
    }

    fn fail(&mut self, why: &dyn Display) {
        if self.failed == 0 {
            eprintln!("a call failed: {why:#}");
        }
        self.failed += 1;
    }

    fn add(&mut self, other: Self) {
        self.made += other.made;
        self.failed += other.failed;
        self.unauthorized += other.unauthorized;
    }
}

/// Makes 1,000 concurrent calls.
async fn storm(client: &ApiClient, api: &str) -> Calls {
    let mut tasks = JoinSet::new();
    for _ in 0..1000 {
        tasks.spawn(call(client.clone(), format!("{api}/things")));
    }
    let mut calls = Calls::default();
    for outcome in tasks.join_all().await {
        calls.count(outcome);
    }
    calls
}

/// Runs ten callers, each of which makes a call every 10 ms.
async fn steady(client: &ApiClient, api: &str, time: Duration) -> Calls {
    let end = Instant::now() + time;
    let mut tasks = JoinSet::new();
    for _ in 0..10 {
        let (client, url) = (client.clone(), format!("{api}/things"));
        tasks.spawn(async move {
            let mut calls = Calls::default();
            while Instant::now() < end {
                calls.count(call(client.clone(), url.clone()).await);
                sleep(Duration::from_millis(10)).await;
            }
            calls
        });
    }
    let mut calls = Calls::default();
    for one_caller in tasks.join_all().await {
        calls.add(one_caller);
    }
    calls
}

/// Makes one call, and reads the whole response.
async fn call(client: ApiClient, url: String) -> Result<StatusCode, BoxError> {
    let request = Request::get(url).body(Full::default())?;
    let response = client.oneshot(request).await?;
    let status = response.status();
    response.into_body().collect().await?;
    Ok(status)
}

/// Prints the table, and the totals at the end.
struct Report<'a> {
    servers: &'a Servers,
    calls: Calls,
}

impl<'a> Report<'a> {
    fn new(servers: &'a Servers) -> Self {
        println!("so far:                                 seen by the servers    seen by callers");
        println!(
            "                                     requests   401  tokens  retries  401  failed"
        );
        Self {
            servers,
            calls: Calls::default(),
        }
    }

    fn line(&mut self, what: &str, calls: Calls) {
        self.calls.add(calls);
        let seen = self.servers.seen();
        println!(
            "{what:<36} {:>8} {:>5} {:>7} {:>8} {:>4} {:>7}",
            seen.requests,
            seen.unauthorized,
            seen.token_requests,
            self.retries(),
            self.calls.unauthorized,
            self.calls.failed,
        );
    }

    /// Returns the number of requests beyond one per call. A failed call may never have reached the
    /// server.
    fn retries(&self) -> usize {
        self.servers.seen().requests.saturating_sub(self.calls.made)
    }

    fn close(self) -> ExitCode {
        let (seen, calls) = (self.servers.seen(), &self.calls);
        println!(
            "{{\"requests\":{},\"failed\":{},\"unauthorized_seen\":{},\"token_requests\":{},\
             \"retries\":{},\"expiries\":{}}}",
            seen.requests,
            calls.failed,
            calls.unauthorized,
            seen.token_requests,
            self.retries(),
            seen.expiries,
        );
        let succeeded = calls.failed + calls.unauthorized == 0
            && seen.expiries >= 2
            && seen.token_requests == seen.expiries + 2;
        if succeeded {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}
