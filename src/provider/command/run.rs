//! Running a program for what it prints.

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

/// What a helper prints is a token and a few words about it.
const MOST: u64 = 64 * 1024;

impl Helper {
    /// Everything it prints, once it has ended well. Dropping the future kills it.
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
            ProviderError::permanent(format!("{self} can't be started: {error}"))
        })?;

        let mut family = Family(child);
        let (printed, status) = family.finish().await.map_err(|error| {
            ProviderError::transient(format!("{self} can't be waited for: {error}"))
        })?;
        // Who is not listened to any more may end badly for that.
        if printed.len() as u64 > MOST {
            let problem = format!("{self} has printed more than 64 KiB");
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

/// A program, and those that it has started.
struct Family(Child);

impl Family {
    async fn finish(&mut self) -> io::Result<(Zeroizing<Vec<u8>>, ExitStatus)> {
        // One that grows leaves its old bytes behind unwiped.
        let mut printed = Zeroizing::new(Vec::with_capacity(MOST as usize + 1));
        if let Some(stdout) = self.0.stdout.take() {
            stdout.take(MOST + 1).read_to_end(&mut printed).await?;
        }
        let status = self.0.wait().await?;
        Ok((printed, status))
    }
}

impl Drop for Family {
    fn drop(&mut self) {
        // Without an id it has ended by itself, and whom it left behind may stay.
        #[cfg(unix)]
        if let Some(id) = self.0.id().and_then(|id| i32::try_from(id).ok())
            && let Some(group) = rustix::process::Pid::from_raw(id)
        {
            // It may have ended meanwhile.
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
    }
}
