//! A store in a file, for processes on one machine.

mod document;
mod lock_file;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use self::{
    document::{Document, Entry},
    lock_file::{holds, lock_file, refuse_link},
};
use super::{
    Fence, Intent, LockAttempt, Revision, SaveRequest, StoreError, StoreKey, Stored, TokenStore,
    WriteOutcome, json::millis,
};
use crate::sync::lock;

/// A store in a file, for the processes of one user on one machine, such as several instances of a
/// command-line tool or the workers of a service.
///
/// The file contains all entries, as JSON with a version number. Each write atomically replaces the
/// file with a new one. Only its owner can read it (mode 0600 on Unix), and symbolic links are not
/// followed. Processes exclude each other with operating system file locks on separate files next
/// to the store's file. Those files are named after it, with suffixes that begin with `.lock`. The
/// operating system releases these locks however a process ends, so the lock of a killed process is
/// free immediately.
///
/// Do not put the file on a network file system, whose locks and renames guarantee less. The tokens
/// are not encrypted.
///
/// ```
/// use tower_auth::store::{FileStore, StoreKey, TokenStore};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = std::env::temp_dir().join(format!("tower-auth-doc-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// let store = FileStore::new(folder.join("tokens.json"))?;
/// let key = StoreKey::issuer("https://login.example.com").client("my-tool");
/// assert_eq!(store.load(&key).await?.tokens, None);
/// # std::fs::remove_dir_all(&folder)?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct FileStore {
    shared: Arc<Shared>,
}

struct Shared {
    path: PathBuf,
    name: String,
    /// The locked file of each lock that this store holds.
    held: Mutex<HashMap<Fence, File>>,
}

impl FileStore {
    /// Creates a store that uses this file. The first write creates the file. Its directory must
    /// exist.
    ///
    /// # Errors
    /// The path does not end in a file name, its directory does not exist, or it is a symbolic
    /// link.
    pub fn new(path: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let path = path.into();
        if path.file_name().is_none() || !directory_of(&path).is_dir() {
            let text = format!("{} is not a file in an existing directory", path.display());
            return Err(StoreError::new(text));
        }
        refuse_link(&path).map_err(StoreError::new)?;
        let name = format!("the file {}", path.display());
        let held = Mutex::default();
        Ok(Self {
            shared: Arc::new(Shared { path, name, held }),
        })
    }

    /// Returns the path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    /// Runs one atomic step on an entry, on a thread where blocking is allowed. The step runs to
    /// completion even if the caller is canceled.
    async fn step<T: Send + 'static>(
        &self,
        key: &StoreKey,
        step: impl FnOnce(&Shared, &mut Entry, &mut Fence) -> io::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (shared, key) = (Arc::clone(&self.shared), key.clone());
        let task = tokio::task::spawn_blocking(move || shared.step(key.as_str(), step));
        match task.await {
            Ok(result) => result.map_err(StoreError::new),
            Err(_) => Err(StoreError::new("the runtime is shutting down")),
        }
    }

    /// Runs a step that is a conflict if the fence is stale.
    async fn write(
        &self,
        key: &StoreKey,
        fence: Fence,
        step: impl FnOnce(&Shared, &mut Entry) -> io::Result<WriteOutcome> + Send + 'static,
    ) -> Result<WriteOutcome, StoreError> {
        let unless_stale = move |shared: &Shared, entry: &mut Entry, _: &mut Fence| {
            if entry.fence != fence {
                return Ok(WriteOutcome::Conflict);
            }
            step(shared, entry)
        };
        self.step(key, unless_stale).await
    }
}

impl Shared {
    fn step<T>(
        &self,
        key: &str,
        step: impl FnOnce(&Self, &mut Entry, &mut Fence) -> io::Result<T>,
    ) -> io::Result<T> {
        let exclusive = lock_file(&self.sibling("lock"))?;
        exclusive.lock()?;
        let mut document = Document::read(&self.path)?;
        let before = document.entry(key).cloned().unwrap_or_default();
        let mut entry = before.clone();
        let mut last_fence = document.last_fence;
        let result = step(self, &mut entry, &mut last_fence)?;
        if entry != before {
            document.set(key, entry, last_fence);
            document.write(&self.path)?;
        }
        Ok(result)
    }

    /// Returns the path of the store's file with a dot and this suffix appended.
    fn sibling(&self, suffix: &str) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(".");
        name.push(suffix);
        name.into()
    }

    /// Returns the file that the holder of this fence keeps locked while its process is alive.
    fn holder_file(&self, fence: Fence) -> PathBuf {
        self.sibling(&format!("lock.{fence}"))
    }

    fn hold(&self, fence: Fence) -> io::Result<()> {
        if !lock(&self.held).contains_key(&fence) {
            let file = lock_file(&self.holder_file(fence))?;
            file.try_lock()?;
            lock(&self.held).insert(fence, file);
        }
        Ok(())
    }

    fn release(&self, fence: Fence) {
        lock(&self.held).remove(&fence);
        // A file that cannot be removed is empty and harmless.
        let _ = std::fs::remove_file(self.holder_file(fence));
    }

    /// Returns the remaining lease of a lock, if it is held.
    fn remaining_lease(&self, entry: &Entry) -> io::Result<Option<Duration>> {
        let left = entry.locked_until.saturating_sub(now());
        if left == 0
            || !(lock(&self.held).contains_key(&entry.fence)
                || holds(&self.holder_file(entry.fence))?)
        {
            return Ok(None);
        }
        Ok(Some(Duration::from_millis(left)))
    }
}

impl TokenStore for FileStore {
    fn name(&self) -> &str {
        &self.shared.name
    }

    async fn load(&self, key: &StoreKey) -> Result<Stored, StoreError> {
        self.step(key, |_, entry, _| Ok(entry.stored())).await
    }

    async fn save(
        &self,
        key: &StoreKey,
        save: SaveRequest<'_>,
    ) -> Result<WriteOutcome, StoreError> {
        let (replaces, revision) = (save.replaces, save.revision);
        let tokens = save.tokens.clone();
        let write = move |_: &Shared, entry: &mut Entry| {
            if entry.revision != replaces {
                return Ok(WriteOutcome::Conflict);
            }
            entry.revision = revision;
            entry.tokens = Some(tokens);
            entry.intent = None;
            Ok(WriteOutcome::Applied)
        };
        self.write(key, save.fence, write).await
    }

    async fn delete(&self, key: &StoreKey) -> Result<Revision, StoreError> {
        let delete = |_: &Shared, entry: &mut Entry, _: &mut Fence| {
            entry.revision.0 += 1;
            entry.tokens = None;
            entry.intent = None;
            Ok(entry.revision)
        };
        self.step(key, delete).await
    }

    async fn try_lock(
        &self,
        key: &StoreKey,
        _holder: &str,
        ttl: Duration,
    ) -> Result<LockAttempt, StoreError> {
        let try_lock = move |shared: &Shared, entry: &mut Entry, last_fence: &mut Fence| {
            if let Some(left) = shared.remaining_lease(entry)? {
                return Ok(LockAttempt::HeldFor(left));
            }
            shared.release(entry.fence);
            last_fence.0 += 1;
            shared.hold(*last_fence)?;
            entry.fence = *last_fence;
            entry.locked_until = now() + millis(ttl);
            Ok(LockAttempt::Acquired(entry.fence))
        };
        self.step(key, try_lock).await
    }

    async fn renew(
        &self,
        key: &StoreKey,
        fence: Fence,
        ttl: Duration,
    ) -> Result<WriteOutcome, StoreError> {
        let renew = move |shared: &Shared, entry: &mut Entry| {
            shared.hold(fence)?;
            entry.locked_until = now() + millis(ttl);
            Ok(WriteOutcome::Applied)
        };
        self.write(key, fence, renew).await
    }

    async fn unlock(&self, key: &StoreKey, fence: Fence) -> Result<(), StoreError> {
        let unlock = move |shared: &Shared, entry: &mut Entry| {
            shared.release(fence);
            entry.locked_until = 0;
            Ok(WriteOutcome::Applied)
        };
        self.write(key, fence, unlock).await.map(|_| ())
    }

    async fn set_intent(
        &self,
        key: &StoreKey,
        fence: Fence,
        intent: Option<Intent>,
    ) -> Result<WriteOutcome, StoreError> {
        let write = move |_: &Shared, entry: &mut Entry| {
            let is_expected = |it: &Intent| it.revision == entry.revision;
            if !intent.as_ref().is_none_or(is_expected) {
                return Ok(WriteOutcome::Conflict);
            }
            entry.intent = intent;
            Ok(WriteOutcome::Applied)
        };
        self.write(key, fence, write).await
    }
}

partial_debug!(FileStore, path = shared.path);

/// Returns the milliseconds since 1970, by the clock that all processes on the machine share.
fn now() -> u64 {
    millis(
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default(),
    )
}

fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(directory) if directory != Path::new("") => directory,
        _ => Path::new("."),
    }
}
