//! A token file that another program has modified.

#![no_main]

use std::{fs, path::PathBuf, sync::LazyLock, time::Duration};

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use tower_auth::store::{
    FileStore, LockAttempt, Revision, SaveRequest, StoreError, StoreKey, TokenSet, TokenStore,
    WriteOutcome,
};
use tower_auth_fuzz::{error_text, is_harmless, run};

/// The secrets in the files of the corpus.
const SECRET: &str = "s3cr3t";

/// The folder next to the program. A fuzzer exits without running any cleanup code that could
/// remove it.
static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let program = std::env::current_exe().unwrap();
    let folder = program.with_extension(format!("files-{}", std::process::id() % 8));
    fs::create_dir_all(&folder).unwrap();
    folder
});

fuzz_target!(|data: &[u8]| {
    let path = FOLDER.join("tokens.json");
    fs::write(&path, data).unwrap();
    let store = FileStore::new(&path).unwrap();
    let key = StoreKey::new("key");
    let written = run(write(&store, &key));
    let now = fs::read(&path).unwrap();
    if now != data {
        // Entries of other programs are still there.
        let (before, after) = (entries(data), entries(&now));
        assert_eq!(before.0, after.0, "another version's file was changed");
        let lost = before.1.iter().find(|key| !after.1.contains(key));
        assert_eq!(lost, None, "an entry was lost");
    }
    if let Err(error) = written {
        let error_text = error_text(&error);
        assert!(
            !error_text.contains(SECRET) && is_harmless(&error.to_string()),
            "{error_text}"
        );
        assert_eq!(now, data, "a file that is not understood was changed");
    }
});

/// Returns the version of a file, and the keys of its entries.
fn entries(file: &[u8]) -> (Value, Vec<String>) {
    let file: Value = serde_json::from_slice(file).unwrap();
    let entries = file["entries"].as_object();
    let keys = entries.into_iter().flatten().map(|(key, _)| key.clone());
    (file["version"].clone(), keys.collect())
}

/// Reads the entry and replaces it.
async fn write(store: &FileStore, key: &StoreKey) -> Result<(), StoreError> {
    let before = store.load(key).await?;
    let fence = match store
        .try_lock(key, "fuzzer", Duration::from_secs(60))
        .await?
    {
        LockAttempt::Acquired(fence) => fence,
        LockAttempt::HeldFor(_) => return Ok(()),
    };
    let tokens = TokenSet::new("access").with_refresh_token("refresh");
    let revision = Revision(before.revision.0.saturating_add(1));
    let save = SaveRequest::new(fence, before.revision, revision, &tokens);
    let written = store.save(key, save).await?;
    let after = store.load(key).await?;
    if written == WriteOutcome::Applied {
        assert_eq!(after.tokens.as_ref(), Some(&tokens));
        assert_eq!(after.revision, save.revision);
    } else {
        assert_eq!(after.revision, before.revision);
    }
    store.unlock(key, fence).await
}
