//! One process of the fleet: this test program, started again.
//!
//! The process reads commands from its standard input, and stops when the input ends. Each message
//! that it reports is one line on its standard output.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use http_body_util::{Empty, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    task::JoinSet,
    time::sleep,
};
use tower::{Layer, Service, ServiceBuilder, ServiceExt};
use tower_auth::{
    AuthLayer, BoxError, Origins, Provider, RefreshSettings,
    credential::Bearer,
    oauth2::{ClientCredentials, RefreshTokenGrant},
    store::{FileStore, StoreKey, TokenStore},
};

use crate::{
    server::PROCESS,
    watched::{WatchedProvider, WatchedStore},
};

pub(crate) const CALLERS: u64 = 100;
pub(crate) const RESUME: &str = "resume";
pub(crate) const LOG_OUT: &str = "log out";

const SETTINGS: &str = "TOWER_AUTH_FLEET_WORKER";
const MESSAGE_PREFIX: &str = "fleet> ";

#[derive(Clone)]
pub(crate) struct Settings {
    /// The name of the process.
    pub(crate) name: String,
    pub(crate) server: String,
    /// A file, or the URL of a Redis server.
    pub(crate) store: String,
    pub(crate) has_refresh_token: bool,
    /// The pause between two calls of a caller.
    pub(crate) pause: Duration,
    pub(crate) refresh_timeout: Duration,
    /// The number of seconds by which the process's clock is ahead.
    pub(crate) clock: i64,
}

impl Settings {
    pub(crate) fn key(&self) -> StoreKey {
        StoreKey::issuer(&self.token_url()).client("fleet")
    }

    pub(crate) fn token_url(&self) -> String {
        format!("{}/token", self.server)
    }

    /// Returns a command that starts a process with these settings.
    pub(crate) fn command(&self) -> tokio::process::Command {
        let value = json!({
            "name": self.name, "server": self.server, "store": self.store,
            "has_refresh_token": self.has_refresh_token, "clock": self.clock,
            "pause": self.pause.as_millis() as u64,
            "refresh_timeout": self.refresh_timeout.as_millis() as u64,
        });
        let mut command = tokio::process::Command::new(std::env::current_exe().unwrap());
        command
            .args([
                "--exact",
                "worker::works_if_started_by_a_fleet",
                "--nocapture",
            ])
            .env(SETTINGS, value.to_string());
        command
    }

    fn from_environment() -> Option<Self> {
        let value: Value = serde_json::from_str(&std::env::var(SETTINGS).ok()?).unwrap();
        let text = |name: &str| value[name].as_str().unwrap().to_owned();
        let time = |name: &str| Duration::from_millis(value[name].as_u64().unwrap());
        Some(Self {
            name: text("name"),
            server: text("server"),
            store: text("store"),
            has_refresh_token: value["has_refresh_token"].as_bool().unwrap(),
            pause: time("pause"),
            refresh_timeout: time("refresh_timeout"),
            clock: value["clock"].as_i64().unwrap(),
        })
    }
}

/// Reports a message to the supervisor.
pub(crate) fn report(message: impl fmt::Display) {
    println!("{MESSAGE_PREFIX}{message}");
}

/// Returns the message in a line of a process's output.
pub(crate) fn message_in(line: &str) -> Option<&str> {
    line.split_once(MESSAGE_PREFIX).map(|(_, message)| message)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn works_if_started_by_a_fleet() {
    let Some(settings) = Settings::from_environment() else {
        return;
    };
    if !settings.store.starts_with("redis:") {
        let store = FileStore::new(&settings.store).unwrap();
        return work_with(settings, store).await;
    }
    #[cfg(feature = "redis")]
    loop {
        // The server may be unavailable for a moment.
        match tower_auth::store::RedisStore::connect(&settings.store).await {
            Ok(store) => return work_with(settings, store).await,
            Err(_) => sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn work_with(settings: Settings, store: impl TokenStore) {
    let store = WatchedStore {
        inner: store,
        clock: settings.clock,
    };
    let name = HeaderValue::from_str(&settings.name).unwrap();
    let http = ServiceBuilder::new()
        .map_request(move |mut request: Request<Full<Bytes>>| {
            request.headers_mut().insert(PROCESS, name.clone());
            request
        })
        .service(Client::builder(TokioExecutor::new()).build_http());
    if settings.has_refresh_token {
        let builder = RefreshTokenGrant::builder(settings.token_url())
            .client_id("fleet")
            .revoke_url(format!("{}/revoke", settings.server))
            .store(store, settings.key())
            .http(http);
        work(settings, builder.build().unwrap()).await;
    } else {
        let builder = ClientCredentials::builder(settings.token_url())
            .client_id("fleet")
            .client_secret("secret")
            .store(store, settings.key())
            .http(http);
        work(settings, builder.build().unwrap()).await;
    }
}

struct Process {
    settings: Settings,
    stops: AtomicBool,
    calls: AtomicU64,
    failed: AtomicU64,
}

async fn work(settings: Settings, provider: impl Provider<Credential = Bearer>) {
    let layer = AuthLayer::with_settings(
        WatchedProvider(provider),
        Origins::only(&settings.server).unwrap(),
        RefreshSettings::default().refresh_timeout(settings.refresh_timeout),
    );
    let handle = layer.handle();
    // One connection per process, because many systems limit open files to fewer than 1,000.
    let client = Client::builder(TokioExecutor::new())
        .http2_only(true)
        .build_http::<Empty<Bytes>>();
    let client = layer.layer(client);
    let process = Arc::new(Process {
        settings,
        stops: AtomicBool::new(false),
        calls: AtomicU64::new(0),
        failed: AtomicU64::new(0),
    });

    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let (client, process) = (client.clone(), Arc::clone(&process));
        callers.spawn(async move {
            let pause = process.settings.pause;
            sleep(pause.mul_f64(caller as f64 / CALLERS as f64)).await;
            while !process.stops.load(Ordering::Relaxed) {
                process.call(client.clone()).await;
                sleep(pause).await;
            }
        });
    }
    let mut commands = BufReader::new(tokio::io::stdin()).lines();
    while let Ok(Some(command)) = commands.next_line().await {
        match command.as_str() {
            RESUME => handle.resume(),
            LOG_OUT => match handle.log_out().await {
                Ok(()) => report("logged out"),
                Err(error) => report(format_args!("logout failed: {error:#}")),
            },
            other => panic!("{other}"),
        }
    }
    process.stops.store(true, Ordering::Relaxed);
    callers.join_all().await;
    report(format_args!(
        "done {} {}",
        process.calls.load(Ordering::Relaxed),
        process.failed.load(Ordering::Relaxed)
    ));
}

impl Process {
    async fn call<C, B>(&self, client: C)
    where
        C: Service<Request<Empty<Bytes>>, Response = Response<B>, Error: Into<BoxError>>,
    {
        let request = Request::get(format!("{}/api", self.settings.server))
            .header(PROCESS, &self.settings.name)
            .body(Empty::new())
            .unwrap();
        self.calls.fetch_add(1, Ordering::Relaxed);
        let why = match client.oneshot(request).await {
            Ok(response) if response.status() == 200 => return,
            Ok(response) => response.status().to_string(),
            Err(error) => format!("{:#}", error.into()),
        };
        if self.failed.fetch_add(1, Ordering::Relaxed) < 3 {
            eprintln!("process {}: {why}", self.settings.name);
        }
    }
}
