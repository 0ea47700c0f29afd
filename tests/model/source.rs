//! The provider, which reports the start and end of each refresh to the reference.

use std::{future::pending, panic, time::Duration};

use tokio::time::sleep;
use tower_auth::{Issued, Provider, ProviderError, RefreshContext, credential::Bearer};

use crate::{
    program::Endpoint,
    reference::Class,
    world::{Shared, State},
};

/// A delay that is longer than any caller waits.
const LONG: Duration = Duration::from_secs(25);

pub(crate) struct Source {
    shared: Shared,
}

impl Source {
    pub(crate) fn new(shared: Shared) -> Self {
        Self { shared }
    }
}

impl Provider for Source {
    type Credential = Bearer;

    async fn issue(
        &self,
        context: RefreshContext<Bearer>,
    ) -> Result<Issued<Bearer>, ProviderError> {
        let mut exchange = Exchange::start(&self.shared, &context);
        let endpoint = self.shared.lock().endpoint;
        match endpoint {
            Endpoint::Issues { after } => sleep(after).await,
            Endpoint::Hangs => pending().await,
            Endpoint::CommitsAndTakesLong => {
                context.commit();
                exchange.committed = true;
                sleep(LONG).await;
            }
            _ => {}
        }
        let response = exchange.response(endpoint);
        // Panics without printing a message.
        response.unwrap_or_else(|| panic::resume_unwind(Box::new(())))
    }
}

pub(crate) fn issued(token: usize, lifetime: Option<Duration>) -> Issued<Bearer> {
    let issued = Issued::new(Bearer::new(format!("t{token}")).unwrap());
    match lifetime {
        Some(lifetime) => issued.expires_in(lifetime),
        None => issued,
    }
}

/// A refresh in progress.
struct Exchange<'a> {
    shared: &'a Shared,
    committed: bool,
    ended: bool,
}

type Response = Result<Issued<Bearer>, ProviderError>;

impl<'a> Exchange<'a> {
    fn start(shared: &'a Shared, context: &RefreshContext<Bearer>) -> Self {
        let reference = &mut shared.lock().reference;
        reference.refresh_starts(context.reason(), context.deadline());
        Self {
            shared,
            committed: false,
            ended: false,
        }
    }

    /// Returns the endpoint's response. `None` means a panic.
    fn response(mut self, endpoint: Endpoint) -> Option<Response> {
        self.ended = true;
        let State {
            reference,
            lifetime,
            ..
        } = &mut *self.shared.lock();
        let (class, wait, error) = match endpoint {
            Endpoint::FailsTemporarily { retry_after: wait } => {
                let error = ProviderError::transient("not now");
                let error = match wait {
                    Some(wait) => error.with_retry_after(wait),
                    None => error,
                };
                (Class::Transient, wait, Some(error))
            }
            Endpoint::Refuses => (
                Class::Permanent,
                None,
                Some(ProviderError::permanent("never")),
            ),
            Endpoint::RequiresLogin => {
                let error = ProviderError::login_required("log in");
                (Class::LoginRequired, None, Some(error))
            }
            Endpoint::Panics => (Class::Transient, None, None),
            _ => {
                let same = reference
                    .current()
                    .filter(|_| endpoint == Endpoint::Repeats);
                let token = reference.refresh_issues(same, *lifetime);
                return Some(Ok(issued(token, *lifetime)));
            }
        };
        reference.refresh_fails(class, wait);
        error.map(Err)
    }
}

impl Drop for Exchange<'_> {
    fn drop(&mut self) {
        if !self.ended {
            let reference = &mut self.shared.lock().reference;
            reference.refresh_is_dropped(self.committed);
        }
    }
}
