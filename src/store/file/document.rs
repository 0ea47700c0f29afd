//! The contents of a token file.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::{
    directory_of,
    lock_file::{owner_only, refuse_link},
};
use crate::store::{
    Fence, Intent, Revision, Stored, TokenSet,
    json::{self, number, parse_intent, parse_tokens},
};

const VERSION: u64 = 1;

/// All entries, sorted by key, so that equal contents yield equal files.
pub(super) struct Document {
    pub(super) last_fence: Fence,
    entries: Vec<(String, Entry)>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Entry {
    pub(super) revision: Revision,
    pub(super) tokens: Option<TokenSet>,
    pub(super) intent: Option<Intent>,
    pub(super) fence: Fence,
    /// Milliseconds since 1970.
    pub(super) locked_until: u64,
}

impl Entry {
    pub(super) fn stored(&self) -> Stored {
        Stored {
            revision: self.revision,
            tokens: self.tokens.clone(),
            intent: self.intent.clone(),
        }
    }
}

impl Document {
    pub(super) fn read(path: &Path) -> io::Result<Self> {
        refuse_link(path)?;
        let bytes = match fs::read(path) {
            Ok(bytes) => Zeroizing::new(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Self {
                    last_fence: Fence(0),
                    entries: Vec::new(),
                });
            }
            Err(error) => return Err(error),
        };
        Self::parse(&bytes).map_err(|what| {
            io::Error::other(format!(
                "{} is not a token file of this program: {what}. It was left untouched",
                path.display()
            ))
        })
    }

    /// Writes a new file, and replaces the old one with it once it is complete.
    pub(super) fn write(&self, path: &Path) -> io::Result<()> {
        let temporary = Temporary::next_to(path);
        let mut file =
            owner_only(OpenOptions::new().write(true).create_new(true)).open(&temporary.0)?;
        let text = Zeroizing::new(serde_json::to_vec_pretty(&self.to_json())?);
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&temporary.0, path)?;
        // Sync the directory, so that the rename survives a crash of the machine, where the system
        // can guarantee that.
        if let Ok(directory) = File::open(directory_of(path)) {
            let _ = directory.sync_all();
        }
        Ok(())
    }

    pub(super) fn entry(&self, key: &str) -> Option<&Entry> {
        let found = self.entries.iter().find(|(other, _)| other == key);
        found.map(|(_, entry)| entry)
    }

    pub(super) fn set(&mut self, key: &str, entry: Entry, last_fence: Fence) {
        self.last_fence = last_fence;
        match self
            .entries
            .binary_search_by(|(other, _)| other.as_str().cmp(key))
        {
            Ok(index) => self.entries[index].1 = entry,
            Err(index) => self.entries.insert(index, (key.to_owned(), entry)),
        }
    }

    fn parse(bytes: &[u8]) -> Result<Self, &'static str> {
        let Ok(Value::Object(document)) = serde_json::from_slice(bytes) else {
            // The parser's own message can quote the file.
            return Err("it is not a JSON object");
        };
        match document.get("version").and_then(Value::as_u64) {
            Some(VERSION) => {}
            Some(_) => return Err("it was written by another version of this program"),
            None => return Err("it has no version"),
        }
        let Some(Value::Object(all)) = document.get("entries") else {
            return Err("it has no entries");
        };
        let mut entries = all
            .iter()
            .map(|(key, entry)| Some((key.clone(), parse_entry(entry)?)))
            .collect::<Option<Vec<_>>>()
            .ok_or("an entry cannot be parsed")?;
        entries.sort_by(|(one, _), (other, _)| one.cmp(other));
        Ok(Self {
            last_fence: Fence(number(&document, "fence").ok_or("it has no fence")?),
            entries,
        })
    }

    fn to_json(&self) -> Value {
        let entries = self.entries.iter();
        let entries: Map<_, _> = entries
            .map(|(key, entry)| (key.clone(), entry_to_json(entry)))
            .collect();
        json!({ "version": VERSION, "fence": self.last_fence.0, "entries": entries })
    }
}

/// A file that is removed on drop, unless it was renamed.
struct Temporary(PathBuf);

impl Temporary {
    /// Uses one name for all writers, which exclude each other. A file that already exists was left
    /// behind by a killed writer. It contains tokens, so it is removed.
    fn next_to(path: &Path) -> Self {
        let mut name = path.as_os_str().to_owned();
        name.push(".new");
        let _ = fs::remove_file(&name);
        Self(name.into())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn entry_to_json(entry: &Entry) -> Value {
    let mut object = json!({
        "revision": entry.revision.0,
        "fence": entry.fence.0,
        "locked_until": entry.locked_until,
    });
    if let Some(tokens) = &entry.tokens {
        object["tokens"] = json::tokens(tokens);
    }
    if let Some(intent) = &entry.intent {
        object["intent"] = json::intent(intent);
    }
    object
}

fn parse_entry(value: &Value) -> Option<Entry> {
    let entry = value.as_object()?;
    Some(Entry {
        revision: Revision(number(entry, "revision")?),
        tokens: optional(entry, "tokens", parse_tokens)?,
        intent: optional(entry, "intent", parse_intent)?,
        fence: Fence(number(entry, "fence")?),
        locked_until: number(entry, "locked_until")?,
    })
}

/// Reads an optional value. Returns `None` if the value cannot be parsed, and `Some(None)` if it is
/// absent.
fn optional<T>(
    object: &Map<String, Value>,
    name: &str,
    parse: impl FnOnce(&Map<String, Value>) -> Option<T>,
) -> Option<Option<T>> {
    match object.get(name) {
        None | Some(Value::Null) => Some(None),
        Some(value) => parse(value.as_object()?).map(Some),
    }
}
