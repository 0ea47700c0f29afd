//! Many processes and their supervisor.

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

/// Supervises the processes. Dropping it kills them.
pub(crate) struct Fleet {
    settings: Settings,
    processes: Vec<Process>,
    sender: UnboundedSender<(String, String)>,
    receiver: UnboundedReceiver<(String, String)>,
    /// The numbers of the refresh tokens that a process has reported as saved.
    pub(crate) saved: HashSet<usize>,
    /// The names of the processes that were killed.
    pub(crate) killed: HashSet<String>,
    /// All other messages, each with the name of the process that reported it.
    pub(crate) messages: Vec<(String, String)>,
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
    /// Creates a fleet whose processes will have these settings, except for their names.
    pub(crate) fn new(settings: Settings) -> Self {
        let (sender, receiver) = unbounded_channel();
        Self {
            settings,
            processes: Vec::new(),
            sender,
            receiver,
            saved: HashSet::new(),
            killed: HashSet::new(),
            messages: Vec::new(),
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
        let (sender, sender_name) = (self.sender.clone(), name.clone());
        let output = tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                if let Some(message) = worker::message_in(&line) {
                    let _ = sender.send((sender_name.clone(), message.to_owned()));
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

    /// Kills a process (SIGKILL).
    pub(crate) async fn kill(&mut self, name: &str) {
        let index = self.processes.iter().position(|it| it.name == name);
        let mut process = self.processes.remove(index.unwrap());
        process.child.kill().await.unwrap();
        // Messages that the process reported before it died still count.
        process.output.await.unwrap();
        self.killed.insert(process.name);
    }

    /// Sends a command to a process.
    pub(crate) async fn send(&mut self, name: &str, command: &str) {
        let process = self.processes.iter_mut().find(|it| it.name == name);
        let input = process.unwrap().input.as_mut().unwrap();
        // The process may have just been killed.
        let _ = input.write_all(format!("{command}\n").as_bytes()).await;
    }

    pub(crate) async fn send_to_all(&mut self, command: &str) {
        for name in self.names() {
            self.send(&name, command).await;
        }
    }

    /// Handles the messages received since the last call.
    pub(crate) fn listen(&mut self) {
        while let Ok((name, message)) = self.receiver.try_recv() {
            let words: Vec<_> = message.split(' ').collect();
            match words[..] {
                ["saved", number] => {
                    self.saved.insert(number.parse().unwrap());
                }
                ["done", calls, failed] => {
                    println!("process {name}: {calls} calls, {failed} failed");
                    self.calls += calls.parse::<u64>().unwrap();
                    self.failed += failed.parse::<u64>().unwrap();
                }
                _ => self.messages.push((name, message)),
            }
        }
    }

    pub(crate) fn has_reported(&self, name: &str, what: &str) -> bool {
        self.messages
            .iter()
            .any(|(by, message)| by == name && message == what)
    }

    /// Returns how often a message was reported.
    pub(crate) fn count(&self, what: &str) -> usize {
        self.messages
            .iter()
            .filter(|(_, message)| message == what)
            .count()
    }

    /// Stops all processes, and waits until they have ended.
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

/// Prints the number of requests that the server has received from each process.
pub(crate) fn print_counts(server: &AuthorizationServer) {
    for (name, counts) in server.seen().by_process {
        println!(
            "process {name}: {} token requests, {} tokens used",
            counts.token_requests,
            counts.used.len()
        );
    }
}
