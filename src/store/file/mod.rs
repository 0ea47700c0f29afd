//! A store in a file, for many processes on one machine.

mod document;
mod lock_file;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    fmt,
    fs::File,
    future::Future,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
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

/// A store in a file, for the processes of one user on one machine: several instances of a
/// command-line tool, the workers of a service.
///
/// The file holds all keys, as JSON with a version number. It is written whole or not at all (a
/// new file takes its place), readable by its owner only (mode 0600 where there are modes), and no
/// symbolic link is followed. Processes take turns by the system's file locks, on files beside it
/// whose names begin with the same name and `.lock`: the system frees them when a process ends,
/// however it ends, so that the lock of a process that was killed is free at once.
///
/// Don't put it on a network file system, whose locks and renames promise less. The tokens are
/// not encrypted.
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
/// assert!(store.load(&key).await?.tokens.is_none());
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
    /// The locks that are held through this store, by their fences.
    held: Mutex<HashMap<Fence, File>>,
}

impl FileStore {
    /// A store in this file, which is made at the first write. Its folder must exist.
    ///
    /// # Errors
    /// The path names no file, its folder is not there, or it is a symbolic link.
    pub fn new(path: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let path = path.into();
        let folder = folder_of(&path);
        if path.file_name().is_none() || !folder.is_dir() {
            let text = format!("{} is no file in a folder that exists", path.display());
            return Err(StoreError::new(text));
        }
        refuse_link(&path).map_err(StoreError::new)?;
        let name = format!("the file {}", path.display());
        let held = Mutex::default();
        Ok(Self {
            shared: Arc::new(Shared { path, name, held }),
        })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    /// One atomic step on the entry of a key, on a thread where waiting is allowed. It runs to its
    /// end also if nobody waits for it any more.
    fn step<T: Send + 'static>(
        &self,
        key: &StoreKey,
        step: impl FnOnce(&Shared, &mut Entry, &mut Fence) -> io::Result<T> + Send + 'static,
    ) -> impl Future<Output = Result<T, StoreError>> + Send {
        let (shared, key) = (Arc::clone(&self.shared), key.clone());
        let task = tokio::task::spawn_blocking(move || shared.step(key.as_str(), step));
        async move {
            match task.await {
                Ok(result) => result.map_err(StoreError::new),
                Err(_) => Err(StoreError::new("the runtime is shutting down")),
            }
        }
    }

    /// A step that is refused under a stale fence.
    fn write(
        &self,
        key: &StoreKey,
        fence: Fence,
        step: impl FnOnce(&Shared, &mut Entry) -> io::Result<WriteOutcome> + Send + 'static,
    ) -> impl Future<Output = Result<WriteOutcome, StoreError>> + Send {
        self.step(key, move |shared, entry, _| {
            if entry.fence == fence {
                step(shared, entry)
            } else {
                Ok(WriteOutcome::Conflict)
            }
        })
    }
}

impl Shared {
    fn step<T>(
        &self,
        key: &str,
        step: impl FnOnce(&Self, &mut Entry, &mut Fence) -> io::Result<T>,
    ) -> io::Result<T> {
        let turn = lock_file(&self.beside("lock"))?;
        turn.lock()?;
        let mut book = Document::read(&self.path)?;
        let before = book.entry(key).cloned().unwrap_or_default();
        let mut entry = before.clone();
        let mut last_fence = book.last_fence();
        let result = step(self, &mut entry, &mut last_fence)?;
        if entry != before {
            book.set(key, entry, last_fence);
            book.write(&self.path)?;
        }
        Ok(result)
    }

    fn beside(&self, ending: &str) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(".");
        name.push(ending);
        name.into()
    }

    /// The file whose lock says that the holder of this fence lives.
    fn holder(&self, fence: Fence) -> PathBuf {
        self.beside(&format!("lock.{fence}"))
    }

    fn held(&self) -> MutexGuard<'_, HashMap<Fence, File>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hold(&self, fence: Fence) -> io::Result<()> {
        if !self.held().contains_key(&fence) {
            let file = lock_file(&self.holder(fence))?;
            file.try_lock()?;
            self.held().insert(fence, file);
        }
        Ok(())
    }

    fn let_go(&self, fence: Fence) {
        self.held().remove(&fence);
        // The file is empty, and one that stays behind does no harm.
        let _ = std::fs::remove_file(self.holder(fence));
    }

    /// How long a lock is held yet.
    fn held_for(&self, entry: &Entry) -> io::Result<Option<Duration>> {
        let left = entry.locked_until.saturating_sub(now());
        if left == 0
            || !(self.held().contains_key(&entry.fence) || holds(&self.holder(entry.fence))?)
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

    fn load(&self, key: &StoreKey) -> impl Future<Output = Result<Stored, StoreError>> + Send {
        self.step(key, |_, entry, _| Ok(entry.stored()))
    }

    fn save(
        &self,
        key: &StoreKey,
        save: SaveRequest<'_>,
    ) -> impl Future<Output = Result<WriteOutcome, StoreError>> + Send {
        let (replaces, revision) = (save.replaces, save.revision);
        let tokens = save.tokens.clone();
        self.write(key, save.fence, move |_, entry| {
            if entry.revision != replaces {
                return Ok(WriteOutcome::Conflict);
            }
            entry.revision = revision;
            entry.tokens = Some(tokens);
            entry.intent = None;
            Ok(WriteOutcome::Applied)
        })
    }

    fn delete(&self, key: &StoreKey) -> impl Future<Output = Result<Revision, StoreError>> + Send {
        self.step(key, |_, entry, _| {
            entry.revision.0 += 1;
            entry.tokens = None;
            entry.intent = None;
            Ok(entry.revision)
        })
    }

    fn try_lock(
        &self,
        key: &StoreKey,
        _holder: &str,
        ttl: Duration,
    ) -> impl Future<Output = Result<LockAttempt, StoreError>> + Send {
        self.step(key, move |shared, entry, last_fence| {
            if let Some(left) = shared.held_for(entry)? {
                return Ok(LockAttempt::HeldFor(left));
            }
            shared.let_go(entry.fence);
            last_fence.0 += 1;
            shared.hold(*last_fence)?;
            entry.fence = *last_fence;
            entry.locked_until = now() + millis(ttl);
            Ok(LockAttempt::Acquired(entry.fence))
        })
    }

    fn renew(
        &self,
        key: &StoreKey,
        fence: Fence,
        ttl: Duration,
    ) -> impl Future<Output = Result<WriteOutcome, StoreError>> + Send {
        self.write(key, fence, move |shared, entry| {
            shared.hold(fence)?;
            entry.locked_until = now() + millis(ttl);
            Ok(WriteOutcome::Applied)
        })
    }

    fn unlock(
        &self,
        key: &StoreKey,
        fence: Fence,
    ) -> impl Future<Output = Result<(), StoreError>> + Send {
        let unlocked = self.write(key, fence, move |shared, entry| {
            shared.let_go(fence);
            entry.locked_until = 0;
            Ok(WriteOutcome::Applied)
        });
        async move { unlocked.await.map(|_| ()) }
    }

    fn set_intent(
        &self,
        key: &StoreKey,
        fence: Fence,
        intent: Option<Intent>,
    ) -> impl Future<Output = Result<WriteOutcome, StoreError>> + Send {
        self.write(key, fence, move |_, entry| {
            if intent
                .as_ref()
                .is_some_and(|it| it.revision != entry.revision)
            {
                return Ok(WriteOutcome::Conflict);
            }
            entry.intent = intent;
            Ok(WriteOutcome::Applied)
        })
    }
}

impl fmt::Debug for FileStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileStore")
            .field("path", &self.shared.path)
            .finish_non_exhaustive()
    }
}

/// Milliseconds by the clock that all processes of the machine share.
fn now() -> u64 {
    millis(
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default(),
    )
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}
