//! Many processes, and whoever looks after them.

use std::{collections::HashSet, process::Stdio};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::{Child, ChildStdin},
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    task::JoinHandle,
};

use crate::{
    server::AuthorizationServer,
    worker::{self, Settings},
};

pub(crate) const PROCESSES: usize = 10;

/// Dropping it kills all its processes.
pub(crate) struct Fleet {
    settings: Settings,
    processes: Vec<Process>,
    teller: UnboundedSender<(String, String)>,
    tales: UnboundedReceiver<(String, String)>,
    /// The refresh tokens that somebody has said to be in the store.
    pub(crate) saved: HashSet<usize>,
    /// The names of the processes that were killed.
    pub(crate) killed: HashSet<String>,
    /// What else was told, and by whom.
    pub(crate) told: Vec<(String, String)>,
    pub(crate) calls: u64,
    pub(crate) failed: u64,
}

struct Process {
    name: String,
    child: Child,
    input: Option<ChildStdin>,
    output: JoinHandle<()>,
}

impl Fleet {
    /// Processes with these settings, each under a name of its own.
    pub(crate) fn new(settings: Settings) -> Self {
        let (teller, tales) = unbounded_channel();
        Self {
            settings,
            processes: Vec::new(),
            teller,
            tales,
            saved: HashSet::new(),
            killed: HashSet::new(),
            told: Vec::new(),
            calls: 0,
            failed: 0,
        }
    }

    /// Starts one more process.
    pub(crate) fn start(&mut self, name: String, clock: i64) {
        let settings = Settings {
            name: name.clone(),
            clock,
            ..self.settings.clone()
        };
        let mut child = settings
            .command()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (teller, teller_name) = (self.teller.clone(), name.clone());
        let output = tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                if let Some(told) = worker::told(&line) {
                    let _ = teller.send((teller_name.clone(), told.to_owned()));
                }
            }
        });
        self.processes.push(Process {
            name,
            input: child.stdin.take(),
            child,
            output,
        });
    }

    pub(crate) fn start_all(&mut self) {
        for index in 0..PROCESSES {
            self.start(index.to_string(), 0);
        }
    }

    pub(crate) fn names(&self) -> Vec<String> {
        let processes = self.processes.iter();
        processes.map(|process| process.name.clone()).collect()
    }

    /// Ends a process as `kill -9` does.
    pub(crate) async fn kill(&mut self, name: &str) {
        let index = self.processes.iter().position(|it| it.name == name);
        let mut process = self.processes.remove(index.unwrap());
        process.child.kill().await.unwrap();
        // What it told before that counts.
        process.output.await.unwrap();
        self.killed.insert(process.name);
    }

    /// Says something to a process.
    pub(crate) async fn say(&mut self, name: &str, command: &str) {
        let process = self.processes.iter_mut().find(|it| it.name == name);
        let input = process.unwrap().input.as_mut().unwrap();
        // One that was just killed hears nothing.
        let _ = input.write_all(format!("{command}\n").as_bytes()).await;
    }

    pub(crate) async fn say_to_all(&mut self, command: &str) {
        for name in self.names() {
            self.say(&name, command).await;
        }
    }

    /// Takes notice of all that was told since the last time.
    pub(crate) fn listen(&mut self) {
        while let Ok((name, tale)) = self.tales.try_recv() {
            let words: Vec<_> = tale.split(' ').collect();
            match words[..] {
                ["saved", number] => {
                    self.saved.insert(number.parse().unwrap());
                }
                ["done", calls, failed] => {
                    println!("process {name}: {calls} calls, {failed} failed");
                    self.calls += calls.parse::<u64>().unwrap();
                    self.failed += failed.parse::<u64>().unwrap();
                }
                _ => self.told.push((name, tale)),
            }
        }
    }

    pub(crate) fn has_told(&self, name: &str, what: &str) -> bool {
        self.told
            .iter()
            .any(|(by, tale)| by == name && tale == what)
    }

    /// How often something was told.
    pub(crate) fn count(&self, what: &str) -> usize {
        self.told.iter().filter(|(_, tale)| tale == what).count()
    }

    /// Lets all processes come to their end.
    pub(crate) async fn stop(&mut self) {
        for process in &mut self.processes {
            process.input = None;
        }
        for mut process in self.processes.drain(..) {
            assert!(process.child.wait().await.unwrap().success());
            process.output.await.unwrap();
        }
        self.listen();
    }
}

/// What each process has done, as the server saw it.
pub(crate) fn print_counts(server: &AuthorizationServer) {
    for (name, counts) in server.seen().by_process {
        println!(
            "process {name}: {} token requests, {} tokens used",
            counts.token_requests,
            counts.used.len()
        );
    }
}
