//! The scopes of a client, which can grow at run time.

use std::sync::Mutex;

use crate::{challenge::StepUp, sync::lock};

/// The scopes that a client requests always, and those that it requests after an API required them.
#[derive(Debug)]
pub(super) struct Scopes {
    always: Vec<String>,
    step_up: Vec<String>,
    /// The step-up scopes that were required and granted.
    added: Mutex<Vec<String>>,
}

impl Scopes {
    pub(super) fn new(always: Vec<String>, step_up: Vec<String>) -> Self {
        Self {
            always,
            step_up,
            added: Mutex::default(),
        }
    }

    /// Whether requesting more scopes could satisfy the API. It could not if the API names no scope,
    /// or one that is not among the client's.
    pub(super) fn can_satisfy(&self, wanted: &StepUp) -> bool {
        let known = |scope: &str| {
            let mut known = self.always.iter().chain(&self.step_up);
            known.any(|known| known == scope)
        };
        wanted.scopes().next().is_some() && wanted.scopes().all(known)
    }

    /// The scopes added so far, and those that are wanted now.
    pub(super) fn with(&self, wanted: Option<&StepUp>) -> Vec<String> {
        let mut added = lock(&self.added).clone();
        let wanted = wanted.into_iter().flat_map(StepUp::scopes);
        for scope in wanted.filter(|scope| self.step_up.iter().any(|known| known == scope)) {
            if !added.iter().any(|known| known == scope) {
                added.push(scope.to_owned());
            }
        }
        added
    }

    /// The parameter of a token request that also requests these additions.
    pub(super) fn parameter(&self, added: &[String]) -> Option<String> {
        let all: Vec<&str> = self
            .always
            .iter()
            .chain(added)
            .map(String::as_str)
            .collect();
        (!all.is_empty()).then(|| all.join(" "))
    }

    /// Requests these additions from now on.
    pub(super) fn keep(&self, added: Vec<String>) {
        *lock(&self.added) = added;
    }
}
