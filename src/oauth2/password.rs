//! Logins with a user name and password, which are not sent again once they have been refused.

use std::sync::Mutex;

use http::StatusCode;

use super::{
    endpoint::TokenEndpoint, error::TokenError, form::Form, login_required::LoginRequired,
    refresh_request::RefreshRequest, response::TokenResponse,
};
use crate::{
    credential::Bearer, error::ProviderError, provider::RefreshContext, secret::Secret, sync::lock,
};

/// The behavior that both password grants share.
#[derive(Debug)]
pub(super) struct PasswordFlow {
    pub(super) login: TokenEndpoint,
    /// All parameters except for the user name and password.
    pub(super) form: Form,
    /// The requested scope.
    pub(super) scope: Option<String>,
    /// Whether an error from the login endpoint can mean that the user name or password was
    /// refused.
    pub(super) is_refused: fn(&TokenError) -> bool,
    pub(super) refresh: RefreshRequest,
    pub(super) password: Password,
}

impl PasswordFlow {
    pub(super) async fn log_in(
        &self,
        context: &RefreshContext<Bearer>,
    ) -> Result<TokenResponse, ProviderError> {
        let mut form = self.form.clone();
        let sent = self.password.put_into(&mut form)?;
        match self.login.exchange_once(&form, context).await {
            Ok(mut response) => {
                self.password.accept(sent);
                response.scope = response.scope.or_else(|| self.scope.clone());
                Ok(response)
            }
            Err(error) if (self.is_refused)(&error) => Err(self.password.refuse(sent, error)),
            Err(error) => Err(error.into()),
        }
    }
}

/// Returns whether the status is one that servers use to refuse a user name or password.
pub(super) fn is_client_refusal(error: &TokenError) -> bool {
    matches!(
        error.status(),
        Some(StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
    )
}

/// A user name and password. Once refused, they are not sent again, because the server may lock the
/// account.
#[expect(unnameable_types, reason = "used only inside a builder")]
pub struct Password(Mutex<State>);

struct State {
    user: String,
    password: Secret,
    /// Changes with the credentials, so that a response to earlier credentials does not affect the
    /// current ones.
    number: u64,
    /// Whether the credentials replaced others, whose tokens must no longer be used.
    must_log_in: bool,
    refused: Option<LoginRequired>,
}

/// Identifies the credentials that were sent, by `State::number`.
#[derive(Clone, Copy)]
pub(super) struct Sent(u64);

impl Password {
    pub(super) fn new(user: impl Into<String>, password: impl Into<String>) -> Self {
        Self(Mutex::new(State {
            user: user.into(),
            password: Secret::new(password),
            number: 0,
            must_log_in: false,
            refused: None,
        }))
    }

    pub(super) fn replace(&self, user: impl Into<String>, password: impl Into<String>) {
        let mut state = lock(&self.0);
        state.user = user.into();
        state.password = Secret::new(password);
        state.number += 1;
        state.must_log_in = true;
        state.refused = None;
    }

    pub(super) fn must_log_in(&self) -> bool {
        lock(&self.0).must_log_in
    }

    /// Adds the credentials to a form, unless they were refused before.
    fn put_into(&self, form: &mut Form) -> Result<Sent, ProviderError> {
        let state = lock(&self.0);
        if let Some(error) = &state.refused {
            return Err(ProviderError::login_required(error.clone()));
        }
        form.push("username", &state.user);
        form.push_secret("password", &state.password);
        Ok(Sent(state.number))
    }

    fn accept(&self, sent: Sent) {
        let mut state = lock(&self.0);
        if state.number == sent.0 {
            state.must_log_in = false;
        }
    }

    fn refuse(&self, sent: Sent, error: TokenError) -> ProviderError {
        let error = LoginRequired::password_refused(error);
        let mut state = lock(&self.0);
        if state.number == sent.0 {
            state.must_log_in = false;
            state.refused = Some(error.clone());
        }
        ProviderError::login_required(error)
    }
}

partial_debug!(Password);
