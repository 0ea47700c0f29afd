//! Many processes that share one rotating refresh token. The server revokes the whole family of
//! tokens when one is spent twice.

mod server;
mod worker;

use std::{
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use server::AuthorizationServer;

/// P41: for the processes of one machine.
#[tokio::test(flavor = "multi_thread")]
async fn ten_processes_share_one_rotating_refresh_token_in_a_file() {
    const PROCESSES: usize = 10;
    const TIME: Duration = Duration::from_secs(12);
    /// Early refresh starts 40 % before the end of two seconds, at most a quarter of that later.
    const SHORTEST_INTERVAL: Duration = Duration::from_millis(1200);

    let server = AuthorizationServer::start(Duration::from_secs(2)).await;
    let folder = Folder::new();
    let workers: Vec<_> = (0..PROCESSES)
        .map(|_| {
            let mut worker = Command::new(std::env::current_exe().unwrap());
            worker
                .args(["--exact", "worker::works_if_it_is_told_to", "--nocapture"])
                .env(worker::STORE, folder.0.join("tokens.json"))
                .env(worker::SERVER, server.url())
                .env(worker::SECONDS, TIME.as_secs().to_string())
                .stdout(Stdio::piped());
            worker.spawn().unwrap()
        })
        .collect();
    let (mut calls, mut failed) = (0, 0);
    for worker in workers {
        let output = tokio::task::spawn_blocking(|| worker.wait_with_output()).await;
        let output = output.unwrap().unwrap();
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        let report = printed
            .lines()
            .find_map(|line| line.split_once("REPORT "))
            .unwrap()
            .1;
        println!("{report}");
        let mut numbers = report
            .split_whitespace()
            .filter_map(|word| word.parse::<u64>().ok());
        calls += numbers.nth(1).unwrap();
        failed += numbers.next().unwrap();
        assert!(output.status.success());
    }
    let seen = server.seen();
    println!("{PROCESSES} processes, {calls} calls, {failed} failed; the server: {seen:?}");
    assert_eq!((failed, seen.reused, seen.families_revoked), (0, 0, 0));
    assert!(calls > 10_000, "{calls}");
    let most = TIME.as_millis() / SHORTEST_INTERVAL.as_millis() + 2;
    assert!((5..=most).contains(&seen.token_requests.into()), "{seen:?}");
}

/// A folder that is removed with all that is in it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let name = format!("tower-auth-fleet-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
