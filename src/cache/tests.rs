//! The cache with its tasks and waiters, without a layer. Time is paused.

use std::{
    cell::{Cell, RefCell},
    future::{Future, pending},
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::{Duration, SystemTime},
};

use tokio::{
    runtime,
    sync::{Notify, oneshot},
    task::JoinSet,
    time::{Instant, advance, sleep, sleep_until, timeout},
};

use super::{Backoff, Cache, Handle, RefreshSettings, handle::CurrentCredential};
use crate::{
    credential::{Credential, RequestHeadMut},
    error::{BoxError, Error, ErrorKind, ProviderError},
    provider::{Issued, Provider, Reason, RefreshContext, RevokeContext, erase, provider_fn},
    time::MAX_LIFETIME,
};

/// A credential that can be identified by its number.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Token(usize);

impl Credential for Token {
    fn apply(&self, _: &mut RequestHeadMut<'_>) -> Result<(), BoxError> {
        Ok(())
    }

    fn is_same(&self, other: &Self) -> bool {
        self == other
    }
}

type Waiter = tokio::task::JoinHandle<Result<CurrentCredential<Token>, Error>>;
type IssueResult = Result<Issued<Token>, ProviderError>;

/// Creates a handle over a provider that receives the number of each call, counted from 1. Also
/// returns the number of calls so far.
fn handle_over<F, Fut>(issue: F) -> (Handle<Token>, Arc<AtomicUsize>)
where
    F: Fn(usize, RefreshContext<Token>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = IssueResult> + Send,
{
    handle_with(RefreshSettings::default(), issue)
}

fn handle_with<F, Fut>(settings: RefreshSettings, issue: F) -> (Handle<Token>, Arc<AtomicUsize>)
where
    F: Fn(usize, RefreshContext<Token>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = IssueResult> + Send,
{
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&calls);
    let provider = provider_fn(move |context| issue(counter.fetch_add(1, SeqCst) + 1, context));
    let cache = Cache::new(erase(provider), settings);
    (Handle::new(Arc::new(cache)), calls)
}

fn handle_of(provider: impl Provider<Credential = Token>) -> Handle<Token> {
    let cache = Cache::new(erase(provider), RefreshSettings::default());
    Handle::new(Arc::new(cache))
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn lasting(call: usize, seconds: u64) -> IssueResult {
    Ok(Issued::new(Token(call)).expires_in(secs(seconds)))
}

fn token(outcome: Result<CurrentCredential<Token>, Error>) -> usize {
    outcome.unwrap().0
}

/// Runs this many callers concurrently. Returns the result of each.
async fn storm(
    handle: &Handle<Token>,
    callers: usize,
) -> Vec<Result<CurrentCredential<Token>, Error>> {
    let mut tasks = JoinSet::new();
    for _ in 0..callers {
        let handle = handle.clone();
        tasks.spawn(async move { handle.credential().await });
    }
    tasks.join_all().await
}

/// Lets every task run as far as it can while time is paused.
async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

/// Rule 1, P1.
#[tokio::test(start_paused = true)]
async fn ten_thousand_callers_on_a_cold_cache_cause_one_refresh() {
    let (handle, calls) = handle_over(|call, _| async move {
        sleep(secs(1)).await;
        lasting(call, 3600)
    });
    let outresponse = storm(&handle, 10_000).await;
    assert!(outresponse.into_iter().all(|outcome| token(outcome) == 1));
    assert_eq!(calls.load(SeqCst), 1);
}

/// Rule 1, P1: the same holds after the expiry.
#[tokio::test(start_paused = true)]
async fn ten_thousand_callers_after_the_expiry_cause_one_refresh() {
    let (handle, calls) = handle_over(|call, context| async move {
        let expected = if call == 1 {
            Reason::Initial
        } else {
            Reason::Expired
        };
        assert_eq!(context.reason(), expected);
        sleep(secs(1)).await;
        lasting(call, 3600)
    });
    assert_eq!(token(handle.credential().await), 1);
    advance(secs(3600)).await;
    let outresponse = storm(&handle, 10_000).await;
    assert!(outresponse.into_iter().all(|outcome| token(outcome) == 2));
    assert_eq!(calls.load(SeqCst), 2);
}

/// Rule 2, P2.
#[tokio::test(start_paused = true)]
async fn dropping_the_first_caller_does_not_cancel_the_refresh() {
    let (handle, calls) = handle_over(|call, _| async move {
        sleep(secs(1)).await;
        lasting(call, 3600)
    });
    let leader = timeout(Duration::from_millis(10), handle.credential()).await;
    assert!(leader.is_err());
    assert_eq!(token(handle.credential().await), 1);
    assert_eq!(calls.load(SeqCst), 1);
}

/// P2: this holds even without waiters.
#[tokio::test(start_paused = true)]
async fn a_refresh_without_waiters_is_still_published() {
    let (handle, _) = handle_over(|call, _| async move {
        sleep(secs(1)).await;
        lasting(call, 3600)
    });
    assert!(
        timeout(Duration::from_millis(10), handle.credential())
            .await
            .is_err()
    );
    sleep(secs(2)).await;
    assert!(handle.status().is_fresh());
}

/// P3.
#[tokio::test(start_paused = true)]
async fn aborting_some_waiters_does_not_affect_the_others() {
    let (handle, calls) = handle_over(|call, _| async move {
        sleep(secs(1)).await;
        lasting(call, 3600)
    });
    let mut waiters = Vec::new();
    for _ in 0..100 {
        let handle = handle.clone();
        waiters.push(tokio::spawn(async move { handle.credential().await }));
    }
    settle().await;
    for waiter in waiters.iter().step_by(2) {
        waiter.abort();
    }
    for (index, waiter) in waiters.into_iter().enumerate() {
        if index % 2 == 1 {
            assert_eq!(token(waiter.await.unwrap()), 1);
        }
    }
    assert_eq!(calls.load(SeqCst), 1);
}

/// P3.
#[tokio::test(start_paused = true)]
async fn a_panic_fails_every_waiter_and_the_next_call_succeeds() {
    let (handle, _) = handle_over(|call, _| async move {
        sleep(secs(1)).await;
        assert!(call > 1, "the provider panics at its first call");
        lasting(call, 3600)
    });
    for outcome in storm(&handle, 100).await {
        let error = outcome.unwrap_err();
        assert!(
            format!("{error:#}").contains("the refresh task panicked"),
            "{error:#}"
        );
    }
    sleep(secs(1)).await;
    assert_eq!(token(handle.credential().await), 2);
}

/// A credential whose own code panics once.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Panics {
    IsSame,
    Clone,
}

struct Fragile {
    number: usize,
    panics: Arc<Mutex<Option<Panics>>>,
}

impl Fragile {
    fn panic_once(&self, here: Panics) {
        let mut panics = self.panics.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(panics.take_if(|it| *it == here).is_none(), "only once");
    }
}

impl Clone for Fragile {
    fn clone(&self) -> Self {
        self.panic_once(Panics::Clone);
        Self {
            number: self.number,
            panics: Arc::clone(&self.panics),
        }
    }
}

impl Credential for Fragile {
    fn apply(&self, _: &mut RequestHeadMut<'_>) -> Result<(), BoxError> {
        Ok(())
    }

    fn is_same(&self, other: &Self) -> bool {
        self.panic_once(Panics::IsSame);
        self.number == other.number
    }
}

/// P3. A committed refresh is never given up, so it must end by itself.
#[tokio::test(start_paused = true)]
async fn a_panic_of_a_credential_fails_one_refresh() {
    for here in [Panics::IsSame, Panics::Clone] {
        let panics = Arc::new(Mutex::new(None));
        let calls = AtomicUsize::new(0);
        let shared = Arc::clone(&panics);
        let provider = provider_fn(move |context: RefreshContext<Fragile>| {
            context.commit();
            let (number, panics) = (calls.fetch_add(1, SeqCst) + 1, Arc::clone(&shared));
            async move { Ok(Issued::new(Fragile { number, panics })) }
        });
        let cache = Cache::new(erase(provider), RefreshSettings::default());
        let handle = Handle::new(Arc::new(cache));
        handle.credential().await.unwrap();

        handle.invalidate();
        *panics.lock().unwrap() = Some(here);
        let error = handle.credential().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Aborted);
        sleep(secs(1)).await;
        assert!(handle.credential().await.unwrap().generation() > 1);
        timeout(secs(1), handle.log_out()).await.unwrap().unwrap();
    }
}

/// A credential that reads the status when it is dropped.
#[derive(Clone)]
struct Curious(Handle<Curious>);

impl Credential for Curious {
    fn apply(&self, _: &mut RequestHeadMut<'_>) -> Result<(), BoxError> {
        Ok(())
    }

    fn is_same(&self, _: &Self) -> bool {
        false
    }
}

impl Drop for Curious {
    fn drop(&mut self) {
        let _ = self.0.status();
    }
}

/// Credentials are dropped without holding the lock, including an initial one that arrived too
/// late.
#[tokio::test(start_paused = true)]
async fn dropping_a_credential_may_use_its_handle() {
    #[derive(Clone, Default)]
    struct Late(Arc<OnceLock<Handle<Curious>>>);

    impl Provider for Late {
        type Credential = Curious;

        async fn issue(
            &self,
            _: RefreshContext<Curious>,
        ) -> Result<Issued<Curious>, ProviderError> {
            Ok(Issued::new(Curious(self.0.get().unwrap().clone())))
        }

        fn initial(&self) -> Option<Issued<Curious>> {
            let handle = self.0.get().unwrap();
            handle.set_credential(Issued::new(Curious(handle.clone())));
            Some(Issued::new(Curious(handle.clone())))
        }
    }
    let late = Late::default();
    let cache = Cache::new(erase(late.clone()), RefreshSettings::default());
    let handle = late.0.get_or_init(|| Handle::new(Arc::new(cache)));
    assert_eq!(handle.credential().await.unwrap().generation(), 1);
    handle.invalidate();
    assert_eq!(handle.credential().await.unwrap().generation(), 2);
    handle.log_out().await.unwrap();
}

/// P3.
#[tokio::test(start_paused = true)]
async fn panicking_initial_is_called_once() {
    struct Panicking;
    impl Provider for Panicking {
        type Credential = Token;

        async fn issue(&self, _: RefreshContext<Token>) -> IssueResult {
            lasting(1, 60)
        }

        fn initial(&self) -> Option<Issued<Token>> {
            panic!("a provider's own code");
        }
    }
    let handle = handle_of(Panicking);
    let caller = handle.clone();
    let first = tokio::spawn(async move { caller.credential().await }).await;
    assert!(first.unwrap_err().is_panic());
    assert_eq!(token(handle.credential().await), 1);
}

/// Rule 3, P4.
#[tokio::test(start_paused = true)]
async fn a_thousand_waiters_get_one_failure_at_once() {
    let (handle, calls) = handle_over(|_, _| async {
        sleep(Duration::from_millis(50)).await;
        Err(ProviderError::transient("the endpoint returned 500"))
    });
    let start = Instant::now();
    for outcome in storm(&handle, 1000).await {
        let error = outcome.unwrap_err();
        assert!(error.is_provider() && !error.is_backoff(), "{error:#}");
        assert!(error.retry_after().is_some());
    }
    assert_eq!(start.elapsed(), Duration::from_millis(50));
    assert_eq!(calls.load(SeqCst), 1);
}

/// Rule 3, P5.
#[tokio::test(start_paused = true)]
async fn callers_in_the_backoff_get_the_remembered_error_at_once() {
    let (handle, calls) = handle_over(|call, _| async move {
        if call == 1 {
            let error = ProviderError::transient("too many requests");
            return Err(error.with_retry_after(secs(7)));
        }
        lasting(call, 3600)
    });
    assert!(handle.credential().await.is_err());
    let start = Instant::now();
    for outcome in storm(&handle, 100).await {
        let error = outcome.unwrap_err();
        assert!(error.is_backoff() && error.is_provider());
        assert_eq!(error.retry_after(), Some(secs(7)));
        assert_eq!(
            format!("{error:#}"),
            "failed to get a credential (remembered from the last attempt): temporary provider error: too many requests"
        );
    }
    assert_eq!((start.elapsed(), calls.load(SeqCst)), (Duration::ZERO, 1));
    advance(secs(7)).await;
    assert_eq!(token(handle.credential().await), 2);
}

/// Recovery: callers fail for less than a second after a failed token request, and for less than
/// five after a rejected one.
#[tokio::test(start_paused = true)]
async fn callers_succeed_soon_after_one_failure() {
    for (error, limit) in [
        (
            ProviderError::transient as fn(&'static str) -> ProviderError,
            secs(1),
        ),
        (ProviderError::permanent, secs(5)),
    ] {
        let (handle, _) = handle_over(move |call, _| async move {
            if call == 1 {
                Err(error("it failed"))
            } else {
                lasting(call, 3600)
            }
        });
        let start = Instant::now();
        while handle.credential().await.is_err() {
            sleep(Duration::from_millis(10)).await;
        }
        assert!(start.elapsed() < limit, "{:?}", start.elapsed());
    }
}

/// Rule 3.
#[tokio::test(start_paused = true)]
async fn only_new_credentials_end_login_required() {
    let (handle, calls) = handle_over(|call, _| async move {
        if call == 1 {
            Err(ProviderError::login_required("revoked"))
        } else {
            lasting(call, 60)
        }
    });
    assert!(handle.credential().await.unwrap_err().is_login_required());
    sleep(secs(1_000_000)).await;
    let error = handle.credential().await.unwrap_err();
    assert!(error.is_login_required() && error.is_backoff() && error.retry_after().is_none());
    assert_eq!(calls.load(SeqCst), 1);
    handle.set_credential(Issued::new(Token(7)));
    assert_eq!(token(handle.credential().await), 7);
    handle.invalidate();
    assert_eq!(token(handle.credential().await), 2);
}

#[tokio::test(start_paused = true)]
async fn resuming_allows_attempts_again() {
    let (handle, _) = handle_over(|call, _| async move {
        if call == 1 {
            Err(ProviderError::login_required("revoked"))
        } else {
            lasting(call, 60)
        }
    });
    assert!(handle.credential().await.is_err());
    handle.resume();
    assert_eq!(token(handle.credential().await), 2);
}

/// Rules 4 and 12, P6.
#[tokio::test(start_paused = true)]
async fn a_failed_early_refresh_keeps_the_valid_credential() {
    let (handle, calls) = handle_over(|call, context| async move {
        if call == 1 {
            return lasting(call, 3600);
        }
        assert_eq!(context.reason(), Reason::Early);
        Err(ProviderError::permanent("invalid_client"))
    });
    assert_eq!(token(handle.credential().await), 1);
    advance(secs(3400)).await;
    let until_closing = Instant::now() + secs(180);
    while Instant::now() < until_closing {
        let start = Instant::now();
        assert_eq!(token(handle.credential().await), 1);
        assert_eq!(start.elapsed(), Duration::ZERO, "no caller waits");
        sleep(Duration::from_millis(100)).await;
    }
    let calls = calls.load(SeqCst);
    assert!(
        (3..10).contains(&calls),
        "attempts continue, with backoff: {calls}"
    );
}

/// Rule 12.
#[tokio::test(start_paused = true)]
async fn an_expiring_credential_is_used_if_the_refresh_fails() {
    let (handle, calls) = handle_over(|call, _| async move {
        if call == 1 {
            return lasting(call, 3600);
        }
        sleep(secs(1)).await;
        Err(ProviderError::transient("no response"))
    });
    assert_eq!(token(handle.credential().await), 1);
    advance(secs(3592)).await;
    let start = Instant::now();
    assert_eq!(
        token(handle.credential().await),
        1,
        "it failed, and the old credential is valid"
    );
    assert_eq!((start.elapsed(), calls.load(SeqCst)), (secs(1), 2));
    advance(secs(7)).await;
    let error = handle.credential().await.unwrap_err();
    assert!(error.is_provider(), "expired: {error:#}");
}

/// Rules 4 and 11: only a credential that is still valid is used when a refresh has failed.
#[tokio::test(start_paused = true)]
async fn an_expired_or_invalidated_credential_is_not_a_fallback() {
    let (handle, _) = handle_over(|call, _| async move {
        if call == 1 {
            return lasting(call, 3600);
        }
        sleep(secs(3)).await;
        Err(ProviderError::transient("no response"))
    });
    assert_eq!(token(handle.credential().await), 1);
    sleep(secs(3591)).await;
    for invalidated in [true, false] {
        let waiting = handle.clone();
        let waiting = tokio::spawn(async move { waiting.credential().await });
        sleep(secs(1)).await;
        if invalidated {
            handle.invalidate();
        }
        assert!(waiting.await.unwrap().unwrap_err().is_provider());
        // The credential is now in the last half second before its expiry.
        handle.set_credential(lasting(1, 10).unwrap());
        sleep(Duration::from_millis(9_800)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_credential_reports_its_generation_and_expiry() {
    let (handle, _) = handle_over(|call, _| async move {
        match call {
            3 => Ok(Issued::new(Token(call))),
            _ => lasting(call, 3600),
        }
    });
    for generation in [1, 2] {
        let before = SystemTime::now();
        let current = handle.credential().await.unwrap();
        assert_eq!(current.generation(), generation);
        let until = current.expires_at().unwrap();
        assert!((before + secs(3600)..=SystemTime::now() + secs(3600)).contains(&until));
        let shown = format!("{current:?} {handle:?}");
        let expected =
            format!("CurrentCredential {{ generation: {generation}, .. }} Handle {{ .. }}");
        assert_eq!(shown, expected);
        handle.invalidate();
    }
    assert_eq!(handle.credential().await.unwrap().expires_at(), None);
}

/// Rule 12.
#[tokio::test(start_paused = true)]
async fn one_caller_starts_the_early_refresh_and_no_caller_waits() {
    let (handle, calls) = handle_over(|call, _| async move {
        sleep(secs(2)).await;
        lasting(call, 3600)
    });
    assert_eq!(token(handle.credential().await), 1);
    advance(secs(3500)).await;
    let start = Instant::now();
    let outresponse = storm(&handle, 1000).await;
    assert!(outresponse.into_iter().all(|outcome| token(outcome) == 1));
    assert_eq!((start.elapsed(), calls.load(SeqCst)), (Duration::ZERO, 2));
    sleep(secs(3)).await;
    assert_eq!(token(handle.credential().await), 2);
}

/// Rule 12, P8: the server returns the same token again with its remaining lifetime.
#[tokio::test(start_paused = true)]
async fn an_early_refresh_to_the_same_credential_is_not_repeated() {
    let start = Instant::now();
    let (handle, calls) = handle_over(move |_, _| async move {
        Ok(Issued::new(Token(1)).expires_in(secs(3600).saturating_sub(start.elapsed())))
    });
    let mut generations = Vec::new();
    while start.elapsed() < secs(3585) {
        let current = handle.credential().await.unwrap();
        generations.push(current.generation());
        sleep(secs(1)).await;
    }
    assert_eq!(
        calls.load(SeqCst),
        2,
        "the initial refresh, and one early refresh"
    );
    assert!(generations.iter().all(|generation| *generation == 1));
}

/// Rule 11, P8.
#[tokio::test(start_paused = true)]
async fn no_lifetime_causes_a_refresh_loop() {
    for lifetime in [0, 1, 50, 900, 1000, 1500].map(Duration::from_millis) {
        let (handle, calls) =
            handle_over(
                move |call, _| async move { Ok(Issued::new(Token(call)).expires_in(lifetime)) },
            );
        let end = Instant::now() + secs(60);
        while Instant::now() < end {
            handle.credential().await.unwrap();
            sleep(Duration::from_millis(5)).await;
        }
        let calls = calls.load(SeqCst);
        assert!(
            (38..=61).contains(&calls),
            "{calls} refreshes for {lifetime:?}"
        );
    }
}

/// Rule 11.
#[tokio::test(start_paused = true)]
async fn waiters_use_the_new_credential_even_if_it_has_expired() {
    let (handle, calls) = handle_over(|call, _| async move {
        sleep(secs(5)).await;
        lasting(call, 2)
    });
    for outcome in storm(&handle, 100).await {
        assert_eq!(token(outcome), 1);
    }
    assert_eq!(calls.load(SeqCst), 1);
}

/// P9.
#[tokio::test(start_paused = true)]
async fn a_new_credential_never_inherits_an_old_expiry() {
    let (handle, calls) = handle_over(|call, _| async move {
        if call == 1 {
            lasting(call, 60)
        } else {
            Ok(Issued::new(Token(call)))
        }
    });
    assert_eq!(token(handle.credential().await), 1);
    advance(secs(60)).await;
    assert_eq!(token(handle.credential().await), 2);
    advance(secs(1_000_000)).await;
    assert_eq!(token(handle.credential().await), 2);
    assert_eq!(calls.load(SeqCst), 2);
    assert_eq!(handle.credential().await.unwrap().expires_at(), None);
}

thread_local! {
    static WALL_AHEAD: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

fn wall_clock() -> SystemTime {
    SystemTime::now() + WALL_AHEAD.get()
}

/// Rule 11, P11: the monotonic clock stands still while the machine is suspended.
#[tokio::test(start_paused = true)]
async fn a_suspended_machine_does_not_use_an_expired_credential() {
    let provider = provider_fn(|context: RefreshContext<Token>| async move {
        lasting(
            context.previous().map_or(1, |previous| previous.0 + 1),
            3600,
        )
    });
    let mut cache = Cache::new(erase(provider), RefreshSettings::default());
    cache.wall_clock = wall_clock;
    let handle = Handle::new(Arc::new(cache));
    assert_eq!(token(handle.credential().await), 1);
    WALL_AHEAD.set(secs(4000));
    advance(Duration::from_millis(100)).await;
    assert_eq!(token(handle.credential().await), 2);
    // A clock jump in either direction causes at most one refresh.
    for ahead in [4000, 0, 100_000, 100_000, 50_000] {
        WALL_AHEAD.set(secs(ahead));
        advance(secs(1)).await;
        handle.credential().await.unwrap();
        advance(secs(1)).await;
    }
    assert_eq!(token(handle.credential().await), 3);
}

/// Records the calls of a logout.
#[derive(Default)]
struct Revocations {
    calls: AtomicUsize,
    release: Notify,
    revoked: Mutex<Vec<Token>>,
    fails: bool,
}

impl Provider for Arc<Revocations> {
    type Credential = Token;

    async fn issue(&self, _: RefreshContext<Token>) -> IssueResult {
        let call = self.calls.fetch_add(1, SeqCst) + 1;
        self.release.notified().await;
        lasting(call, 3600)
    }

    async fn revoke(&self, context: RevokeContext<Token>) -> Result<(), ProviderError> {
        self.revoked
            .lock()
            .unwrap()
            .extend_from_slice(context.credentials());
        if self.fails {
            Err(ProviderError::transient("the store is down"))
        } else {
            Ok(())
        }
    }
}

/// P12, P58.
#[tokio::test(start_paused = true)]
async fn logout_during_a_refresh_wins() {
    let provider = Arc::new(Revocations::default());
    let handle = handle_of(Arc::clone(&provider));
    provider.release.notify_one();
    assert_eq!(token(handle.credential().await), 1);
    handle.invalidate();

    let waiter = tokio::spawn({
        let handle = handle.clone();
        async move { handle.credential().await }
    });
    settle().await;
    let log_out = tokio::spawn({
        let handle = handle.clone();
        async move { handle.log_out().await }
    });
    settle().await;
    assert!(
        !log_out.is_finished(),
        "it waits for the exchange in progress"
    );
    assert!(handle.credential().await.unwrap_err().is_logged_out());
    provider.release.notify_one();
    log_out.await.unwrap().unwrap();

    assert!(waiter.await.unwrap().unwrap_err().is_logged_out());
    assert_eq!(*provider.revoked.lock().unwrap(), [Token(1), Token(2)]);
    assert!(handle.credential().await.unwrap_err().is_logged_out());
    assert_eq!(handle.status().to_string(), "logged out");
    assert_eq!(
        provider.calls.load(SeqCst),
        2,
        "no refresh while logged out"
    );

    handle.resume();
    provider.release.notify_one();
    assert_eq!(token(handle.credential().await), 3);
}

/// P58.
#[tokio::test(start_paused = true)]
async fn a_failed_revocation_is_reported_and_the_cache_emptied() {
    let provider = Arc::new(Revocations {
        fails: true,
        ..Revocations::default()
    });
    let handle = handle_of(Arc::clone(&provider));
    handle.set_credential(Issued::new(Token(9)));
    let error = handle.log_out().await.unwrap_err();
    assert_eq!(
        format!("{error:#}"),
        "logged out locally, but the provider failed to revoke the credential: temporary provider error: the store is down"
    );
    assert!(handle.credential().await.unwrap_err().is_logged_out());
    handle.set_credential(Issued::new(Token(10)));
    assert_eq!(token(handle.credential().await), 10);
}

/// P58: dropping the caller does not stop the revocation.
#[tokio::test(start_paused = true)]
async fn a_logout_continues_when_its_caller_is_dropped() {
    let provider = Arc::new(Revocations::default());
    let handle = handle_of(Arc::clone(&provider));
    assert!(timeout(secs(1), handle.credential()).await.is_err());
    assert!(timeout(secs(1), handle.log_out()).await.is_err());
    provider.release.notify_one();
    settle().await;
    assert_eq!(*provider.revoked.lock().unwrap(), [Token(1)]);
}

#[tokio::test(start_paused = true)]
async fn a_set_credential_wins_over_the_refresh_in_flight() {
    let provider = Arc::new(Revocations::default());
    let handle = handle_of(Arc::clone(&provider));
    let waiter = tokio::spawn({
        let handle = handle.clone();
        async move { handle.credential().await }
    });
    settle().await;
    handle.set_credential(Issued::new(Token(9)));
    assert_eq!(token(handle.credential().await), 9);
    provider.release.notify_one();
    assert_eq!(token(waiter.await.unwrap()), 9);
    assert_eq!(token(handle.credential().await), 9);
}

/// Rule 5, P15, P56.
#[tokio::test(start_paused = true)]
async fn a_thousand_reports_of_one_generation_cause_one_refresh() {
    let (handle, calls) = handle_over(|call, _| async move {
        sleep(secs(1)).await;
        lasting(call, 3600)
    });
    let first = handle.credential().await.unwrap();
    let mut tasks = JoinSet::new();
    for late in 0..1000 {
        let (handle, first) = (handle.clone(), first.clone());
        tasks.spawn(async move {
            sleep(Duration::from_millis(late * 3)).await;
            handle.reject(&first);
            handle.credential().await
        });
    }
    assert!(
        tasks
            .join_all()
            .await
            .into_iter()
            .all(|outcome| token(outcome) == 2)
    );
    assert_eq!(calls.load(SeqCst), 2);
}

/// Rule 7, P56.
#[tokio::test(start_paused = true)]
async fn reports_beyond_the_budget_do_nothing() {
    let (handle, calls) = handle_over(|call, _| async move { lasting(call, 3600) });
    for _ in 0..100 {
        let current = handle.credential().await.unwrap();
        handle.reject(&current);
    }
    handle.credential().await.unwrap();
    assert_eq!(
        calls.load(SeqCst),
        2,
        "the initial refresh, and one for a credential that was never accepted"
    );
}

/// Rule 7: the budget counts rejected credentials, not reports.
#[tokio::test(start_paused = true)]
async fn reports_of_one_credential_are_one_rejection() {
    let (handle, calls) = handle_over(|call, _| async move { lasting(call, 3600) });
    for refreshes in 1..=5 {
        let current = handle.credential().await.unwrap();
        handle.cache.accept(current.generation());
        for _ in 0..10 {
            handle.reject(&current);
        }
        assert_eq!(calls.load(SeqCst), refreshes);
    }
    assert_eq!(token(handle.credential().await), 6);
}

/// A report neither starts a second refresh nor causes errors while no attempt is due.
#[tokio::test(start_paused = true)]
async fn reports_during_a_refresh_or_its_backoff_do_nothing() {
    let (handle, calls) = handle_over(|call, _| async move {
        if call == 1 {
            return lasting(call, 3600);
        }
        sleep(secs(2)).await;
        Err(ProviderError::permanent("invalid_client"))
    });
    let current = handle.credential().await.unwrap();
    sleep(secs(3500)).await;
    for refreshing in [true, false] {
        assert_eq!(token(handle.credential().await), 1);
        assert_eq!(handle.status().refreshing().is_some(), refreshing);
        handle.reject(&current);
        assert!(handle.status().is_fresh());
        sleep(secs(3)).await;
    }
    assert_eq!(calls.load(SeqCst), 2);
    handle.reject(&current);
    assert!(!handle.status().is_fresh(), "the next attempt is due");
}

#[tokio::test(start_paused = true)]
async fn reports_of_a_permanent_credential_do_nothing() {
    let (handle, calls) = handle_over(|call, _| async move { Ok(Issued::permanent(Token(call))) });
    let current = handle.credential().await.unwrap();
    handle.reject(&current);
    assert!(handle.status().is_fresh());
    assert_eq!(token(handle.credential().await), 1);
    assert_eq!(calls.load(SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn an_invalidated_credential_is_refreshed_before_its_next_use() {
    let (handle, calls) = handle_over(|call, context| async move {
        let expected = if call == 1 {
            Reason::Initial
        } else {
            Reason::Invalidated
        };
        assert_eq!(context.reason(), expected);
        Ok(Issued::new(Token(call)))
    });
    handle.invalidate();
    assert_eq!(token(handle.credential().await), 1);
    handle.invalidate();
    assert_eq!(token(handle.credential().await), 2);
    assert_eq!(token(handle.credential().await), 2);
    assert_eq!(calls.load(SeqCst), 2);
}

/// Rule 2: recovery from a token endpoint that hangs, within the refresh timeout.
#[tokio::test(start_paused = true)]
async fn a_hanging_provider_is_dropped_at_the_timeout() {
    let (handle, _) = handle_over(|call, context| async move {
        assert_eq!(context.deadline(), Instant::now() + secs(10));
        if call == 1 {
            pending().await
        } else {
            lasting(call, 3600)
        }
    });
    let start = Instant::now();
    for outcome in storm(&handle, 100).await {
        assert!(outcome.unwrap_err().is_timeout());
    }
    assert_eq!(start.elapsed(), secs(10));
    assert!(handle.status().failing().is_some());
    while handle.credential().await.is_err() {
        sleep(Duration::from_millis(10)).await;
    }
    assert!(start.elapsed() < secs(11), "{:?}", start.elapsed());
}

/// Rule 2: a rotated token is never lost between the server's response and the store.
#[tokio::test(start_paused = true)]
async fn a_committed_refresh_is_not_dropped_at_the_timeout() {
    let (handle, calls) = handle_over(|call, context| async move {
        context.commit();
        sleep(secs(25)).await;
        lasting(call, 3600)
    });
    let start = Instant::now();
    assert!(handle.credential().await.unwrap_err().is_timeout());
    assert_eq!(start.elapsed(), secs(10));
    while handle.credential().await.is_err() {
        sleep(Duration::from_millis(100)).await;
    }
    assert_eq!((start.elapsed().as_secs(), calls.load(SeqCst)), (25, 1));
}

/// P10.
#[tokio::test(start_paused = true)]
async fn a_provider_cannot_wait_for_its_own_credential() {
    let slot = Arc::new(Mutex::new(None::<Handle<Token>>));
    let own = Arc::clone(&slot);
    let (handle, _) = handle_over(move |_, _| {
        let own = own.lock().unwrap().clone().unwrap();
        async move {
            let error = own.credential().await.unwrap_err();
            Err(ProviderError::permanent(error))
        }
    });
    *slot.lock().unwrap() = Some(handle.clone());
    let start = Instant::now();
    let error = handle.credential().await.unwrap_err();
    assert!(format!("{error:#}").contains("give the provider an HTTP client without this layer"));
    assert_eq!(start.elapsed(), Duration::ZERO);
}

/// The token request itself needs a token from another server.
#[tokio::test(start_paused = true)]
async fn a_provider_may_wait_for_the_credential_of_another_cache() {
    let (other, _) = handle_over(|call, _| async move {
        sleep(secs(1)).await;
        lasting(10 + call, 3600)
    });
    let (handle, _) = handle_over(move |_, _| {
        let other = other.clone();
        async move {
            let outer = other.credential().await.map_err(ProviderError::permanent)?;
            lasting(100 + outer.0, 3600)
        }
    });
    assert_eq!(token(handle.credential().await), 111);
}

#[tokio::test(start_paused = true)]
async fn the_initial_credential_is_used_without_a_refresh() {
    struct AtHand;
    impl Provider for AtHand {
        type Credential = Token;

        async fn issue(&self, _: RefreshContext<Token>) -> IssueResult {
            lasting(2, 3600)
        }

        fn initial(&self) -> Option<Issued<Token>> {
            Some(Issued::new(Token(1)).expires_in(secs(60)))
        }
    }
    let handle = handle_of(AtHand);
    assert_eq!(token(handle.credential().await), 1);
    advance(secs(60)).await;
    assert_eq!(token(handle.credential().await), 2);
}

/// User code may use the handle, which would deadlock under the lock.
#[test]
fn user_code_runs_without_the_lock() {
    thread_local! {
        static HANDLE: RefCell<Option<Handle<UsesHandle>>> = const { RefCell::new(None) };
    }
    fn use_handle() {
        HANDLE.with_borrow(|handle| handle.as_ref().map(Handle::status));
    }
    #[derive(Debug)]
    struct UsesHandle;
    impl Clone for UsesHandle {
        fn clone(&self) -> Self {
            use_handle();
            Self
        }
    }
    impl Credential for UsesHandle {
        fn apply(&self, _: &mut RequestHeadMut<'_>) -> Result<(), BoxError> {
            Ok(())
        }

        fn is_same(&self, _: &Self) -> bool {
            use_handle();
            true
        }
    }
    impl Provider for UsesHandle {
        type Credential = Self;

        async fn issue(&self, _: RefreshContext<Self>) -> Result<Issued<Self>, ProviderError> {
            Ok(Issued::new(Self))
        }

        fn initial(&self) -> Option<Issued<Self>> {
            use_handle();
            Some(Issued::new(Self))
        }
    }
    let (done, wait) = std::sync::mpsc::channel();
    thread::spawn(move || {
        let cache = Cache::new(erase(UsesHandle), RefreshSettings::default());
        let handle = Handle::new(Arc::new(cache));
        HANDLE.set(Some(handle.clone()));
        small_runtime().block_on(async {
            for _ in 0..3 {
                handle.credential().await.unwrap();
                handle.set_credential(Issued::new(UsesHandle));
                handle.invalidate();
            }
            handle.log_out().await.unwrap();
        });
        done.send(()).unwrap();
    });
    assert!(wait.recv_timeout(secs(10)).is_ok(), "a deadlock");
}

#[tokio::test(start_paused = true)]
async fn settings_take_effect() {
    let settings = RefreshSettings::default()
        .backoff(Backoff::default().transient(secs(100), secs(100)))
        .default_lifetime(secs(50))
        .early_refresh(None);
    let (handle, _) = handle_with(settings, |call, _| async move {
        if call == 1 {
            Err(ProviderError::transient("x"))
        } else {
            Ok(Issued::new(Token(call)))
        }
    });
    assert!(
        handle
            .credential()
            .await
            .unwrap_err()
            .retry_after()
            .unwrap()
            > secs(1)
    );
    handle.resume();
    assert_eq!(token(handle.credential().await), 2);
    advance(secs(47)).await;
    assert_eq!(token(handle.credential().await), 2, "no early refresh");
    advance(secs(3)).await;
    assert_eq!(token(handle.credential().await), 3);
}

/// No setting may cause an overflow when times are added.
#[tokio::test(start_paused = true)]
async fn extreme_settings_do_not_overflow_times() {
    let max = Duration::MAX;
    let settings = RefreshSettings::default()
        .early_refresh(max)
        .default_lifetime(max)
        .refresh_timeout(max)
        .backoff(Backoff::default().permanent(max, max));
    let (handle, _) = handle_with(settings, |call, _| async move {
        if call == 1 {
            Err(ProviderError::permanent("x"))
        } else {
            Ok(Issued::new(Token(call)))
        }
    });
    let error = handle.credential().await.unwrap_err();
    assert_eq!(error.retry_after(), Some(MAX_LIFETIME));
    handle.resume();
    assert_eq!(token(handle.credential().await), 2);
}

#[tokio::test(start_paused = true)]
async fn the_status_describes_the_credential_and_failures() {
    let (handle, _) = handle_over(|call, _| async move {
        sleep(secs(1)).await;
        if call == 1 {
            lasting(call, 3600)
        } else {
            Err(ProviderError::transient("no route"))
        }
    });
    assert_eq!(handle.status().to_string(), "none");
    let first = tokio::spawn({
        let handle = handle.clone();
        async move { handle.credential().await.map(drop) }
    });
    settle().await;
    assert_eq!(handle.status().to_string(), "none, refreshing (initial)");
    assert_eq!(handle.status().refreshing(), Some(Reason::Initial));
    assert_eq!(handle.status().generation(), None);
    first.await.unwrap().unwrap();
    let status = handle.status();
    assert_eq!(status.to_string(), "fresh for 59m 59s (generation 1)");
    assert!(status.is_fresh() && status.fresh_until().is_some());
    assert_eq!((status.generation(), status.refreshing()), (Some(1), None));
    advance(secs(3600)).await;
    assert!(handle.credential().await.is_err());
    let status = handle.status();
    assert_eq!(
        status.to_string(),
        "expired (generation 1), failing for 0s: failed to get a credential: temporary provider error: no route"
    );
    assert!(!status.is_fresh() && status.failing().is_some());
    assert!(status.fresh_until().is_none() && !status.is_logged_out());
    handle.log_out().await.unwrap();
    let status = handle.status();
    assert_eq!(status.to_string(), "logged out");
    assert!(status.is_logged_out() && status.generation().is_none());
    handle.set_credential(lasting(7, 3600).unwrap());
    assert_eq!(handle.status().generation(), Some(2));
}

/// Requests read a fresh credential without locking. After 100 ms, one of them checks it.
#[tokio::test(start_paused = true)]
async fn a_fresh_credential_is_read_without_a_lock() {
    let (handle, _) = handle_over(|call, _| async move {
        match call {
            1 => lasting(call, 3600),
            _ => Ok(Issued::new(Token(call))),
        }
    });
    let is_fresh = || handle.cache.fresh().is_some();
    for _ in 0..3 {
        let current = handle.credential().await.unwrap();
        assert!(is_fresh() && handle.cache.is_fresh(&current.snapshot));
        advance(Duration::from_millis(99)).await;
        assert!(is_fresh() && handle.cache.is_fresh(&current.snapshot));
        advance(Duration::from_millis(2)).await;
        assert!(!is_fresh() && !handle.cache.is_fresh(&current.snapshot));
    }
    handle.invalidate();
    assert!(!is_fresh());
    handle.credential().await.unwrap();
    advance(secs(1_000_000)).await;
    assert!(is_fresh(), "it does not expire");
}

#[test]
fn a_call_without_a_runtime_fails_without_a_panic() {
    let (handle, calls) = handle_over(|call, _| async move { lasting(call, 3600) });
    let error = futures::executor::block_on(handle.credential()).unwrap_err();
    assert!(
        format!("{error:#}").contains("a refresh needs a tokio runtime"),
        "{error:#}"
    );
    assert_eq!(calls.load(SeqCst), 0);
}

fn small_runtime() -> runtime::Runtime {
    runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

/// P7.
#[test]
fn a_dropped_runtime_fails_waiters_and_the_next_call_works() {
    let (handle, _) = handle_over(|call, _| async move {
        if call == 1 {
            pending().await
        } else {
            lasting(call, 3600)
        }
    });
    let first = small_runtime();
    first.block_on(async {
        assert!(
            timeout(Duration::from_millis(1), handle.credential())
                .await
                .is_err()
        );
    });
    let second = small_runtime();
    let waiter = second.spawn({
        let handle = handle.clone();
        async move { handle.credential().await }
    });
    second.block_on(settle());
    drop(first);
    let error = second.block_on(waiter).unwrap().unwrap_err();
    assert!(
        format!("{error:#}").contains("its runtime was shut down"),
        "{error:#}"
    );
    handle.resume();
    assert_eq!(token(second.block_on(handle.credential())), 2);
}

/// P7: a runtime that is shutting down drops a new task immediately.
#[test]
fn a_call_during_runtime_shutdown_fails_without_a_deadlock() {
    struct AsksWhenDropped(Handle<Token>, std::sync::mpsc::Sender<Option<Error>>);
    impl Drop for AsksWhenDropped {
        fn drop(&mut self) {
            let mut asking = std::pin::pin!(self.0.credential());
            let waker = std::task::Waker::noop();
            let poll = asking
                .as_mut()
                .poll(&mut std::task::Context::from_waker(waker));
            let error = match poll {
                std::task::Poll::Ready(outcome) => outcome.err(),
                std::task::Poll::Pending => None,
            };
            self.1.send(error).unwrap();
        }
    }
    let (handle, _) = handle_over(|call, _| async move { lasting(call, 3600) });
    let (sender, receiver) = std::sync::mpsc::channel();
    let runtime = small_runtime();
    let last_question = AsksWhenDropped(handle, sender);
    runtime.spawn(async move {
        let _last_question = last_question;
        pending::<()>().await;
    });
    runtime.block_on(settle());
    drop(runtime);
    let error = receiver.recv().unwrap().expect("an error at once");
    assert!(
        format!("{error:#}").contains("failed to get a credential"),
        "{error:#}"
    );
}

/// Creates a refresh that is committed and never ends, and a waiter for it.
fn waiting_for_a_committed_refresh() -> (Handle<Token>, Waiter) {
    let (handle, _) = handle_over(|_, context| async move {
        context.commit();
        pending().await
    });
    let waiting = handle.clone();
    let waiting = tokio::spawn(async move { waiting.credential().await });
    (handle, waiting)
}

/// The refresh continues, but its waiters stop waiting.
#[tokio::test(start_paused = true)]
async fn a_set_credential_reaches_waiters_at_once() {
    let start = Instant::now();
    let (handle, waiting) = waiting_for_a_committed_refresh();
    sleep(secs(1)).await;
    handle.set_credential(lasting(7, 3600).unwrap());
    assert_eq!(token(waiting.await.unwrap()), 7);
    assert_eq!(start.elapsed(), secs(1));
    // The cache is empty, and the refresh in flight belongs to an earlier epoch.
    handle.invalidate();
    let error = handle.credential().await.unwrap_err();
    assert!(error.is_timeout(), "{error:#}");
    assert_eq!(start.elapsed(), secs(10));
}

/// Rule 3: a failure belongs to the epoch in which the refresh was started.
#[tokio::test(start_paused = true)]
async fn an_older_refresh_does_not_fail_new_credentials() {
    let (handle, calls) = handle_over(|call, _| async move {
        if call > 1 {
            return lasting(call, 3600);
        }
        sleep(secs(1)).await;
        Err(ProviderError::login_required("log in"))
    });
    let waiting = handle.clone();
    let waiting = tokio::spawn(async move { waiting.credential().await });
    settle().await;
    handle.set_credential(lasting(7, 3600).unwrap());
    assert_eq!(token(waiting.await.unwrap()), 7);
    sleep(secs(2)).await;
    assert!(handle.status().failing().is_none());
    handle.invalidate();
    assert_eq!(token(handle.credential().await), 2);
    assert_eq!(calls.load(SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn a_logout_reaches_waiters_at_once() {
    let start = Instant::now();
    let (handle, waiting) = waiting_for_a_committed_refresh();
    sleep(secs(1)).await;
    tokio::spawn(async move { handle.log_out().await });
    assert!(waiting.await.unwrap().unwrap_err().is_logged_out());
    assert_eq!(start.elapsed(), secs(1));
}

/// Rule 4, while a refresh of an earlier epoch is overdue.
#[tokio::test(start_paused = true)]
async fn a_set_credential_lasts_despite_an_overdue_refresh() {
    let start = Instant::now();
    let (handle, waiting) = waiting_for_a_committed_refresh();
    sleep(Duration::from_millis(300)).await;
    handle.set_credential(lasting(7, 10).unwrap());
    assert_eq!(token(waiting.await.unwrap()), 7);
    // In the last half second, callers wait for a refresh, here up to the deadline of the older
    // one.
    for (at, end) in [(9_900, 10_000), (10_200, 10_200)] {
        sleep_until(start + Duration::from_millis(at)).await;
        assert_eq!(token(handle.credential().await), 7);
        assert_eq!(start.elapsed(), Duration::from_millis(end));
    }
    sleep(Duration::from_millis(100)).await;
    assert!(handle.credential().await.unwrap_err().is_timeout());
    assert!(handle.status().failing().is_none());
}

/// Rule 2: a caller that runs first after a stall does not end a refresh whose result is ready to
/// be read.
#[test]
fn a_runtime_blocked_past_the_deadline_loses_no_result() {
    for committed in [false, true] {
        the_result_after_a_stall_is_used(committed);
    }
}

fn the_result_after_a_stall_is_used(committed: bool) {
    let (respond, response) = oneshot::channel();
    let response = Mutex::new(Some(response));
    // The test runs in real time, so the timeout must be long enough for a busy machine.
    let settings = RefreshSettings::default().refresh_timeout(secs(1));
    let (handle, calls) = handle_with(settings, move |call, context| {
        let response = response.lock().unwrap().take();
        async move {
            if committed {
                context.commit();
            }
            response.expect("one call").await.unwrap();
            lasting(call, 3600)
        }
    });
    small_runtime().block_on(async {
        let waiting = handle.clone();
        let waiting = tokio::spawn(async move { waiting.credential().await });
        settle().await;
        respond.send(()).unwrap();
        #[expect(clippy::disallowed_methods, reason = "it has to block the runtime")]
        thread::sleep(Duration::from_millis(1200));
        assert_eq!(token(handle.credential().await), 1);
        assert_eq!(token(waiting.await.unwrap()), 1);
    });
    assert_eq!(calls.load(SeqCst), 1);
}

/// P7: the runtime of the refresh exists, but no thread drives it.
#[test]
fn a_runtime_that_is_not_driven_blocks_callers_briefly() {
    let (respond, response) = oneshot::channel();
    let response = Mutex::new(Some(response));
    let continued = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&continued);
    // The test runs in real time, so the timeout must be long enough for a busy machine.
    let settings = RefreshSettings::default().refresh_timeout(secs(1));
    let (handle, calls) = handle_with(settings, move |call, _| {
        let (response, counter) = (response.lock().unwrap().take(), Arc::clone(&counter));
        async move {
            if let Some(response) = response {
                response.await.unwrap();
                counter.fetch_add(1, SeqCst);
            }
            lasting(call, 3600)
        }
    });
    let still = small_runtime();
    still.block_on(async {
        assert!(
            timeout(Duration::from_millis(1), handle.credential())
                .await
                .is_err()
        );
    });
    let second = small_runtime();
    assert!(
        second
            .block_on(handle.credential())
            .unwrap_err()
            .is_timeout()
    );
    second.block_on(async { sleep(Duration::from_millis(1)).await });
    assert_eq!(token(second.block_on(handle.credential())), 2);
    assert_eq!(calls.load(SeqCst), 2);
    // The runtime is driven again: the abandoned refresh does not continue.
    respond.send(()).unwrap();
    still.block_on(settle());
    assert_eq!(continued.load(SeqCst), 0);
    drop(still);
    assert_eq!(token(second.block_on(handle.credential())), 2);
}

/// P7.
#[tokio::test(start_paused = true)]
async fn dropping_the_last_handle_drops_the_provider() {
    struct Held(#[expect(dead_code, reason = "its references are counted")] Arc<()>);
    let held = Arc::new(());
    let in_provider = Held(Arc::clone(&held));
    let (handle, _) = handle_over(move |_, _| {
        let _held = &in_provider;
        pending()
    });
    assert!(timeout(secs(1), handle.credential()).await.is_err());
    drop(handle);
    sleep(secs(11)).await;
    assert_eq!(Arc::strong_count(&held), 1);
}
