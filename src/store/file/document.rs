//! What is in the file.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::{
    folder_of,
    lock_file::{owner_only, refuse_link},
};
use crate::store::{
    Fence, Intent, Revision, Stored, TokenSet,
    json::{self, number, parse_intent, parse_tokens},
};

const VERSION: u64 = 1;

/// The entries of all keys, in the order of the keys, so that equal contents are equal files.
pub(super) struct Document {
    last_fence: Fence,
    entries: Vec<(String, Entry)>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Entry {
    pub(super) revision: Revision,
    pub(super) tokens: Option<TokenSet>,
    pub(super) intent: Option<Intent>,
    pub(super) fence: Fence,
    /// In milliseconds since 1970.
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
                "{} is not a token file of this program: {what}; it is left as it is",
                path.display()
            ))
        })
    }

    /// Writes a new file, and puts it in the place of the old one when it is complete.
    pub(super) fn write(&self, path: &Path) -> io::Result<()> {
        let temporary = Temporary::beside(path);
        let mut file =
            owner_only(OpenOptions::new().write(true).create_new(true)).open(&temporary.0)?;
        let text = Zeroizing::new(serde_json::to_vec_pretty(&self.to_json())?);
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&temporary.0, path)?;
        // The new name must outlive a crash of the machine too, where the system can promise that.
        if let Ok(folder) = File::open(folder_of(path)) {
            let _ = folder.sync_all();
        }
        Ok(())
    }

    pub(super) fn last_fence(&self) -> Fence {
        self.last_fence
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
        let Ok(Value::Object(book)) = serde_json::from_slice(bytes) else {
            // The parser's own message can quote the file.
            return Err("it is no JSON object");
        };
        match book.get("version").and_then(Value::as_u64) {
            Some(VERSION) => {}
            Some(_) => return Err("another version of this program has written it"),
            None => return Err("it has no version"),
        }
        let Some(Value::Object(all)) = book.get("entries") else {
            return Err("it has no entries");
        };
        let mut entries = all
            .iter()
            .map(|(key, entry)| Some((key.clone(), parse_entry(entry)?)))
            .collect::<Option<Vec<_>>>()
            .ok_or("an entry cannot be read")?;
        entries.sort_by(|(one, _), (other, _)| one.cmp(other));
        Ok(Self {
            last_fence: Fence(number(&book, "fence").ok_or("it has no fence")?),
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

/// A file that is removed unless it was renamed.
struct Temporary(PathBuf);

impl Temporary {
    /// One name for all writers, who take turns: what is there was left by one that was killed, and
    /// has tokens in it.
    fn beside(path: &Path) -> Self {
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

/// `None` if there is something that cannot be read, `Some(None)` if there is nothing.
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
