//! A user's name and password, and whether they may still be sent.

use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{error::TokenError, form::Form, login_required::LoginRequired};
use crate::{error::ProviderError, secret::Secret};

/// A user's name and password. A rejected one is not sent again: servers lock accounts.
pub(super) struct Password(Mutex<State>);

struct State {
    user: String,
    password: Secret,
    /// Changes with the credentials, so that the answer for earlier ones says nothing about these.
    number: u64,
    /// They replaced others: tokens that were had with those are not used any more.
    must_log_in: bool,
    rejected: Option<LoginRequired>,
}

/// The number of the credentials that were sent.
#[derive(Clone, Copy)]
pub(super) struct Sent(u64);

impl Password {
    pub(super) fn new(user: impl Into<String>, password: impl Into<String>) -> Self {
        Self(Mutex::new(State {
            user: user.into(),
            password: Secret::new(password),
            number: 0,
            must_log_in: false,
            rejected: None,
        }))
    }

    pub(super) fn replace(&self, user: impl Into<String>, password: impl Into<String>) {
        let mut state = self.state();
        state.user = user.into();
        state.password = Secret::new(password);
        state.number += 1;
        state.must_log_in = true;
        state.rejected = None;
    }

    pub(super) fn must_log_in(&self) -> bool {
        self.state().must_log_in
    }

    /// Adds them to a form, unless they were rejected.
    pub(super) fn put_into(&self, form: &mut Form) -> Result<Sent, ProviderError> {
        let state = self.state();
        if let Some(error) = &state.rejected {
            return Err(ProviderError::login_required(error.clone()));
        }
        form.push("username", &state.user);
        form.push_secret("password", &state.password);
        Ok(Sent(state.number))
    }

    pub(super) fn accepted(&self, sent: Sent) {
        let mut state = self.state();
        if state.number == sent.0 {
            state.must_log_in = false;
        }
    }

    pub(super) fn rejected(&self, sent: Sent, error: TokenError) -> ProviderError {
        let error = LoginRequired::password_refused(error);
        let mut state = self.state();
        if state.number == sent.0 {
            state.must_log_in = false;
            state.rejected = Some(error.clone());
        }
        ProviderError::login_required(error)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics half way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Password").finish_non_exhaustive()
    }
}
