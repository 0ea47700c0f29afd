//! One of the processes: this program, started again.

use std::{
    io::{self, BufRead},
    process::Stdio,
    time::{Duration, Instant},
};

use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};
use tower_auth::{
    AuthLayer, BoxError, Handle, Origins,
    credential::Bearer,
    oauth2::RefreshTokenGrant,
    store::{FileStore, StoreKey},
};

const JOB: &str = "TOWER_AUTH_BENCH_FLEET";

pub(crate) struct Job {
    pub(crate) server: String,
    /// A file, or the URL of a Redis server.
    pub(crate) store: Option<String>,
    pub(crate) time: Duration,
}

impl Job {
    pub(crate) fn from_environment() -> Option<Self> {
        let job = std::env::var(JOB).ok()?;
        let (server, rest) = job.split_once(' ')?;
        let (millis, store) = rest.split_once(' ')?;
        Some(Self {
            server: server.to_owned(),
            store: Some(store.to_owned()).filter(|store| !store.is_empty()),
            time: Duration::from_millis(millis.parse().ok()?),
        })
    }

    fn to_text(&self) -> String {
        let store = self.store.as_deref().unwrap_or_default();
        format!("{} {} {store}", self.server, self.time.as_millis())
    }
}

/// Refreshes until the time is up, and prints the duration of each refresh in milliseconds.
#[tokio::main(flavor = "current_thread")]
pub(crate) async fn work(job: &Job) -> Result<(), BoxError> {
    let provider = RefreshTokenGrant::builder(&job.server)
        .client_id("bench")
        .refresh_token("first")
        .http(Client::builder(TokioExecutor::new()).build_http());
    let key = StoreKey::issuer(&job.server).client("bench");
    let provider = match job.store.as_deref() {
        None => provider,
        #[cfg(feature = "redis")]
        Some(url) if url.starts_with("redis:") => {
            let store = tower_auth::store::RedisStore::connect(url).await?;
            provider.store(store, key)
        }
        Some(file) => provider.store(FileStore::new(file)?, key),
    };
    let layer = AuthLayer::new(provider.build()?, Origins::only("https://api.example.com")?);
    let handle = layer.handle();
    // The first refresh also opens connections, so it is not measured.
    refresh(&handle).await?;
    println!("ready");
    io::stdin().lock().read_line(&mut String::new())?;
    let mut waits = Vec::new();
    let start = now();
    while start.elapsed() < job.time {
        waits.push(refresh(&handle).await?);
    }
    for wait in waits {
        println!("{}", wait.as_secs_f64() * 1e3);
    }
    Ok(())
}

async fn refresh(handle: &Handle<Bearer>) -> Result<Duration, BoxError> {
    handle.invalidate();
    let start = now();
    handle.credential().await?;
    Ok(start.elapsed())
}

#[expect(clippy::disallowed_methods, reason = "real time is what is measured")]
fn now() -> Instant {
    Instant::now()
}

/// A running process. Dropping it kills the process.
pub(crate) struct Process {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Process {
    /// Starts a process, and waits until it has refreshed once.
    pub(crate) async fn start(job: &Job) -> Result<Self, BoxError> {
        let mut child = Command::new(std::env::current_exe()?)
            .env(JOB, job.to_text())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let input = child.stdin.take().ok_or("no input")?;
        let output = child.stdout.take().ok_or("no output")?;
        let mut output = BufReader::new(output).lines();
        if output.next_line().await?.as_deref() != Some("ready") {
            return Err("a process did not start".into());
        }
        Ok(Self {
            child,
            input,
            output,
        })
    }

    pub(crate) async fn go(&mut self) -> io::Result<()> {
        self.input.write_all(b"go\n").await
    }

    /// Waits for the process to end, and returns the durations of its refreshes in milliseconds.
    pub(crate) async fn waits(mut self) -> Result<Vec<f64>, BoxError> {
        let mut waits = Vec::new();
        while let Some(line) = self.output.next_line().await? {
            waits.push(line.parse()?);
        }
        if !self.child.wait().await?.success() {
            return Err("a process failed".into());
        }
        Ok(waits)
    }
}
