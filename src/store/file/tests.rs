use std::fs;

use super::*;
use crate::store::{TokenSet, conformance};

/// A folder that is removed with all that is in it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let name = format!(
            "tower-auth-{}-{:016x}",
            std::process::id(),
            fastrand::u64(..)
        );
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("tokens.json")
    }

    fn store(&self) -> FileStore {
        FileStore::new(self.file()).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const LONG: Duration = Duration::from_secs(60);

fn key() -> StoreKey {
    StoreKey::new("key")
}

async fn lock(store: &FileStore) -> Fence {
    match store.try_lock(&key(), "me", LONG).await.unwrap() {
        LockAttempt::Acquired(fence) => fence,
        LockAttempt::HeldFor(left) => panic!("held for {left:?}"),
    }
}

async fn save(store: &FileStore, fence: Fence, replaces: u64) -> Result<WriteOutcome, StoreError> {
    let tokens = TokenSet::new("access").with_refresh_token("refresh");
    let (replaces, revision) = (Revision(replaces), Revision(replaces + 1));
    let save = SaveRequest {
        fence,
        replaces,
        revision,
        tokens: &tokens,
    };
    store.save(&key(), save).await
}

/// P42, P12. Each part opens the file anew, as another process does.
#[tokio::test]
async fn it_is_a_store() {
    let folder = Folder::new();
    conformance::run(|| folder.store()).await;
}

/// P42: the system frees the lock of a process that is gone, and it need not run out first.
#[tokio::test]
async fn the_lock_of_a_holder_that_is_gone_is_free_at_once() {
    let folder = Folder::new();
    let (dead, next) = (folder.store(), folder.store());
    let old = lock(&dead).await;
    assert!(matches!(
        next.try_lock(&key(), "me", LONG).await.unwrap(),
        LockAttempt::HeldFor(_)
    ));
    drop(dead);
    let new = lock(&next).await;
    assert!(new > old);
    assert_eq!(
        save(&folder.store(), old, 0).await.unwrap(),
        WriteOutcome::Conflict
    );
    assert_eq!(save(&next, new, 0).await.unwrap(), WriteOutcome::Applied);
}

/// P45.
#[cfg(unix)]
#[tokio::test]
async fn the_file_is_for_its_owner_only_and_nothing_stays_beside_it() {
    use std::os::unix::fs::PermissionsExt;

    let folder = Folder::new();
    let store = folder.store();
    let fence = lock(&store).await;
    assert_eq!(save(&store, fence, 0).await.unwrap(), WriteOutcome::Applied);
    store.unlock(&key(), fence).await.unwrap();
    assert_eq!(folder.names(), ["tokens.json", "tokens.json.lock"]);
    for name in folder.names() {
        let mode = fs::metadata(folder.0.join(&name))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

/// P45.
#[cfg(unix)]
#[tokio::test]
async fn no_symbolic_link_is_followed() {
    let folder = Folder::new();
    let elsewhere = folder.0.join("elsewhere");
    fs::write(&elsewhere, "precious").unwrap();
    let store = folder.store();
    for name in ["tokens.json", "tokens.json.lock", "tokens.json.lock.1"] {
        let link = folder.0.join(name);
        let _ = fs::remove_file(&link);
        std::os::unix::fs::symlink(&elsewhere, &link).unwrap();
        let error = store.try_lock(&key(), "me", LONG).await.unwrap_err();
        assert!(
            format!("{error:#}").contains("is a symbolic link"),
            "{name}: {error:#}"
        );
        fs::remove_file(&link).unwrap();
    }
    std::os::unix::fs::symlink(&elsewhere, folder.file()).unwrap();
    assert!(FileStore::new(folder.file()).is_err());
    assert_eq!(fs::read_to_string(&elsewhere).unwrap(), "precious");
}

/// P44, P45: what cannot be read is left as it is, and the error names the file and shows nothing
/// of it.
#[tokio::test]
async fn a_file_that_cannot_be_read_is_an_error_and_is_not_overwritten() {
    let folder = Folder::new();
    let store = folder.store();
    for (text, reason) in [
        ("", "it is no JSON object"),
        (
            "{\"version\":1,\"fence\":0,\"entries\":{\"key\":{\"tokens\":\"hunter2",
            "no JSON object",
        ),
        ("[]", "it is no JSON object"),
        ("{}", "it has no version"),
        ("{\"version\":2}", "another version"),
        ("{\"version\":1}", "it has no entries"),
        ("{\"version\":1,\"entries\":{}}", "it has no fence"),
        (
            "{\"version\":1,\"fence\":0,\"entries\":{\"key\":{\"tokens\":\"hunter2\"}}}",
            "an entry cannot be read",
        ),
    ] {
        fs::write(folder.file(), text).unwrap();
        for error in [
            store.load(&key()).await.unwrap_err(),
            store.delete(&key()).await.unwrap_err(),
            store.try_lock(&key(), "me", LONG).await.unwrap_err(),
        ] {
            let error = format!("{error:#}");
            assert!(
                error.contains(reason) && error.contains("tokens.json"),
                "{error:#}"
            );
            assert!(!error.contains("hunter2"), "{error:#}");
        }
        assert_eq!(fs::read_to_string(folder.file()).unwrap(), text);
    }
}

/// P45: tokens must not lie about in files that nobody knows of.
#[tokio::test]
async fn what_a_killed_writer_has_left_is_gone_with_the_next_write() {
    let folder = Folder::new();
    let store = folder.store();
    fs::write(folder.0.join("tokens.json.new"), "{\"half").unwrap();
    let fence = lock(&store).await;
    assert_eq!(save(&store, fence, 0).await.unwrap(), WriteOutcome::Applied);
    store.unlock(&key(), fence).await.unwrap();
    assert_eq!(folder.names(), ["tokens.json", "tokens.json.lock"]);
}

/// P44: a folder that is gone stands for a full or broken disk.
#[tokio::test]
async fn a_write_that_fails_is_an_error_and_the_next_one_works() {
    let folder = Folder::new();
    let store = folder.store();
    let fence = lock(&store).await;
    let moved = folder.0.with_extension("moved");
    fs::rename(&folder.0, &moved).unwrap();
    assert!(save(&store, fence, 0).await.is_err());
    fs::rename(&moved, &folder.0).unwrap();
    assert_eq!(save(&store, fence, 0).await.unwrap(), WriteOutcome::Applied);
}

#[test]
fn a_path_that_can_be_no_file_is_refused() {
    assert!(FileStore::new("/").is_err());
    assert!(FileStore::new("/no/such/folder/tokens.json").is_err());
}

/// Many at once: none sees half a file, and no change is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_changes_are_all_there_in_the_end() {
    let folder = Folder::new();
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..8 {
        let store = folder.store();
        tasks.spawn(async move {
            let shared = StoreKey::new("shared");
            let own = StoreKey::new(format!("own {number}"));
            for _ in 0..10 {
                store.delete(&shared).await.unwrap();
                store.delete(&own).await.unwrap();
            }
            assert_eq!(store.load(&own).await.unwrap().revision, Revision(10));
        });
    }
    tasks.join_all().await;
    let shared = StoreKey::new("shared");
    assert_eq!(
        folder.store().load(&shared).await.unwrap().revision,
        Revision(80)
    );
}
