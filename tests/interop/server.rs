//! A server's process, on a port of its own, with its files in a folder of its own.

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

/// How a server is started: by `servers/{name}/start`, which stays in the foreground.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    /// A path that answers when the server is up.
    pub(crate) ready: &'static str,
    /// Whether `servers/{name}/setup` is run then.
    pub(crate) has_setup: bool,
}

/// A running server. Dropping it stops it, and removes its files.
pub(crate) struct Server {
    /// Without a slash at the end.
    pub(crate) url: String,
    /// The only redirect URI of its clients. Nobody listens there but a flow that wants to.
    pub(crate) redirect_uri: String,
    /// A server of resources, for one that has none itself.
    pub(crate) beside: Option<Box<Server>>,
    name: &'static str,
    // Before the folder, so that it ends before that is removed.
    process: Process,
    pub(crate) dir: TempDir,
}

impl Server {
    pub(crate) async fn start(kind: &Kind, settings: &[(&str, &str)]) -> Result<Self, BoxError> {
        let mut error = None;
        // The port was free a moment ago; somebody else may have been faster.
        for _ in 0..3 {
            match Self::start_once(kind, settings).await {
                Ok(server) => return Ok(server),
                Err(why) => error = Some(why),
            }
        }
        Err(error.expect("it was tried"))
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
        server.wait_until_it_answers(kind.ready).await?;
        if let Some(setup) = setup {
            let status = Process::start(setup)?.end().await?;
            if !status.success() {
                return Err(format!("the set-up of {} failed\n{}", kind.name, server.log()).into());
            }
        }
        Ok(server)
    }

    async fn wait_until_it_answers(&mut self, path: &str) -> Result<(), BoxError> {
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
                return Err(format!("{} does not answer\n{}", self.name, self.log()).into());
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// The end of what it wrote, for people.
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

/// Ports that nobody listens at, taken together so that they differ.
fn free_ports() -> Result<(u16, u16), BoxError> {
    let one = TcpListener::bind("127.0.0.1:0")?;
    let other = TcpListener::bind("127.0.0.1:0")?;
    Ok((one.local_addr()?.port(), other.local_addr()?.port()))
}
