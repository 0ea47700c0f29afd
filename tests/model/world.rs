//! The real layer between a provider and an API that follow a program and report to the reference.

use std::{
    mem,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use futures::{FutureExt, poll};
use http::Request;
use tokio::{task::JoinHandle, time::sleep};
use tower::{Layer, Service, ServiceExt};
use tower_auth::{Auth, AuthLayer, Handle, NotRetried, Origins, credential::Bearer};

use crate::{
    program::{Action, Api, Endpoint},
    reference::{Reference, Seen},
    server::{Payload, Server},
    source::{Source, issued},
};

#[derive(Clone)]
pub(crate) struct Shared(Arc<Mutex<State>>);

pub(crate) struct State {
    pub(crate) reference: Reference,
    pub(crate) endpoint: Endpoint,
    pub(crate) api: Api,
    /// The lifetime of credentials issued from now on.
    pub(crate) lifetime: Option<Duration>,
    /// The API accepts credentials from this number on.
    pub(crate) accepts_from: usize,
}

impl Shared {
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
}

/// A layer, its servers, and the open requests.
pub(crate) struct World {
    shared: Shared,
    service: Auth<Server, Bearer>,
    handle: Handle<Bearer>,
    requests: Vec<(usize, JoinHandle<()>)>,
    log_outs: Vec<JoinHandle<()>>,
}

impl World {
    pub(crate) fn new() -> Self {
        let shared = Shared(Arc::new(Mutex::new(State {
            reference: Reference::default(),
            endpoint: Endpoint::Issues {
                after: Duration::ZERO,
            },
            api: Api::Works {
                after: Duration::ZERO,
            },
            lifetime: Some(Duration::from_secs(100)),
            accepts_from: 0,
        })));
        let origins = Origins::only("https://api.example.com").unwrap();
        let layer = AuthLayer::new(Source::new(shared.clone()), origins);
        Self {
            handle: layer.handle(),
            service: layer.layer(Server::new(shared.clone())),
            shared,
            requests: Vec::new(),
            log_outs: Vec::new(),
        }
    }

    pub(crate) async fn act(&mut self, action: &Action) {
        match *action {
            Action::Request { replayable } => {
                self.request(replayable);
            }
            Action::Burst(count) => {
                (0..count).for_each(|_| {
                    self.request(true);
                });
            }
            Action::Traffic(every) => {
                for _ in 0..40 {
                    self.request(true);
                    sleep(every).await;
                }
            }
            Action::Cancel(which) => self.cancel(which.into()),
            Action::Pass(time) => sleep(time).await,
            Action::Jump(time) => tokio::time::advance(time).await,
            Action::Endpoint(endpoint) => self.shared.lock().endpoint = endpoint,
            Action::Api(api) => self.shared.lock().api = api,
            Action::Lifetime(lifetime) => self.shared.lock().lifetime = lifetime,
            Action::Revoke => self.revoke(),
            Action::Invalidate => {
                self.handle.invalidate();
                self.shared.lock().reference.invalidates();
            }
            Action::Report => self.report(),
            Action::SetCredential => self.set_credential(),
            Action::LogOut => self.log_out().await,
            Action::Resume => {
                self.handle.resume();
                self.shared.lock().reference.resumes();
            }
        }
        // This timer fires when all other tasks are idle.
        sleep(Duration::from_millis(1)).await;
    }

    /// Makes the servers work from now on. All open requests must end, and the next one must
    /// succeed.
    pub(crate) async fn recovers(mut self) -> Seen {
        let after = Duration::ZERO;
        self.act(&Action::Endpoint(Endpoint::Issues { after }))
            .await;
        self.act(&Action::Api(Api::Works { after })).await;
        if self.shared.lock().reference.needs_help() {
            self.act(&Action::Resume).await;
        }
        // Longer than any backoff.
        sleep(Duration::from_secs(400)).await;
        assert!(
            self.shared.lock().reference.is_over(),
            "a request is still open"
        );
        let last = self.request(true);
        sleep(Duration::from_secs(1)).await;
        for (_, task) in self.requests {
            task.await
                .unwrap_or_else(|error| assert!(error.is_cancelled()));
        }
        for log_out in self.log_outs {
            log_out.await.unwrap();
        }
        let reference = &mut self.shared.lock().reference;
        assert_eq!(reference.last_status(last), Some(200), "no recovery");
        mem::take(&mut reference.seen)
    }

    fn request(&mut self, replayable: bool) -> usize {
        let number = self.shared.lock().reference.starts(replayable);
        let request = Request::post("https://api.example.com/")
            .body(Payload {
                request: number,
                replayable,
            })
            .unwrap();
        // Called immediately, so that the layer sees the state at the start of the request.
        let mut service = self.service.clone();
        let ready = service.ready().now_or_never();
        let response = ready.unwrap().unwrap().call(request);
        let shared = self.shared.clone();
        let task = tokio::spawn(async move {
            let outcome = response.await;
            let reference = &mut shared.lock().reference;
            match outcome {
                Ok(response) => {
                    let reason = response.extensions().get::<NotRetried>();
                    reference.responded(number, response.status().into(), reason.is_some());
                }
                Err(error) => reference.failed(number, error.downcast_ref().unwrap()),
            }
        });
        self.requests.push((number, task));
        number
    }

    fn cancel(&mut self, which: usize) {
        self.requests.retain(|(_, task)| !task.is_finished());
        if !self.requests.is_empty() {
            let (number, task) = self.requests.swap_remove(which % self.requests.len());
            task.abort();
            self.shared.lock().reference.cancelled(number);
        }
    }

    fn revoke(&self) {
        let mut state = self.shared.lock();
        state.accepts_from = state.reference.next_number();
    }

    /// Reports, as a user would, that a server rejected the current credential.
    fn report(&self) {
        if let Some(Ok(current)) = self.handle.credential().now_or_never() {
            self.handle.reject(&current);
            // Once the budget is spent, the report is ignored.
            if !self.handle.status().is_fresh() {
                self.shared.lock().reference.reports();
            }
        }
    }

    fn set_credential(&self) {
        let mut state = self.shared.lock();
        let lifetime = state.lifetime;
        let token = state.reference.sets_credential(lifetime);
        drop(state);
        self.handle.set_credential(issued(token, lifetime));
    }

    async fn log_out(&mut self) {
        let handle = self.handle.clone();
        let mut log_out = Box::pin(async move { handle.log_out().await.unwrap() });
        self.shared.lock().reference.logs_out();
        // From the first poll on, calls fail with the logout error.
        if poll!(&mut log_out).is_pending() {
            self.log_outs.push(tokio::spawn(log_out));
        }
    }
}
