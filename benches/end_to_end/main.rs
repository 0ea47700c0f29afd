//! The cost of the layer for real requests: `cargo bench --bench end_to_end`.
//!
//! A hyper-util client sends requests to a hyper server on loopback, one at a time or 16 at a time,
//! over HTTP/1.1 and HTTP/2. The server runs in a separate thread. All variants use the same
//! client, and therefore the same connections:
//!
//! - `bare`: the client without a credential. `bare, again` is the same variant a second time. It
//!   shows how far two equal variants differ on this machine.
//! - `ready header`: the client with a ready-made header value of the same length. It is marked
//!   sensitive, as the layer's is, so that HTTP/2 sends it in full each time instead of keeping it
//!   in a table that an attacker could probe. This is the cost of a credential on the wire and at
//!   the server.
//! - `AuthLayer`: the client with the layer.
//! - `by hand`: a mutex around an optional token that is formatted into each request (see
//!   `support/by_hand.rs`).
//!
//! The variants take turns in many short rounds, so that other load on the machine affects all of
//! them. Ratios are computed within a round, and their medians are reported. `BENCH_QUICK=1` runs
//! only a few rounds.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing benchmark should abort"
)]

mod rounds;
mod server;
#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "each bench uses some of it")]
mod support;

use std::time::Duration;

use http::{HeaderValue, Request, header::AUTHORIZATION};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tower::{Layer, ServiceExt};
use tower_auth::{AuthLayer, BoxError, Origins};

use self::{
    rounds::{Load, Variant},
    support::{
        Body,
        by_hand::{ByHand, Fetch},
        is_quick, median,
        report::{Limit, Report, Table, count, number, text},
        servers::Servers,
    },
};

const BARE: usize = 0;
const READY_HEADER: usize = 2;
const AUTH: usize = 3;

/// The number of rounds of all variants.
const ROUNDS: usize = 101;
const QUICK_ROUNDS: usize = 5;

struct Found {
    protocol: &'static str,
    tasks: usize,
    /// Seconds per request, per round and variant.
    rounds: Vec<Vec<f64>>,
}

fn main() -> Result<(), BoxError> {
    let origin = server::start()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let rounds = if is_quick() { QUICK_ROUNDS } else { ROUNDS };
    let mut names = Vec::new();
    let mut found = Vec::new();
    for (protocol, http2) in [("HTTP/1.1", false), ("HTTP/2", true)] {
        for tasks in [1, 16] {
            let load = Load {
                uri: format!("{origin}/things").parse()?,
                tasks,
                requests: 480,
            };
            let client = Client::builder(TokioExecutor::new())
                .http2_only(http2)
                .build_http();
            let variants = variants(&client, &origin, &load)?;
            names = variants.iter().map(|variant| variant.name).collect();
            found.push(Found {
                protocol,
                tasks,
                rounds: runtime.block_on(rounds::measure(&variants, rounds)),
            });
        }
    }
    report(&names, &found).finish()?;
    Ok(())
}

/// Returns the variants, in the order of the constants.
fn variants(
    client: &Client<HttpConnector, Body>,
    origin: &str,
    load: &Load,
) -> Result<Vec<Variant>, BoxError> {
    let servers = Servers::new(Duration::ZERO, Duration::from_secs(3600));
    let layer = AuthLayer::new(servers.provider(), Origins::only(origin)?);
    let mut header = HeaderValue::try_from(format!("Bearer {:.<256}", ""))?;
    header.set_sensitive(true);
    let ready_header = client
        .clone()
        .map_request(move |mut request: Request<Body>| {
            let headers = request.headers_mut();
            headers.insert(AUTHORIZATION, header.clone());
            request
        });
    let by_hand = ByHand::new(client.clone(), &servers, Fetch::UnderLock);
    Ok(vec![
        Variant::new("bare", client.clone(), load),
        Variant::new("bare, again", client.clone(), load),
        Variant::new("ready header", ready_header, load),
        Variant::new("AuthLayer", layer.layer(client.clone()), load),
        Variant::new("by hand", by_hand, load),
    ])
}

fn report(names: &[&'static str], found: &[Found]) -> Report {
    let mut report = Report::new("end_to_end");
    let columns = [
        "protocol",
        "at a time",
        "variant",
        "us per request",
        "/ bare",
        "/ ready header",
    ];
    let rounds = found.first().map_or(0, |found| found.rounds.len());
    let title = format!("a client and a server on loopback, medians of {rounds} rounds");
    let mut table = Table::new(title, &columns);
    for found in found {
        for (index, name) in names.iter().enumerate() {
            table.row([
                text(found.protocol),
                count(found.tasks as u64),
                text(*name),
                number(found.median(|round| round[index]) * 1e6, 1),
                number(found.ratio(index, BARE), 3),
                number(found.ratio(index, READY_HEADER), 3),
            ]);
        }
    }
    report.table(table);
    for found in found {
        // A client without the layer would send the same bytes.
        report.aim(
            format!(
                "end_to_end: {}, {} at a time, / ready header",
                found.protocol, found.tasks
            ),
            Some(found.ratio(AUTH, READY_HEADER)),
            Limit::AtMost(1.03),
        );
    }
    report
}

impl Found {
    fn ratio(&self, one: usize, other: usize) -> f64 {
        self.median(|round| round[one] / round[other])
    }

    fn median(&self, figure: impl Fn(&Vec<f64>) -> f64) -> f64 {
        median(self.rounds.iter().map(figure).collect())
    }
}
