//! What a process holds, and how that has changed.

use std::fs;

use tokio::runtime::Handle;

use crate::memory;

/// What is held when nothing is going on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    bytes: usize,
    tasks: usize,
    /// Where the system tells.
    files: Option<usize>,
}

/// More than that is growth. Pools and hash tables settle a little later than the first look.
const MOST_BYTES: usize = 256 * 1024;
const MOST_TASKS: usize = 8;
const MOST_FILES: usize = 8;

impl Held {
    pub(crate) fn now() -> Self {
        Self {
            bytes: memory::start(),
            tasks: Handle::current().metrics().num_alive_tasks(),
            files: fs::read_dir("/proc/self/fd").ok().map(Iterator::count),
        }
    }

    /// Compares with what is held now.
    pub(crate) fn check(self, what: &str) {
        let now = Self::now();
        println!("{what}: held early {self:?}, at the end {now:?}");
        assert!(now.bytes <= self.bytes + MOST_BYTES, "the heap grows");
        assert!(
            now.tasks <= self.tasks + MOST_TASKS,
            "tasks are left behind"
        );
        if let (Some(before), Some(now)) = (self.files, now.files) {
            assert!(now <= before + MOST_FILES, "files are left open");
        }
    }
}
