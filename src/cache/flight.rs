//! The one refresh in progress, and those who wait for it.

use std::{
    mem,
    sync::{Arc, OnceLock},
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};

use super::{
    settings::RefreshSettings,
    shared::{Acquired, Cache},
    snapshot::Snapshot,
    sync::{AbortHandle, Mutex, REFRESHING, lock, runtime},
};
use crate::{
    challenge::Challenge,
    credential::Credential,
    error::{Error, ErrorKind, ProviderError},
    observe::{self, Outcome},
    provider::{Issued, Reason, RefreshContext, RefreshControl},
};

/// Waiters are answered by the flight at its deadline. Should it not run any more (its runtime is
/// there, but nobody drives it), they help themselves so much later.
const GRACE: Duration = Duration::from_millis(100);

/// A flight that should have ended has so much time from when that is noticed: if nothing ran for
/// a while (a runtime that was blocked, a process that was stopped), its answer may be there to
/// be read, and ending it would lose that (rule 2).
const LAST_CHANCE: Duration = Duration::from_secs(1);

/// A refresh in progress. It runs in a task of its own, so no caller's end is its end.
pub(crate) struct Flight<C> {
    pub(crate) reason: Reason,
    /// The session (see the cache) it was started in. What it brings into a later one is not used.
    pub(crate) session: u64,
    pub(crate) started_at: Instant,
    pub(crate) control: Arc<RefreshControl>,
    /// When somebody first noticed that it should have ended.
    suspected_at: OnceLock<Instant>,
    progress: watch::Sender<Progress<C>>,
    /// A credential that came after the log-out, for the one who logs out.
    unwanted: Mutex<Option<C>>,
    task: Mutex<Task>,
}

enum Task {
    NotStarted,
    Started(AbortHandle),
    /// Another flight has taken its place, so it must not get any further.
    GivenUp,
}

/// How far it has got.
enum Progress<C> {
    Flying,
    /// Callers wait no longer, but the answer is on its way.
    Overdue(Landed<C>),
    Ended(Landed<C>),
}

/// How a flight ended, for those who waited.
#[derive(Clone)]
pub(crate) enum Landed<C> {
    Published(Arc<Snapshot<C>>),
    Failed(Error),
    /// The session ended meanwhile: look at the cache again.
    Superseded,
}

impl<C> Landed<C> {
    fn outcome(&self, replaced: Option<&Snapshot<C>>) -> Outcome<'_> {
        match self {
            Self::Published(snapshot) => {
                let now = Instant::now();
                let left = |snapshot: &Snapshot<C>| {
                    let expiry = snapshot.expiry?;
                    Some(expiry.expires_at.saturating_duration_since(now))
                };
                Outcome::Success {
                    generation: snapshot.generation,
                    lifetime: left(snapshot),
                    remaining: replaced.and_then(left),
                }
            }
            Self::Failed(error) => Outcome::Failure(error),
            Self::Superseded => Outcome::Superseded,
        }
    }
}

impl<C: Credential> Flight<C> {
    /// Prepares a flight. The closure starts it; the cache calls that when it holds no lock, for a
    /// runtime that is shutting down drops a new task at once, and with it the landing.
    ///
    /// # Errors
    /// There is no runtime.
    pub(super) fn prepare(
        cache: &Arc<Cache<C>>,
        (reason, session): (Reason, u64),
        previous: Option<C>,
        challenges: Vec<Challenge>,
        settings: &RefreshSettings,
    ) -> Result<(Arc<Self>, impl FnOnce() + Send + 'static), Error> {
        let runtime =
            runtime::Handle::try_current().map_err(|_| Error::new(ErrorKind::NoRuntime))?;
        let started_at = Instant::now();
        let control = Arc::new(RefreshControl::new(started_at + settings.refresh_timeout));
        let flight = Arc::new(Self {
            reason,
            session,
            started_at,
            control: Arc::clone(&control),
            suspected_at: OnceLock::new(),
            progress: watch::Sender::new(Progress::Flying),
            unwanted: Mutex::new(None),
            task: Mutex::new(Task::NotStarted),
        });
        let context = RefreshContext::new(reason, previous, challenges, control);
        let start = {
            let (cache, flight) = (Arc::clone(cache), Arc::clone(&flight));
            let name = settings.name;
            move || {
                let id = cache.id();
                let landing = Landing {
                    cache,
                    flight: Arc::clone(&flight),
                    watched: observe::Refresh::start(name, reason, started_at),
                    done: false,
                };
                let mut task = lock(&flight.task);
                if !matches!(*task, Task::GivenUp) {
                    let started = runtime.spawn(REFRESHING.scope(id, fly(landing, context)));
                    *task = Task::Started(started.abort_handle());
                }
            }
        };
        Ok((flight, start))
    }

    /// Whether the task that asks works for that refresh itself, so that waiting would never end.
    pub(crate) fn is_awaited_by_itself(cache: &Cache<C>) -> bool {
        REFRESHING.try_with(|id| *id == cache.id()).unwrap_or(false)
    }

    /// Whether nobody drives its task: it should have ended by itself, and did not take its last
    /// chance.
    pub(super) fn is_lost(&self) -> bool {
        let now = Instant::now();
        !self.control.is_committed()
            && now > self.control.deadline + GRACE
            && now >= *self.suspected_at.get_or_init(|| now) + LAST_CHANCE
    }

    /// Ends a lost flight, also if it is just about to start.
    pub(super) fn give_up(&self) {
        let task = mem::replace(&mut *lock(&self.task), Task::GivenUp);
        if let Task::Started(task) = task {
            task.abort();
        }
    }

    /// Its session has ended: those who wait for it have to look whether they still need to.
    pub(super) fn supersede(&self) {
        self.progress.send_modify(|_| {});
    }

    /// Waits until it has ended, and takes a credential that nobody wanted any more.
    pub(super) async fn ended(&self) -> Option<C> {
        let mut progress = self.progress.subscribe();
        let ended = |progress: &Progress<C>| matches!(progress, Progress::Ended(_));
        // This flight is the sender, so the channel is open.
        let _ = progress.wait_for(ended).await;
        lock(&self.unwanted).take()
    }

    pub(super) fn keep_unwanted(&self, credential: C) {
        *lock(&self.unwanted) = Some(credential);
    }
}

/// The task: asks the provider, and tells the cache.
async fn fly<C: Credential>(landing: Landing<C>, context: RefreshContext<C>) {
    let provider = Arc::clone(landing.cache.provider());
    let control = Arc::clone(&landing.flight.control);
    let mut exchange = landing.watched.over(|| provider.issue(context));
    let mut answer = timeout_at(control.deadline, &mut exchange).await.ok();
    if answer.is_none() && control.is_committed() {
        landing.overdue();
        answer = Some((&mut exchange).await);
    }
    // What the provider holds is let go before callers hear of it.
    drop(exchange);
    landing.land(match answer {
        Some(answer) => answer.map_err(Error::provider),
        None => Err(Error::new(ErrorKind::Timeout)),
    });
}

/// Brings the answer to the cache and the waiters, also if the task is ended before it has one.
struct Landing<C: Credential> {
    cache: Arc<Cache<C>>,
    flight: Arc<Flight<C>>,
    watched: observe::Refresh,
    done: bool,
}

impl<C: Credential> Landing<C> {
    fn land(mut self, answer: Result<Issued<C>, Error>) {
        self.done = true;
        self.tell(answer);
    }

    fn tell(&self, answer: Result<Issued<C>, Error>) {
        let replaced = self.cache.last();
        let landed = self.cache.land(&self.flight, answer);
        let progress = &self.flight.progress;
        let outcome = landed.outcome(replaced.as_deref());
        self.watched.ended(&outcome, progress.receiver_count());
        progress.send_replace(Progress::Ended(landed));
    }

    /// The deadline has passed, but the answer is on its way.
    fn overdue(&self) {
        self.watched.overdue();
        let landed = self.cache.overdue(&self.flight);
        self.flight.progress.send_replace(Progress::Overdue(landed));
    }
}

impl<C: Credential> Drop for Landing<C> {
    fn drop(&mut self) {
        if !self.done {
            self.tell(Err(Error::new(ErrorKind::Aborted)));
        }
    }
}

/// A place among those who wait for a flight.
pub(crate) struct Wait<C> {
    cache: Arc<Cache<C>>,
    pub(crate) flight: Arc<Flight<C>>,
    progress: watch::Receiver<Progress<C>>,
    /// What serves if the flight fails, while it is valid.
    fallback: Option<Arc<Snapshot<C>>>,
}

impl<C: Credential> Wait<C> {
    /// To be called under the cache's lock: it hears of all that happens from then on.
    pub(super) fn new(
        cache: Arc<Cache<C>>,
        flight: Arc<Flight<C>>,
        fallback: Option<Arc<Snapshot<C>>>,
    ) -> Self {
        Self {
            cache,
            progress: flight.progress.subscribe(),
            flight,
            fallback,
        }
    }

    pub(crate) fn cache(&self) -> &Arc<Cache<C>> {
        &self.cache
    }

    /// Waits for the flight, at the longest until its deadline.
    ///
    /// # Errors
    /// The refresh failed or timed out, or the caller is the provider itself, which would wait for
    /// itself. `Cache::wait` has checked for that already, but a `Buffer` calls the service in
    /// another task than the one that polls its future.
    pub(crate) async fn outcome(mut self) -> Result<Arc<Snapshot<C>>, Error> {
        if Flight::is_awaited_by_itself(&self.cache) {
            return Err(Error::new(ErrorKind::OwnTokenRequest));
        }
        let error = loop {
            match self.news().await {
                Landed::Published(snapshot) => return Ok(snapshot),
                Landed::Failed(error) => break error,
                Landed::Superseded => match self.cache.acquire() {
                    Acquired::Use(snapshot) => return Ok(snapshot),
                    Acquired::Fail(error) => return Err(error),
                    Acquired::Wait(wait) => self = wait,
                },
            }
            // For nobody any more; the next one starts when it has ended.
            if self.is_overdue() {
                break Error::new(ErrorKind::Timeout);
            }
        };
        match self.fallback {
            Some(fallback) if self.cache.is_usable(&fallback) => Ok(fallback),
            _ => Err(error),
        }
    }

    /// How the flight ended, or that its session did.
    async fn news(&mut self) -> Landed<C> {
        if let Some(landed) = self.landed() {
            return landed;
        }
        let latest = match self.flight.suspected_at.get() {
            Some(at) => *at + LAST_CHANCE,
            None => self.flight.control.deadline + GRACE,
        };
        match timeout_at(latest, self.progress.changed()).await {
            Ok(_) => self.landed().unwrap_or(Landed::Superseded),
            // Time for the next one.
            Err(_) if self.flight.is_lost() => Landed::Superseded,
            Err(_) => Landed::Failed(Error::new(ErrorKind::Timeout)),
        }
    }

    fn landed(&self) -> Option<Landed<C>> {
        match &*self.progress.borrow() {
            Progress::Flying => None,
            Progress::Overdue(landed) | Progress::Ended(landed) => Some(landed.clone()),
        }
    }

    fn is_overdue(&self) -> bool {
        matches!(*self.progress.borrow(), Progress::Overdue(_))
    }
}

/// The error of a provider that took too long to undo things at log-out.
pub(crate) fn revoke_timed_out() -> ProviderError {
    ProviderError::transient("the provider did not answer within the refresh timeout")
}
