//! The scopes of a client, which can grow.

use std::sync::Mutex;

use crate::{challenge::StepUp, sync::lock};

/// What a client asks for: always, and once an API has wanted it.
#[derive(Debug)]
pub(super) struct Scopes {
    always: Vec<String>,
    optional: Vec<String>,
    /// Of the optional ones, those that were wanted and granted.
    added: Mutex<Vec<String>>,
}

impl Scopes {
    pub(super) fn new(always: Vec<String>, optional: Vec<String>) -> Self {
        Self {
            always,
            optional,
            added: Mutex::default(),
        }
    }

    /// Whether asking for more could satisfy a server. One that does not say what it wants, or wants
    /// what the client was not given for choice, is not.
    pub(super) fn can_satisfy(&self, wanted: &StepUp) -> bool {
        let known = |scope: &str| {
            let mut known = self.always.iter().chain(&self.optional);
            known.any(|known| known == scope)
        };
        wanted.scopes().next().is_some() && wanted.scopes().all(known)
    }

    /// Those that were added so far, and those that are wanted now.
    pub(super) fn with(&self, wanted: Option<&StepUp>) -> Vec<String> {
        let mut added = lock(&self.added).clone();
        let wanted = wanted.into_iter().flat_map(StepUp::scopes);
        for scope in wanted.filter(|scope| self.optional.iter().any(|known| known == scope)) {
            if !added.iter().any(|known| known == scope) {
                added.push(scope.to_owned());
            }
        }
        added
    }

    /// The parameter of a token request that asks for these additions too.
    pub(super) fn parameter(&self, added: &[String]) -> Option<String> {
        let all: Vec<&str> = self
            .always
            .iter()
            .chain(added)
            .map(String::as_str)
            .collect();
        (!all.is_empty()).then(|| all.join(" "))
    }

    /// From now on these are asked for.
    pub(super) fn keep(&self, added: Vec<String>) {
        *lock(&self.added) = added;
    }
}
