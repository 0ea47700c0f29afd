//! Processes are killed all the time, the store's server too, and clocks are off.
//!
//! What may be lost is a token that the server has issued and that its process did not live to
//! save. That is found out at its next use, and said; then the person logs in again.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use fastrand::Rng;
use tokio::time::{Instant, sleep, timeout};
use tower_auth::store::TokenSet;

use crate::{
    LANE,
    fleet::{Fleet, PROCESSES},
    place::Place,
    server::{AuthorizationServer, Phase, Rules},
    worker::{RESUME, Settings},
};

/// Makes the same choices again, as far as processes do the same.
const SEED: &str = "TOWER_AUTH_FLEET_SEED";
/// By so many seconds the clocks of these processes are ahead of the others'.
const CLOCKS: [(usize, i64); 2] = [(0, 300), (1, -300)];

/// P42, P43.
#[tokio::test(flavor = "multi_thread")]
async fn killed_processes_lose_what_was_not_saved_and_nothing_else_with_a_file() {
    let _lane = LANE.lock().await;
    let plan = Plan {
        kills: 100,
        aimed: 4,
        crashes: None,
    };
    Chaos::new(Place::file(), plan).await.run().await;
}

/// P42, P43, P60. Here the lock of a process that was killed is held until it runs out, and calls
/// fail meanwhile.
#[cfg(feature = "redis")]
#[tokio::test(flavor = "multi_thread")]
async fn killed_processes_lose_what_was_not_saved_and_nothing_else_with_redis() {
    let Some(place) = Place::redis() else {
        return;
    };
    let _lane = LANE.lock().await;
    let plan = Plan {
        kills: 60,
        aimed: 10,
        crashes: Some(8),
    };
    Chaos::new(place, plan).await.run().await;
}

struct Plan {
    kills: usize,
    /// One in so many kills is aimed at a process that is refreshing.
    aimed: usize,
    /// The store's server is killed along with one in so many processes, if there is one.
    crashes: Option<usize>,
}

struct Chaos {
    plan: Plan,
    rng: Rng,
    place: Place,
    crashed: usize,
    server: AuthorizationServer,
    settings: Settings,
    fleet: Fleet,
    /// How often each process was started.
    incarnations: [usize; PROCESSES],
    /// What the killed ones were doing.
    kills: BTreeMap<&'static str, usize>,
    /// How much of what was told is dealt with.
    heard: usize,
    log_ins: usize,
    /// A log-in whose tokens are not in the store yet.
    log_in: Option<TokenSet>,
}

impl Chaos {
    async fn new(place: Place, plan: Plan) -> Self {
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
            store: place.address(),
            has_refresh_token: true,
            pause: Duration::from_millis(500),
            // The locks of the dead last by 8 s longer than this.
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
            heard: 0,
            log_ins: 1,
            log_in: Some(server.log_in()),
            place,
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
            self.live(pause).await;
            if self.plan.crashes.is_some_and(|every| number % every == 0) {
                self.place.crash();
                self.crashed += 1;
            }
            let victim = match number % self.plan.aimed {
                0 => self.one_at_work(number / self.plan.aimed).await,
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
            "the fleet goes on when nobody is killed any more"
        );
    }

    fn start(&mut self, index: usize) {
        let name = format!("{index}.{}", self.incarnations[index]);
        self.incarnations[index] += 1;
        let clock = CLOCKS.iter().find(|(process, _)| *process == index);
        self.fleet.start(name, clock.map_or(0, |(_, clock)| *clock));
    }

    /// Kills a process, and starts it again.
    async fn kill(&mut self, name: &str) {
        self.fleet.kill(name).await;
        self.fleet.listen();
        let doing = match self.server.phases().get(name) {
            Some(Phase::Asked) => "before the exchange",
            Some(Phase::Issued(_)) => "before the answer",
            Some(Phase::Answered(number)) if !self.fleet.saved.contains(number) => {
                "before the save"
            }
            _ => "at other times",
        };
        *self.kills.entry(doing).or_default() += 1;
        self.server.is_gone(name);
        let (index, _) = name.split_once('.').unwrap();
        self.start(index.parse().unwrap());
    }

    /// Waits for a process that is in one phase of its token request, each time in another one; not
    /// for ever, but longer than a dead one's lock lasts.
    async fn one_at_work(&mut self, turn: usize) -> Option<String> {
        let wanted = turn % 3;
        let end = Instant::now() + Duration::from_secs(15);
        while Instant::now() < end {
            self.live(Duration::from_millis(1)).await;
            let phases = self.server.phases();
            let found = phases.into_iter().find(|(_, phase)| match phase {
                Phase::Asked => wanted == 0,
                Phase::Issued(_) => wanted == 1,
                Phase::Answered(number) => wanted == 2 && !self.fleet.saved.contains(number),
            });
            if let Some((name, _)) = found {
                return Some(name);
            }
        }
        None
    }

    /// Lets time pass, and logs in again where that is needed.
    async fn live(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.fleet.listen();
            if self.fleet.told.len() > self.heard || self.log_in.is_some() {
                self.log_in_again().await;
            }
            sleep(time.min(Duration::from_millis(10))).await;
        }
    }

    /// Logs in unless somebody has done so, and has all processes try again.
    async fn log_in_again(&mut self) {
        self.heard = self.fleet.told.len();
        // The store may be away for a moment, or locked by a process that is dead.
        if self.log_in.is_none() {
            let Ok(stored) = self.place.stored(&self.settings).await else {
                self.heard = 0;
                return;
            };
            let tokens = stored.tokens;
            if tokens.is_none_or(|tokens| tokens.expose_refresh_token().is_none()) {
                self.log_in = Some(self.server.log_in());
                self.log_ins += 1;
            }
        }
        if let Some(tokens) = self.log_in.clone() {
            if self.place.log_in(&self.settings, tokens).await.is_err() {
                return;
            }
            self.log_in = None;
        }
        self.fleet.say_to_all(RESUME).await;
    }

    /// Until each process has had a call accepted.
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
            self.live(Duration::from_millis(100)).await;
        }
    }

    fn report(&self) {
        let (seen, fleet) = (self.server.seen(), &self.fleet);
        println!("{} processes killed: {:?}", fleet.killed.len(), self.kills);
        println!("the store's server killed {} times", self.crashed);
        println!(
            "{} token requests, {} log-ins, {} calls accepted, {} rejected",
            seen.token_requests, self.log_ins, seen.accepted, seen.rejected
        );
        let mut said = 0;
        for loss in &seen.reused {
            println!("{loss:?}");
            assert!(
                fleet.killed.contains(&loss.newest_of) && !fleet.saved.contains(&loss.newest),
                "it was saved, or its process lives: {loss:?}"
            );
            if fleet.has_told(&loss.by, "log in: outcome lost") {
                said += 1;
            } else {
                assert!(fleet.killed.contains(&loss.by), "nobody said so: {loss:?}");
            }
        }
        let lost = seen.reused.len();
        println!(
            "lost between answer and save: {lost}; {said} of them said by who found out, {} found \
             out by a process that was killed then; lost elsewhere: 0",
            lost - said
        );
        for never in ["suspected reuse", "refused", "logged out elsewhere"] {
            assert_eq!(fleet.count(&format!("log in: {never}")), 0, "{never}");
        }
        assert!(
            lost > 0 && said > 0,
            "the kills must land there to show something"
        );
    }
}
