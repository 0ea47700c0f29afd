//! The response of a script: a status word, followed by the values that belong to it.

use std::time::Duration;

use redis::Value;
use serde_json::Map;
use zeroize::Zeroizing;

use crate::store::{
    Fence, LockAttempt, Revision, Stored, WriteOutcome,
    json::{parse_intent, parse_tokens},
};

/// A script's response. Absent fields are `None`.
pub(super) struct Response(Vec<Option<Zeroizing<String>>>);

impl Response {
    /// Creates a response. Returns `None` if a value is not text.
    pub(super) fn new(values: Vec<Value>) -> Option<Self> {
        let text = |value| match value {
            Value::BulkString(bytes) => Some(Some(Zeroizing::new(String::from_utf8(bytes).ok()?))),
            Value::Nil => Some(None),
            _ => None,
        };
        values
            .into_iter()
            .map(text)
            .collect::<Option<_>>()
            .map(Self)
    }

    /// Returns the reason why the value at the key is not an entry, or `None` if it is an entry.
    pub(super) fn invalid(&self) -> Option<&str> {
        (self.text(0)? == "invalid").then(|| self.text(1).unwrap_or_default())
    }

    pub(super) fn stored(&self) -> Option<Stored> {
        Some(Stored {
            revision: self.revision()?,
            tokens: self.object(2, parse_tokens)?,
            intent: self.object(3, parse_intent)?,
        })
    }

    pub(super) fn write_outcome(&self) -> Option<WriteOutcome> {
        match self.text(0)? {
            "ok" => Some(WriteOutcome::Applied),
            "conflict" => Some(WriteOutcome::Conflict),
            _ => None,
        }
    }

    pub(super) fn lock_attempt(&self) -> Option<LockAttempt> {
        let number = self.text(1)?.parse().ok()?;
        match self.text(0)? {
            "ok" => Some(LockAttempt::Acquired(Fence(number))),
            "held" => Some(LockAttempt::HeldFor(Duration::from_millis(number))),
            _ => None,
        }
    }

    pub(super) fn revision(&self) -> Option<Revision> {
        match self.text(0)? {
            "ok" => Some(Revision(self.text(1)?.parse().ok()?)),
            _ => None,
        }
    }

    fn text(&self, index: usize) -> Option<&str> {
        self.0.get(index)?.as_ref().map(|text| text.as_str())
    }

    /// Parses an object. Returns `None` if the value cannot be parsed, and `Some(None)` if it is
    /// absent.
    fn object<T>(
        &self,
        index: usize,
        parse: impl FnOnce(&Map<String, serde_json::Value>) -> Option<T>,
    ) -> Option<Option<T>> {
        match self.text(index) {
            None => Some(None),
            Some(text) => parse(&serde_json::from_str(text).ok()?).map(Some),
        }
    }
}
