//! Tests in which processes and the store's server are killed repeatedly, and clocks are wrong.
//!
//! If a process dies between receiving and saving a token, that token is lost. The next use of the
//! refresh token reveals the loss, the error reports it, and the user logs in again. Nothing else
//! may be lost.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use fastrand::Rng;
use tokio::time::{Instant, sleep, timeout};
use tower_auth::store::TokenSet;

use crate::{
    EXCLUSIVE,
    backend::Backend,
    fleet::{Fleet, PROCESSES},
    server::{AuthorizationServer, Phase, Rules},
    worker::{RESUME, Settings},
};

/// Repeats the random choices of an earlier run, to the extent that the processes behave the same
/// way.
const SEED: &str = "TOWER_AUTH_FLEET_SEED";
/// The processes whose clocks are wrong, each with the number of seconds by which its clock is
/// ahead.
const CLOCK_OFFSETS: [(usize, i64); 2] = [(0, 300), (1, -300)];

/// Checks P42 and P43.
#[tokio::test(flavor = "multi_thread")]
async fn killed_processes_lose_only_unsaved_tokens_with_a_file() {
    let _exclusive = EXCLUSIVE.lock().await;
    let plan = Plan {
        kills: 100,
        aimed: 4,
        crashes: None,
    };
    Chaos::new(Backend::file(), plan).await.run().await;
}

/// Checks P42, P43 and P60. Here, the lock of a killed process is held until it expires, and calls
/// fail until then.
#[cfg(feature = "redis")]
#[tokio::test(flavor = "multi_thread")]
async fn killed_processes_lose_only_unsaved_tokens_with_redis() {
    let Some(backend) = Backend::redis() else {
        return;
    };
    let _exclusive = EXCLUSIVE.lock().await;
    let plan = Plan {
        kills: 60,
        aimed: 10,
        crashes: Some(8),
    };
    Chaos::new(backend, plan).await.run().await;
}

struct Plan {
    kills: usize,
    /// One in this many kills targets a process that is refreshing.
    aimed: usize,
    /// The store's server, if there is one, is killed together with one in this many processes.
    crashes: Option<usize>,
}

struct Chaos {
    plan: Plan,
    rng: Rng,
    backend: Backend,
    crashed: usize,
    server: AuthorizationServer,
    settings: Settings,
    fleet: Fleet,
    /// The number of times that each process has been started.
    incarnations: [usize; PROCESSES],
    /// The number of kills, by what the killed process was doing at the time.
    kills: BTreeMap<&'static str, usize>,
    /// The number of messages that have been handled.
    handled: usize,
    logins: usize,
    /// The tokens of a login that are not in the store yet.
    pending_login: Option<TokenSet>,
}

impl Chaos {
    async fn new(backend: Backend, plan: Plan) -> Self {
        let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let seed = std::env::var(SEED).ok().and_then(|seed| seed.parse().ok());
        let seed = seed.unwrap_or(time.as_millis() as u64);
        println!("{SEED}={seed}");
        let server = AuthorizationServer::start(Rules {
            lifetime: Duration::from_secs(2),
            delays: (Duration::from_millis(200), Duration::from_millis(200)),
        })
        .await;
        let settings = Settings {
            name: String::new(),
            server: server.url(),
            store: backend.address(),
            has_refresh_token: true,
            pause: Duration::from_millis(500),
            // The locks of killed processes last 8 s longer than this.
            refresh_timeout: Duration::from_secs(2),
            clock: 0,
        };
        Self {
            rng: Rng::with_seed(seed),
            plan,
            crashed: 0,
            fleet: Fleet::new(settings.clone()),
            incarnations: [0; PROCESSES],
            kills: BTreeMap::new(),
            handled: 0,
            logins: 1,
            pending_login: Some(server.log_in()),
            backend,
            server,
            settings,
        }
    }

    async fn run(mut self) {
        self.log_in_again().await;
        for index in 0..PROCESSES {
            self.start(index);
        }
        for number in 1..=self.plan.kills {
            let pause = Duration::from_millis(self.rng.u64(200..400));
            self.run_for(pause).await;
            if self.plan.crashes.is_some_and(|every| number % every == 0) {
                self.backend.crash();
                self.crashed += 1;
            }
            let victim = match number % self.plan.aimed {
                0 => self.find_refreshing(number / self.plan.aimed).await,
                _ => None,
            };
            let names = self.fleet.names();
            let victim = victim.unwrap_or_else(|| names[self.rng.usize(..names.len())].clone());
            self.kill(&victim).await;
        }
        let recovered = timeout(Duration::from_secs(60), self.recover()).await;
        self.fleet.stop().await;
        self.report();
        assert!(
            recovered.is_ok(),
            "the fleet recovers once no more processes are killed"
        );
    }

    fn start(&mut self, index: usize) {
        let name = format!("{index}.{}", self.incarnations[index]);
        self.incarnations[index] += 1;
        let clock = CLOCK_OFFSETS.iter().find(|(process, _)| *process == index);
        self.fleet.start(name, clock.map_or(0, |(_, clock)| *clock));
    }

    /// Kills a process, and starts its successor.
    async fn kill(&mut self, name: &str) {
        self.fleet.kill(name).await;
        self.fleet.listen();
        let doing = match self.server.phases().get(name) {
            Some(Phase::Asked) => "before the exchange",
            Some(Phase::Issued(_)) => "before the response",
            Some(Phase::Responded(number)) if !self.fleet.saved.contains(number) => {
                "before the save"
            }
            _ => "at other times",
        };
        *self.kills.entry(doing).or_default() += 1;
        self.server.remove(name);
        let (index, _) = name.split_once('.').unwrap();
        self.start(index.parse().unwrap());
    }

    /// Waits until a process is in a certain phase of its token request, which depends on `turn`.
    /// Gives up after 15 s. The lock of a killed process expires sooner.
    async fn find_refreshing(&mut self, turn: usize) -> Option<String> {
        let wanted = turn % 3;
        let end = Instant::now() + Duration::from_secs(15);
        while Instant::now() < end {
            self.run_for(Duration::from_millis(1)).await;
            let phases = self.server.phases();
            let found = phases.into_iter().find(|(_, phase)| match phase {
                Phase::Asked => wanted == 0,
                Phase::Issued(_) => wanted == 1,
                Phase::Responded(number) => wanted == 2 && !self.fleet.saved.contains(number),
            });
            if let Some((name, _)) = found {
                return Some(name);
            }
        }
        None
    }

    /// Lets time pass, and logs in again when needed.
    async fn run_for(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.fleet.listen();
            if self.fleet.messages.len() > self.handled || self.pending_login.is_some() {
                self.log_in_again().await;
            }
            sleep(time.min(Duration::from_millis(10))).await;
        }
    }

    /// Logs in, unless the store has a refresh token, and makes all processes try again.
    async fn log_in_again(&mut self) {
        self.handled = self.fleet.messages.len();
        // The store may be unavailable for a moment, or locked by a killed process.
        if self.pending_login.is_none() {
            let Ok(stored) = self.backend.stored(&self.settings).await else {
                self.handled = 0;
                return;
            };
            let tokens = stored.tokens;
            if tokens.is_none_or(|tokens| tokens.expose_refresh_token().is_none()) {
                self.pending_login = Some(self.server.log_in());
                self.logins += 1;
            }
        }
        if let Some(tokens) = self.pending_login.clone() {
            if self.backend.log_in(&self.settings, tokens).await.is_err() {
                return;
            }
            self.pending_login = None;
        }
        self.fleet.send_to_all(RESUME).await;
    }

    /// Waits until a call of each process has been accepted.
    async fn recover(&mut self) {
        let start = Instant::now();
        loop {
            let seen = self.server.seen().by_process;
            let is_well = |name: &String| {
                let last = seen.get(name).and_then(|counts| counts.last_accepted);
                last.is_some_and(|last| last > start)
            };
            if self.fleet.names().iter().all(is_well) {
                return;
            }
            self.run_for(Duration::from_millis(100)).await;
        }
    }

    fn report(&self) {
        let (seen, fleet) = (self.server.seen(), &self.fleet);
        println!("{} processes killed: {:?}", fleet.killed.len(), self.kills);
        println!("the store's server killed {} times", self.crashed);
        println!(
            "{} token requests, {} logins, {} calls accepted, {} rejected",
            seen.token_requests, self.logins, seen.accepted, seen.rejected
        );
        let mut reported = 0;
        for loss in &seen.reused {
            println!("{loss:?}");
            assert!(
                fleet.killed.contains(&loss.newest_of) && !fleet.saved.contains(&loss.newest),
                "it was saved, or its process is alive: {loss:?}"
            );
            if fleet.has_reported(&loss.by, "log in: outcome lost") {
                reported += 1;
            } else {
                assert!(
                    fleet.killed.contains(&loss.by),
                    "no process reported it: {loss:?}"
                );
            }
        }
        let lost = seen.reused.len();
        println!(
            "lost between response and save: {lost}; {reported} of them reported by the process that \
             noticed, {} noticed by a process that was then killed; lost elsewhere: 0",
            lost - reported
        );
        for never in ["suspected reuse", "refused", "logged out elsewhere"] {
            assert_eq!(fleet.count(&format!("log in: {never}")), 0, "{never}");
        }
        assert!(
            lost > 0 && reported > 0,
            "some kills must occur between response and save"
        );
    }
}
