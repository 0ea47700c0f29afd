use std::fs;

use super::*;
use crate::store::{TokenSet, conformance};

/// A directory that is removed on drop, with its contents.
struct TempDir(PathBuf);

impl TempDir {
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

impl Drop for TempDir {
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

/// P42, P12. Each test opens the file again, as another process would.
#[tokio::test]
async fn it_conforms_to_the_store_contract() {
    let dir = TempDir::new();
    conformance::run(|| dir.store()).await;
}

/// P42: the operating system releases the lock of a process that has ended.
#[tokio::test]
async fn the_lock_of_a_dead_holder_is_free_at_once() {
    let dir = TempDir::new();
    let (dead, next) = (dir.store(), dir.store());
    let old = lock(&dead).await;
    assert!(matches!(
        next.try_lock(&key(), "me", LONG).await.unwrap(),
        LockAttempt::HeldFor(_)
    ));
    drop(dead);
    let new = lock(&next).await;
    assert!(new > old);
    assert_eq!(
        save(&dir.store(), old, 0).await.unwrap(),
        WriteOutcome::Conflict
    );
    assert_eq!(save(&next, new, 0).await.unwrap(), WriteOutcome::Applied);
}

/// P45.
#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_can_read_the_file() {
    use std::os::unix::fs::PermissionsExt;

    let dir = TempDir::new();
    let store = dir.store();
    let fence = lock(&store).await;
    assert_eq!(save(&store, fence, 0).await.unwrap(), WriteOutcome::Applied);
    store.unlock(&key(), fence).await.unwrap();
    assert_eq!(dir.names(), ["tokens.json", "tokens.json.lock"]);
    for name in dir.names() {
        let mode = fs::metadata(dir.0.join(&name))
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
    let dir = TempDir::new();
    let elsewhere = dir.0.join("elsewhere");
    fs::write(&elsewhere, "precious").unwrap();
    let store = dir.store();
    for name in ["tokens.json", "tokens.json.lock", "tokens.json.lock.1"] {
        let link = dir.0.join(name);
        let _ = fs::remove_file(&link);
        std::os::unix::fs::symlink(&elsewhere, &link).unwrap();
        let error = store.try_lock(&key(), "me", LONG).await.unwrap_err();
        assert!(
            format!("{error:#}").contains("is a symbolic link"),
            "{name}: {error:#}"
        );
        fs::remove_file(&link).unwrap();
    }
    std::os::unix::fs::symlink(&elsewhere, dir.file()).unwrap();
    assert!(FileStore::new(dir.file()).is_err());
    assert_eq!(fs::read_to_string(&elsewhere).unwrap(), "precious");
}

/// P44, P45: the error names the file but does not quote it.
#[tokio::test]
async fn an_unparsable_file_is_an_error_and_is_not_overwritten() {
    let dir = TempDir::new();
    let store = dir.store();
    for (text, reason) in [
        ("", "it is not a JSON object"),
        (
            "{\"version\":1,\"fence\":0,\"entries\":{\"key\":{\"tokens\":\"hunter2",
            "not a JSON object",
        ),
        ("[]", "it is not a JSON object"),
        ("{}", "it has no version"),
        ("{\"version\":2}", "another version"),
        ("{\"version\":1}", "it has no entries"),
        ("{\"version\":1,\"entries\":{}}", "it has no fence"),
        (
            "{\"version\":1,\"fence\":0,\"entries\":{\"key\":{\"tokens\":\"hunter2\"}}}",
            "an entry cannot be parsed",
        ),
    ] {
        fs::write(dir.file(), text).unwrap();
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
        assert_eq!(fs::read_to_string(dir.file()).unwrap(), text);
    }
}

/// P45: no forgotten file may contain tokens.
#[tokio::test]
async fn the_next_write_removes_the_file_of_a_killed_writer() {
    let dir = TempDir::new();
    let store = dir.store();
    fs::write(dir.0.join("tokens.json.new"), "{\"half").unwrap();
    let fence = lock(&store).await;
    assert_eq!(save(&store, fence, 0).await.unwrap(), WriteOutcome::Applied);
    store.unlock(&key(), fence).await.unwrap();
    assert_eq!(dir.names(), ["tokens.json", "tokens.json.lock"]);
}

/// P44: a missing directory stands in for a full or broken disk.
#[tokio::test]
async fn a_failed_write_is_an_error_and_the_next_one_works() {
    let dir = TempDir::new();
    let store = dir.store();
    let fence = lock(&store).await;
    let moved = dir.0.with_extension("moved");
    fs::rename(&dir.0, &moved).unwrap();
    assert!(save(&store, fence, 0).await.is_err());
    fs::rename(&moved, &dir.0).unwrap();
    assert_eq!(save(&store, fence, 0).await.unwrap(), WriteOutcome::Applied);
}

#[test]
fn a_path_that_cannot_be_a_file_is_rejected() {
    assert!(FileStore::new("/").is_err());
    assert!(FileStore::new("/no/such/dir/tokens.json").is_err());
}

/// Also, no reader sees a partially written file.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_concurrent_change_is_lost() {
    let dir = TempDir::new();
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..8 {
        let store = dir.store();
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
        dir.store().load(&shared).await.unwrap().revision,
        Revision(80)
    );
}
