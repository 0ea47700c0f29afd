//! What the scripts answer: a word, and what belongs to it.

use std::time::Duration;

use redis::Value;
use serde_json::Map;
use zeroize::Zeroizing;

use crate::store::{
    Fence, LockAttempt, Revision, Stored, WriteOutcome,
    json::{parse_intent, parse_tokens},
};

/// Fields that are not there are `None`.
pub(super) struct Answer(Vec<Option<Zeroizing<String>>>);

impl Answer {
    /// `None` if something in it is no text.
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

    /// Why what is at the key is no entry.
    pub(super) fn foreign(&self) -> Option<&str> {
        (self.text(0)? == "foreign").then(|| self.text(1).unwrap_or_default())
    }

    pub(super) fn stored(&self) -> Option<Stored> {
        self.done()?;
        Some(Stored {
            revision: self.revision()?,
            tokens: self.object(2, parse_tokens)?,
            intent: self.object(3, parse_intent)?,
        })
    }

    pub(super) fn written(&self) -> Option<WriteOutcome> {
        match self.text(0)? {
            "done" => Some(WriteOutcome::Applied),
            "refused" => Some(WriteOutcome::Conflict),
            _ => None,
        }
    }

    pub(super) fn lock(&self) -> Option<LockAttempt> {
        let number = self.text(1)?.parse().ok()?;
        match self.text(0)? {
            "done" => Some(LockAttempt::Acquired(Fence(number))),
            "held" => Some(LockAttempt::HeldFor(Duration::from_millis(number))),
            _ => None,
        }
    }

    pub(super) fn revision(&self) -> Option<Revision> {
        self.done()?;
        Some(Revision(self.text(1)?.parse().ok()?))
    }

    fn done(&self) -> Option<()> {
        (self.text(0)? == "done").then_some(())
    }

    fn text(&self, index: usize) -> Option<&str> {
        self.0.get(index)?.as_ref().map(|text| text.as_str())
    }

    /// `None` if there is something that cannot be read, `Some(None)` if there is nothing.
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
