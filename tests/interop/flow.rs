//! Flows, and the servers that they need.

use std::{panic::AssertUnwindSafe, time::Duration};

use futures::{FutureExt, future::BoxFuture};
use tokio::time::{Instant, timeout};
use tower_auth::BoxError;

use crate::{
    needs::{self, Need},
    report::{Line, Outcome},
    server::Server,
};

const LONGEST: Duration = Duration::from_secs(120);

/// Environment variables for a server's start script.
pub(crate) type Settings = &'static [(&'static str, &'static str)];

/// All flows of one server.
pub(crate) struct Suite {
    pub(crate) server: &'static str,
    pub(crate) needs: &'static [Need],
    pub(crate) start: fn(Settings) -> BoxFuture<'static, Result<Server, BoxError>>,
    pub(crate) flows: &'static [Flow],
}

pub(crate) struct Flow {
    pub(crate) name: &'static str,
    pub(crate) settings: Settings,
    /// The flow's needs, in addition to the server's.
    pub(crate) needs: &'static [Need],
    pub(crate) run: for<'a> fn(&'a Server) -> BoxFuture<'a, Result<(), BoxError>>,
}

/// Creates a flow named after its function: `flow!(function)`. With settings for the server, it is
/// `flow!(function, "TOKEN_TTL" = "2")`; with a user, it is `flow!(function, in browser)`.
macro_rules! flow {
    ($function:ident $(, $name:literal = $value:literal)*) => {
        crate::flow::flow!($function, &[], $(($name, $value)),*)
    };
    ($function:ident, in browser $(, $name:literal = $value:literal)*) => {
        crate::flow::flow!($function, crate::browser::NEEDS, $(($name, $value)),*)
    };
    ($function:ident, $needs:expr, $($setting:expr),*) => {
        crate::flow::Flow {
            name: stringify!($function),
            settings: &[$($setting),*],
            needs: $needs,
            run: |server| Box::pin($function(server)),
        }
    };
}
pub(crate) use flow;

impl Suite {
    /// Runs the flows whose names contain one of the chosen texts, or all flows if none is chosen.
    /// Flows with the same settings share a server.
    pub(crate) async fn run(&self, chosen: &[String]) -> Vec<Line> {
        let mut lines = Vec::new();
        let mut flows: Vec<&Flow> = self.flows.iter().collect();
        flows.retain(|flow| {
            let name = format!("{} {}", self.server, flow.title());
            chosen.is_empty() || chosen.iter().any(|text| name.contains(text))
        });
        while let Some(first) = flows.first() {
            let settings = first.settings;
            let group: Vec<&Flow> = flows
                .extract_if(.., |flow| flow.settings == settings)
                .collect();
            self.run_group(settings, &group, &mut lines).await;
        }
        lines
    }

    async fn run_group(&self, settings: Settings, group: &[&Flow], lines: &mut Vec<Line>) {
        let mut add = |flow: &Flow, outcome| {
            lines.push(Line::new(self.server, flow.title(), outcome));
        };
        if let Some(missing) = needs::missing(self.needs) {
            for flow in group {
                add(flow, Outcome::NotRun(missing.clone()));
            }
            return;
        }
        let server = match (self.start)(settings).await {
            Ok(server) => server,
            Err(error) => {
                for flow in group {
                    add(flow, Outcome::Failed(format!("{error:#}")));
                }
                return;
            }
        };
        for flow in group {
            let outcome = match needs::missing(flow.needs) {
                Some(missing) => Outcome::NotRun(missing),
                None => flow.outcome(&server).await,
            };
            add(flow, outcome);
        }
    }
}

impl Flow {
    fn title(&self) -> String {
        self.name.replace('_', " ")
    }

    async fn outcome(&self, server: &Server) -> Outcome {
        let start = Instant::now();
        let run = AssertUnwindSafe((self.run)(server)).catch_unwind();
        let error = match timeout(LONGEST, run).await {
            Ok(Ok(Ok(()))) => return Outcome::Passed(start.elapsed()),
            Ok(Ok(Err(error))) => format!("{error:#}"),
            Ok(Err(panic)) => message(&*panic),
            Err(_) => format!("did not end within {LONGEST:?}"),
        };
        Outcome::Failed(format!("{error:#}\n{}", server.log()))
    }
}

fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("panicked").to_owned()
}
