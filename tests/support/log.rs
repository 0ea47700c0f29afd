//! A log in memory, one per test.

use std::{
    io,
    sync::{Arc, Mutex, Once},
};

use tracing::{Level, subscriber::DefaultGuard};
use tracing_subscriber::{
    filter::dynamic_filter_fn,
    fmt::{MakeWriter, format::FmtSpan},
    layer::SubscriberExt,
    registry,
    util::SubscriberInitExt,
};

#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

/// Must be called before the first event, even by tests that keep no log.
///
/// `tracing` caches for the whole process whether any subscriber is interested in an event. A test without a log would
/// cache "never" for a test that has just started one. This global subscriber answers "sometimes" instead, so that each
/// thread asks its own subscriber every time.
pub(crate) fn leave_open() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| registry().with(dynamic_filter_fn(|_, _| false)).init());
}

impl Log {
    /// Records this thread's events at this level and above, one line each, until the guard is dropped. Spans are
    /// recorded when they close.
    pub(crate) fn listen(level: Level) -> (Self, DefaultGuard) {
        leave_open();
        let log = Self::default();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .without_time()
            .with_max_level(level)
            .with_span_events(FmtSpan::CLOSE)
            .with_writer(log.clone())
            .finish();
        (log, subscriber.set_default())
    }

    /// Returns the lines recorded so far.
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}
