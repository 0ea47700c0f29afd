//! A temporary Postgres server. Its data and socket are in a temporary directory, removed on drop.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use tokio::time::sleep;
use tokio_postgres::{Config, NoTls};

pub(crate) struct Postgres {
    programs: PathBuf,
    directory: PathBuf,
    child: Option<Child>,
}

impl Postgres {
    /// Starts a server. If Postgres is not installed, prints that and returns `None`, or fails if
    /// `TOWER_AUTH_REQUIRE_SERVERS=1` is set.
    pub(crate) async fn start() -> io::Result<Option<Self>> {
        let Some(programs) = programs() else {
            let text = "SKIPPED: this needs Postgres; install it with `apt-get install postgresql`";
            if env::var_os("TOWER_AUTH_REQUIRE_SERVERS").is_some_and(|it| it == "1") {
                return Err(io::Error::other(text));
            }
            println!("{text}");
            return Ok(None);
        };
        let directory = env::temp_dir().join(format!("tower-auth-postgres-{}", std::process::id()));
        fs::create_dir(&directory)?;
        let mut postgres = Self {
            programs,
            directory,
            child: None,
        };
        give_to_unprivileged(&postgres.directory)?;
        let done = postgres
            .command("initdb")
            .args([
                "--username=tower",
                "--auth=trust",
                "--no-sync",
                "--encoding=UTF8",
            ])
            .status()?;
        if !done.success() {
            return Err(io::Error::other(format!("initdb: {done}")));
        }
        let mut server = postgres.command("postgres");
        server.arg("-k").arg(&postgres.directory);
        // Without a TCP port, only users with access to the directory can connect.
        postgres.child = Some(server.args(["-c", "listen_addresses="]).spawn()?);
        for _ in 0..300 {
            if postgres.config().connect(NoTls).await.is_ok() {
                return Ok(Some(postgres));
            }
            sleep(Duration::from_millis(100)).await;
        }
        Err(io::Error::other("Postgres did not start"))
    }

    pub(crate) fn config(&self) -> Config {
        let mut config = Config::new();
        config.host_path(&self.directory);
        config.user("tower").dbname("postgres");
        config.connect_timeout(Duration::from_secs(2));
        config
    }

    /// Returns a command that runs one of Postgres's programs on the server's data.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command.arg("-D").arg(self.directory.join("data"));
        command.current_dir(&self.directory);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(Stdio::null());
        run_unprivileged(&mut command);
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let stopped = self.command("pg_ctl").args(["stop", "-m", "fast"]).status();
            if !stopped.is_ok_and(|status| status.success()) {
                let _ = child.kill();
            }
            let _ = child.wait();
        }
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// Returns the directory where Debian installs the programs of the newest Postgres version.
fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?;
    let directories = versions.filter_map(|entry| Some(entry.ok()?.path().join("bin")));
    directories
        .filter(|directory| directory.join("initdb").is_file())
        .max()
}

/// The ID of Debian's unprivileged user and group. Postgres refuses to run as root.
#[cfg(unix)]
const UNPRIVILEGED: u32 = 65534;

#[cfg(unix)]
fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

#[cfg(unix)]
fn give_to_unprivileged(directory: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(directory, fs::Permissions::from_mode(0o700))?;
    match is_root() {
        true => std::os::unix::fs::chown(directory, Some(UNPRIVILEGED), Some(UNPRIVILEGED)),
        false => Ok(()),
    }
}

#[cfg(unix)]
fn run_unprivileged(command: &mut Command) {
    use std::os::unix::process::CommandExt;
    if is_root() {
        command.uid(UNPRIVILEGED).gid(UNPRIVILEGED);
    }
}

#[cfg(not(unix))]
fn give_to_unprivileged(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(not(unix))]
fn run_unprivileged(_: &mut Command) {}
