//! A log that is kept in memory, one for each test.

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

/// What a process with logs has to do before it says anything, in tests too that keep none.
///
/// Whether anybody wants to hear of an event is found out once for all threads, by the first that comes by. A test
/// without a log would answer "nobody" for a test that has just begun one. With a subscriber for the rest that leaves
/// it open, every thread asks its own each time.
pub(crate) fn leave_open() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| registry().with(dynamic_filter_fn(|_, _| false)).init());
}

impl Log {
    /// Keeps all that this thread tells at this level and above, a line each, until the guard is dropped. Spans are
    /// told when they end.
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

    /// What was written to it so far.
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
