//! Processes that end together with their owner.

use std::{
    io,
    os::unix::process::CommandExt,
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use tokio::time::sleep;

/// A process and its children, in a separate process group. Dropping it kills all of them.
pub(crate) struct Process {
    child: Child,
    /// Whether to ask the process to exit before killing it, because its children have left the
    /// group.
    is_asked: bool,
}

impl Process {
    pub(crate) fn start(mut command: Command) -> io::Result<Self> {
        let child = command.process_group(0).spawn()?;
        Ok(Self {
            child,
            is_asked: false,
        })
    }

    pub(crate) fn ask_to_end(mut self) -> Self {
        self.is_asked = true;
        self
    }

    pub(crate) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    pub(crate) async fn end(&mut self) -> io::Result<ExitStatus> {
        loop {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    fn signal(&self, name: &str) {
        let group = format!("-{}", self.child.id());
        let mut kill = Command::new("kill");
        let _ = kill
            .args([name, "--", &group])
            .stderr(Stdio::null())
            .status();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.is_asked && matches!(self.ended(), Ok(None)) {
            self.signal("-TERM");
            for _ in 0..100 {
                if !matches!(self.ended(), Ok(None)) {
                    break;
                }
                pause();
            }
        }
        // Children may remain after a process has exited. None of them has anything to save.
        self.signal("-KILL");
        let _ = self.child.wait();
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a drop cannot be asynchronous, and this one is rare"
)]
fn pause() {
    std::thread::sleep(Duration::from_millis(50));
}
