//! Four processes that share one token store. Each refresh token can be spent only once, so one
//! process spends it, and the others use the new tokens. The example prints the actions of the
//! processes and of the token server, and a summary after five expiries.
//!
//! `cargo run --example fleet` keeps the tokens in a file.
//! `cargo run --features redis --example fleet -- --redis redis://127.0.0.1/` keeps them in Redis.

#[path = "../support/serve.rs"]
mod serve;
mod server;
mod worker;

use std::{
    fs,
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::{process::Command, time::sleep};
use tower_auth::BoxError;

use server::Server;

const WORKERS: u32 = 4;
const EXPIRIES: u32 = 5;

#[tokio::main]
pub(crate) async fn main() -> Result<(), BoxError> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["worker", number, run, server, store] => worker::work(number, run, server, store).await,
        ["--redis", url] => supervise(url).await,
        [] => {
            let folder = std::env::temp_dir().join(format!("fleet-{}", std::process::id()));
            fs::create_dir(&folder)?;
            let result = supervise(&folder.join("tokens.json").display().to_string()).await;
            fs::remove_dir_all(&folder)?;
            result
        }
        _ => Err("the only option is --redis URL".into()),
    }
}

async fn supervise(store: &str) -> Result<(), BoxError> {
    // Tokens of an earlier run are not valid here, even if the server has the same address.
    let run = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
    let run = run.to_string();
    let server = Arc::new(Mutex::new(Server::new(WORKERS)));
    let base = serve::serve({
        let server = Arc::clone(&server);
        move |request| {
            let mut server = server.lock().unwrap_or_else(PoisonError::into_inner);
            std::future::ready(server.handle(&request))
        }
    });
    let base = format!("http://{}", base.await?);
    println!("{WORKERS} processes share one refresh token in {store}");

    let mut workers = Vec::new();
    for number in 1..=WORKERS {
        let worker = Command::new(std::env::current_exe()?)
            .args(["worker", &number.to_string(), &run, &base, store])
            // The worker exits when its input closes.
            .stdin(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        workers.push(worker);
    }
    let seen = || {
        let server = server.lock().unwrap_or_else(PoisonError::into_inner);
        server.seen()
    };
    while seen().token_requests < 1 + EXPIRIES || !seen().all_use_the_newest {
        sleep(Duration::from_millis(50)).await;
        for worker in &mut workers {
            if worker.try_wait()?.is_some() {
                return Err("a worker exited too early".into());
            }
        }
    }
    for worker in &mut workers {
        drop(worker.stdin.take());
    }
    for mut worker in workers {
        if !worker.wait().await?.success() {
            return Err("a worker failed".into());
        }
    }
    let seen = seen();
    println!(
        "\n{} calls by {WORKERS} processes over {EXPIRIES} expiries: {} token requests, {} refresh \
         tokens spent twice, {} calls rejected",
        seen.calls, seen.token_requests, seen.spent_twice, seen.rejected
    );
    Ok(())
}
