//! A real Redis server on loopback, for tests: started, killed, started again, and gone at the end.

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

/// A server of its own, in a folder of its own. It is killed and its folder removed when dropped.
pub(crate) struct RedisServer {
    program: PathBuf,
    folder: PathBuf,
    port: u16,
    arguments: Vec<String>,
    child: Option<Child>,
}

impl RedisServer {
    /// A server that keeps each write that it acknowledged.
    ///
    /// Without `redis-server` on this machine it says what was not run, and gives `None`; with
    /// `TOWER_AUTH_REQUIRE_SERVERS=1` it panics.
    pub(crate) fn synced() -> Option<Self> {
        Self::start(&["--appendonly", "yes", "--appendfsync", "always"])
    }

    /// A server that forgets all when it is killed. Else as [`synced`](Self::synced).
    pub(crate) fn forgetful() -> Option<Self> {
        Self::start(&["--appendonly", "no"])
    }

    /// A server with settings. Else as [`synced`](Self::synced).
    pub(crate) fn start(arguments: &[&str]) -> Option<Self> {
        let Some(program) = find("redis-server") else {
            let thread = std::thread::current();
            let test = thread.name().unwrap_or("a test").to_owned();
            let text = format!(
                "NOT RUN: {test} needs redis-server; install it with `apt-get install redis-server`"
            );
            assert!(env::var_os(REQUIRED).is_none_or(|it| it != "1"), "{text}");
            eprintln!("{text}");
            return None;
        };
        // The port was free a moment ago; somebody else may be faster.
        for _ in 0..5 {
            let mut server = Self {
                program: program.clone(),
                folder: new_folder(),
                port: free_port(),
                arguments: arguments.iter().map(|&it| it.to_owned()).collect(),
                child: None,
            };
            if server.try_start() {
                return Some(server);
            }
        }
        panic!("redis-server does not start");
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    /// Ends it as `kill -9` does.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Starts it again, on the same port, with what its folder holds.
    pub(crate) fn restart(&mut self) {
        self.kill();
        assert!(self.try_start(), "redis-server does not start again");
    }

    /// One command in words without spaces; gives the beginning of the server's answer.
    pub(crate) fn command(&self, words: &[&str]) -> io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        let mut request = format!("*{}\r\n", words.len());
        for word in words {
            request += &format!("${}\r\n{word}\r\n", word.len());
        }
        stream.write_all(request.as_bytes())?;
        let mut answer = [0; 4096];
        let length = stream.read(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer[..length]).into_owned())
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
            .arg(&self.folder)
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let mut child = child.expect("redis-server can be started");
        let mut answers = false;
        for _ in 0..1000 {
            let answer = self.command(&["PING"]).unwrap_or_default();
            answers = answer.starts_with("+PONG") || answer.starts_with("-NOAUTH");
            if answers || !matches!(child.try_wait(), Ok(None)) {
                break;
            }
            sleep(Duration::from_millis(20));
        }
        // Another server on this port may have answered: then this one has ended.
        answers &= matches!(child.try_wait(), Ok(None));
        self.child = Some(child);
        answers
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn find(program: &str) -> Option<PathBuf> {
    let paths = env::var_os("PATH")?;
    let mut folders = env::split_paths(&paths);
    folders.find_map(|folder| Some(folder.join(program)).filter(|path| path.is_file()))
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn new_folder() -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("tower-auth-redis-{}-{number}", std::process::id());
    let path = Path::new(&env::temp_dir()).join(name);
    // What a process with the same number left behind.
    let _ = fs::remove_dir_all(&path);
    fs::create_dir(&path).unwrap();
    path
}
