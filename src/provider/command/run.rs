//! Running a credential helper.

use std::{
    io,
    process::{ExitStatus, Stdio},
};

use tokio::{
    io::AsyncReadExt,
    process::{Child, Command},
};
use zeroize::Zeroizing;

use super::Helper;
use crate::error::ProviderError;

/// The maximum size of a helper's output.
const MAX_OUTPUT_SIZE: u64 = 64 * 1024;

impl Helper {
    /// Runs the helper and returns its output. Dropping the future kills the helper.
    pub(super) async fn run(&self) -> Result<Zeroizing<Vec<u8>>, ProviderError> {
        let mut command = Command::new(&self.program);
        command
            .args(&self.args)
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        #[cfg(unix)]
        command.process_group(0);
        let child = command.spawn().map_err(|error| {
            ProviderError::permanent(format!("{self} cannot be started: {error}"))
        })?;

        let mut group = ProcessGroup(child);
        let (printed, status) = group.finish().await.map_err(|error| {
            ProviderError::transient(format!("failed to wait for {self}: {error}"))
        })?;
        // Checked before the status, because a helper whose output is cut off may fail for that reason.
        if printed.len() as u64 > MAX_OUTPUT_SIZE {
            let problem = format!("{self} printed more than 64 KiB");
            return Err(ProviderError::transient(problem));
        }
        if !status.success() {
            return Err(ProviderError::transient(format!(
                "{self} ended with {status}: run it by hand to see why"
            )));
        }
        Ok(printed)
    }
}

/// A program and the processes that it has started. Killed on drop.
struct ProcessGroup(Child);

impl ProcessGroup {
    async fn finish(&mut self) -> io::Result<(Zeroizing<Vec<u8>>, ExitStatus)> {
        // A `Vec` that grows would leave its old bytes in memory without wiping them.
        let mut printed = Zeroizing::new(Vec::with_capacity(MAX_OUTPUT_SIZE as usize + 1));
        if let Some(stdout) = self.0.stdout.take() {
            stdout
                .take(MAX_OUTPUT_SIZE + 1)
                .read_to_end(&mut printed)
                .await?;
        }
        let status = self.0.wait().await?;
        Ok((printed, status))
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        // Without an ID, the program has ended by itself. Processes that it left behind may stay.
        #[cfg(unix)]
        if let Some(id) = self.0.id().and_then(|id| i32::try_from(id).ok())
            && let Some(group) = rustix::process::Pid::from_raw(id)
        {
            // The group may have ended in the meantime.
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
    }
}
