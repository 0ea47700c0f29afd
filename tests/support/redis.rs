//! A real Redis server on loopback, which tests can kill and restart.

use std::{
    env, fs,
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread::sleep,
    time::Duration,
};

const REQUIRED: &str = "TOWER_AUTH_REQUIRE_SERVERS";

/// A server with its own directory. Dropping it kills the server and removes the directory.
pub(crate) struct RedisServer {
    program: PathBuf,
    dir: PathBuf,
    port: u16,
    arguments: Vec<String>,
    child: Option<Child>,
}

impl RedisServer {
    /// Starts a server that keeps each write that it has acknowledged.
    ///
    /// If `redis-server` is not installed, prints which test is skipped and returns `None`.
    ///
    /// # Panics
    /// `redis-server` is not installed and `TOWER_AUTH_REQUIRE_SERVERS=1` is set.
    pub(crate) fn synced() -> Option<Self> {
        Self::start(&["--appendonly", "yes", "--appendfsync", "always"])
    }

    /// Starts a server that loses everything when it is killed. It is otherwise like
    /// [`synced`](Self::synced).
    pub(crate) fn forgetful() -> Option<Self> {
        Self::start(&["--appendonly", "no"])
    }

    /// Starts a server with these settings. It is otherwise like [`synced`](Self::synced).
    pub(crate) fn start(arguments: &[&str]) -> Option<Self> {
        let Some(program) = find("redis-server") else {
            let thread = std::thread::current();
            let test = thread.name().unwrap_or("a test").to_owned();
            let text = format!(
                "SKIPPED: {test} needs redis-server; install it with `apt-get install redis-server`"
            );
            assert!(env::var_os(REQUIRED).is_none_or(|it| it != "1"), "{text}");
            eprintln!("{text}");
            return None;
        };
        // Another process may take the port before the server does.
        for _ in 0..5 {
            let mut server = Self {
                program: program.clone(),
                dir: new_dir(),
                port: free_port(),
                arguments: arguments.iter().map(|&it| it.to_owned()).collect(),
                child: None,
            };
            if server.try_start() {
                return Some(server);
            }
        }
        panic!("redis-server did not start");
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    /// Kills the server (SIGKILL).
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Starts the server again, with the same port and directory.
    pub(crate) fn restart(&mut self) {
        self.kill();
        assert!(self.try_start(), "redis-server did not start again");
    }

    /// Runs one command and returns the beginning of the server's response.
    pub(crate) fn command(&self, words: &[&str]) -> io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        let mut request = format!("*{}\r\n", words.len());
        for word in words {
            request += &format!("${}\r\n{word}\r\n", word.len());
        }
        stream.write_all(request.as_bytes())?;
        let mut response = [0; 4096];
        let length = stream.read(&mut response)?;
        Ok(String::from_utf8_lossy(&response[..length]).into_owned())
    }

    #[allow(
        clippy::disallowed_methods,
        reason = "a server takes real time to start"
    )]
    fn try_start(&mut self) -> bool {
        let child = Command::new(&self.program)
            .args(["--bind", "127.0.0.1", "--save", ""])
            .args(["--port", &self.port.to_string()])
            .arg("--dir")
            .arg(&self.dir)
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let mut child = child.expect("redis-server can be started");
        let mut is_ready = false;
        for _ in 0..1000 {
            let response = self.command(&["PING"]).unwrap_or_default();
            is_ready = response.starts_with("+PONG") || response.starts_with("-NOAUTH");
            if is_ready || !matches!(child.try_wait(), Ok(None)) {
                break;
            }
            sleep(Duration::from_millis(20));
        }
        // If this server has exited, another server on the port has responded.
        is_ready &= matches!(child.try_wait(), Ok(None));
        self.child = Some(child);
        is_ready
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
        let _ = fs::remove_dir_all(&self.dir);
    }
}

fn find(program: &str) -> Option<PathBuf> {
    let paths = env::var_os("PATH")?;
    let mut dirs = env::split_paths(&paths);
    dirs.find_map(|dir| Some(dir.join(program)).filter(|path| path.is_file()))
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn new_dir() -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("tower-auth-redis-{}-{number}", std::process::id());
    let path = Path::new(&env::temp_dir()).join(name);
    // An earlier process with the same ID may have left it.
    let _ = fs::remove_dir_all(&path);
    fs::create_dir(&path).unwrap();
    path
}
