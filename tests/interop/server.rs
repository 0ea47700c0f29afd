//! A server process, on its own port, with its files in its own folder.

use std::{
    fs::{self, File},
    net::TcpListener,
    os::unix::fs::symlink,
    process::{Command, Stdio},
    time::Duration,
};

use tokio::time::{Instant, sleep};
use tower_auth::BoxError;

use crate::{
    client,
    needs::{here, workshop},
    process::Process,
    temp::TempDir,
};

const LONGEST_START: Duration = Duration::from_secs(60);

/// A kind of server, started by `servers/{name}/start`, which stays in the foreground.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    /// A path that responds once the server is up.
    pub(crate) ready: &'static str,
    /// Whether to run `servers/{name}/setup` afterward.
    pub(crate) has_setup: bool,
}

/// A running server. Dropping it stops it, and removes its files.
pub(crate) struct Server {
    /// The server's URL, without a trailing slash.
    pub(crate) url: String,
    /// The only redirect URI of its clients. Nothing listens there, except in flows that need it.
    pub(crate) redirect_uri: String,
    /// A resource server, for an authorization server without one.
    pub(crate) beside: Option<Box<Server>>,
    name: &'static str,
    // Declared before the folder, so that the process ends before the folder is removed.
    process: Process,
    pub(crate) dir: TempDir,
}

impl Server {
    pub(crate) async fn start(kind: &Kind, settings: &[(&str, &str)]) -> Result<Self, BoxError> {
        let mut error = None;
        // The port was free a moment ago, but another process may have taken it since.
        for _ in 0..3 {
            match Self::start_once(kind, settings).await {
                Ok(server) => return Ok(server),
                Err(why) => error = Some(why),
            }
        }
        Err(error.expect("at least one attempt"))
    }

    async fn start_once(kind: &Kind, settings: &[(&str, &str)]) -> Result<Self, BoxError> {
        let (port, redirect_port) = free_ports()?;
        let redirect_uri = format!("http://127.0.0.1:{redirect_port}/cb");
        let dir = TempDir::new(kind.name)?;
        symlink(
            workshop().join("node_modules"),
            dir.path().join("node_modules"),
        )?;
        let log = File::create(dir.path().join("log"))?;
        let command = |script: &str| -> Result<Command, BoxError> {
            let mut command = Command::new(here().join("servers").join(kind.name).join(script));
            command
                .current_dir(dir.path())
                .env("DATA", dir.path())
                .env("SERVERS", here().join("servers"))
                .env("PORT", port.to_string())
                .env("REDIRECT_URI", &redirect_uri)
                .envs(settings.iter().copied())
                .stdin(Stdio::null())
                .stdout(log.try_clone()?)
                .stderr(log.try_clone()?);
            Ok(command)
        };
        let process = Process::start(command("start")?)?;
        let setup = kind.has_setup.then(|| command("setup")).transpose()?;
        let mut server = Self {
            url: format!("http://127.0.0.1:{port}"),
            redirect_uri,
            beside: None,
            name: kind.name,
            process,
            dir,
        };
        server.wait_until_ready(kind.ready).await?;
        if let Some(setup) = setup {
            let status = Process::start(setup)?.end().await?;
            if !status.success() {
                return Err(format!("the setup of {} failed\n{}", kind.name, server.log()).into());
            }
        }
        Ok(server)
    }

    async fn wait_until_ready(&mut self, path: &str) -> Result<(), BoxError> {
        let start = Instant::now();
        let url = format!("{}{path}", self.url);
        loop {
            if let Some(status) = self.process.ended()? {
                return Err(format!("{} ended: {status}\n{}", self.name, self.log()).into());
            }
            if client::get(&url).await.is_ok() {
                return Ok(());
            }
            if start.elapsed() > LONGEST_START {
                return Err(format!("{} does not respond\n{}", self.name, self.log()).into());
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Returns the end of its log, for display.
    pub(crate) fn log(&self) -> String {
        let bytes = fs::read(self.dir.path().join("log")).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.lines().collect();
        let end = lines[lines.len().saturating_sub(30)..].join("\n  ");
        let beside = self.beside.as_ref().map(|server| server.log());
        format!(
            "the log of {}:\n  {end}\n{}",
            self.name,
            beside.unwrap_or_default()
        )
    }
}

/// Returns free ports, allocated together so that they differ.
fn free_ports() -> Result<(u16, u16), BoxError> {
    let one = TcpListener::bind("127.0.0.1:0")?;
    let other = TcpListener::bind("127.0.0.1:0")?;
    Ok((one.local_addr()?.port(), other.local_addr()?.port()))
}
