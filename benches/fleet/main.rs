//! The cost of refreshing under a store's lock: `cargo bench --bench fleet`. Add `--features redis`
//! to measure Redis too.
//!
//! Several processes refresh continuously at a server that responds immediately. Without a store,
//! each process has its own refresh token; that is the baseline. With a store, they share one: the
//! process that holds the lock sends the token request, and the others use the tokens that it
//! saved. No real program refreshes like this. The bench shows the worst case for callers when a
//! token expires for all processes at once, and how many tokens per second one entry of a store can
//! handle. The file store is in the system's temporary folder. Redis writes its log to disk at each
//! step. `BENCH_QUICK=1` makes a short run.

mod process;
#[cfg(feature = "redis")]
#[allow(dead_code, reason = "each program uses some of it")]
#[path = "../../tests/support/redis.rs"]
mod redis_server;
#[path = "../../examples/support/serve.rs"]
mod serve;

use std::{
    fs, future,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tower_auth::BoxError;

use process::{Job, Process};

const PROCESSES: [usize; 3] = [1, 4, 16];

fn main() -> Result<(), BoxError> {
    if let Some(job) = Job::from_environment() {
        return process::work(&job);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(measure())
}

async fn measure() -> Result<(), BoxError> {
    let quick = std::env::var_os("BENCH_QUICK").is_some();
    let time = Duration::from_millis(if quick { 500 } else { 5000 });
    let asked = Arc::new(AtomicU64::new(0));
    let server = serve::serve({
        let asked = Arc::clone(&asked);
        move |_| {
            let number = asked.fetch_add(1, Ordering::Relaxed);
            let body = format!(
                r#"{{"token_type":"bearer","access_token":"a{number}","refresh_token":"r{number}","expires_in":3600}}"#
            );
            future::ready(serve::response(200, body))
        }
    });
    let server = format!("http://{}/token", server.await?);
    let bench = Bench {
        server,
        asked,
        time,
    };

    println!(
        "{:<10}{:>10}{:>14}{:>12}{:>10}{:>10}{:>12}",
        "store", "processes", "asked per s", "used per s", "p50 ms", "p99 ms", "added ms"
    );
    let mut baselines = Vec::new();
    for processes in PROCESSES {
        let row = bench.run(None, processes).await?;
        row.print("none", None);
        baselines.push(row.p50);
    }
    for (processes, baseline) in PROCESSES.iter().zip(&baselines) {
        // A different file each time, because an existing entry makes the start cheaper.
        let folder = Folder::new()?;
        let row = bench.run(Some(folder.file()), *processes).await?;
        row.print("file", Some(*baseline));
    }
    #[cfg(feature = "redis")]
    if let Some(redis) = redis_server::RedisServer::synced() {
        for (processes, baseline) in PROCESSES.iter().zip(&baselines) {
            redis.command(&["FLUSHALL"])?;
            let row = bench.run(Some(redis.url()), *processes).await?;
            row.print("redis", Some(*baseline));
        }
    }
    #[cfg(not(feature = "redis"))]
    println!("redis: n/a, requires `--features redis`");
    println!(
        "asked: token requests; used: tokens that processes got, by asking or from the store;\n\
         p50, p99: how long a process waited for one; added: p50 beyond that without a store"
    );
    Ok(())
}

struct Bench {
    server: String,
    /// The number of token requests that the server has received.
    asked: Arc<AtomicU64>,
    time: Duration,
}

struct Row {
    processes: usize,
    asked: f64,
    used: f64,
    p50: f64,
    p99: f64,
}

impl Bench {
    /// Runs the given number of processes for the given time.
    async fn run(&self, store: Option<String>, processes: usize) -> Result<Row, BoxError> {
        let job = Job {
            server: self.server.clone(),
            store,
            time: self.time,
        };
        let mut all = Vec::new();
        for _ in 0..processes {
            all.push(Process::start(&job).await?);
        }
        let before = self.asked.load(Ordering::Relaxed);
        for process in &mut all {
            process.go().await?;
        }
        let mut waits = Vec::new();
        for process in all {
            waits.extend(process.waits().await?);
        }
        waits.sort_by(f64::total_cmp);
        let asked = self.asked.load(Ordering::Relaxed) - before;
        let seconds = self.time.as_secs_f64();
        let at = |share: f64| {
            let index = (waits.len() as f64 * share) as usize;
            waits.get(index).copied().unwrap_or(f64::NAN)
        };
        Ok(Row {
            processes,
            asked: asked as f64 / seconds,
            used: waits.len() as f64 / seconds,
            p50: at(0.5),
            p99: at(0.99),
        })
    }
}

impl Row {
    fn print(&self, store: &str, baseline: Option<f64>) {
        let added = baseline.map_or("-".into(), |baseline| format!("{:.2}", self.p50 - baseline));
        println!(
            "{store:<10}{:>10}{:>14.0}{:>12.0}{:>10.2}{:>10.2}{added:>12}",
            self.processes, self.asked, self.used, self.p50, self.p99
        );
    }
}

/// A folder that is removed with its contents on drop.
struct Folder(PathBuf);

impl Folder {
    fn new() -> std::io::Result<Self> {
        let name = format!("tower-auth-bench-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path)?;
        Ok(Self(path))
    }

    fn file(&self) -> String {
        self.0.join("tokens.json").display().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
