//! The resources that a process holds, and their growth.

use std::fs;

use tokio::runtime::Handle;

use crate::memory;

/// The resources held while the process is idle.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    bytes: usize,
    tasks: usize,
    /// The number of open files, on systems that report it.
    files: Option<usize>,
}

/// Bounds on growth. Pools and hash tables reach their final size shortly after the first
/// measurement.
const MAX_HEAP_GROWTH: usize = 256 * 1024;
const MAX_TASK_GROWTH: usize = 8;
const MAX_FILE_GROWTH: usize = 8;

impl Held {
    pub(crate) fn now() -> Self {
        Self {
            bytes: memory::start(),
            tasks: Handle::current().metrics().num_alive_tasks(),
            files: fs::read_dir("/proc/self/fd").ok().map(Iterator::count),
        }
    }

    /// Fails if the resources held now exceed these by more than the bounds.
    pub(crate) fn check(self, what: &str) {
        let now = Self::now();
        println!("{what}: held early {self:?}, at the end {now:?}");
        assert!(now.bytes <= self.bytes + MAX_HEAP_GROWTH, "the heap grows");
        assert!(
            now.tasks <= self.tasks + MAX_TASK_GROWTH,
            "tasks are left behind"
        );
        if let (Some(before), Some(now)) = (self.files, now.files) {
            assert!(now <= before + MAX_FILE_GROWTH, "files are left open");
        }
    }
}
