//! All logs of the process at trace level, and the output of its panics.

use std::{
    io::{self, Write},
    panic,
    sync::{Mutex, Once, PoisonError},
    thread,
};

use tracing_subscriber::fmt::format::FmtSpan;

use crate::is_silent;

static LINES: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct Lines;

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
        lines.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Records logs and panic messages from now on, in all tests. Each test ends by checking that they
/// contain no secret.
#[must_use]
pub(crate) fn watch() -> Watch {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_span_events(FmtSpan::FULL)
            .with_ansi(false)
            .with_writer(|| Lines)
            .init();
        let print = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let _ = writeln!(Lines, "{info}");
            print(info);
        }));
    });
    Watch
}

pub(crate) struct Watch;

impl Drop for Watch {
    fn drop(&mut self) {
        if !thread::panicking() {
            is_silent(&lines());
        }
    }
}

/// The recorded text, which must not be empty.
pub(crate) fn lines() -> String {
    tracing::trace!("the log is read");
    let lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
    let lines = String::from_utf8_lossy(&lines).into_owned();
    assert!(lines.contains("the log is read"), "nothing is logged");
    lines
}
