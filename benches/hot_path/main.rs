//! What the layer costs a request that finds a fresh credential: `cargo bench --bench hot_path`.
//!
//! The yardsticks are two services that a program could have instead, and which do the least that
//! can be done: `insert` puts a ready-made header value on each request, and `clone_insert` also
//! keeps a copy of the request, as a retry would need it, until the response is there. All
//! services wrap the same inner one, which answers at once; all requests are built the same way,
//! in the measured part, because a request is consumed by its sending (`bare` shows what that
//! costs). Futures are polled by hand, so no runtime is measured.
//!
//! Time is noisy on a machine with neighbours: rounds of all variants alternate, and medians count.
//! Instructions are not: they are counted by valgrind, which runs this program again with one
//! variant at a time. Short run: `BENCH_QUICK=1`.

mod count;
mod instructions;
mod services;

use std::{thread, time::Duration};

use services::{Runner, VARIANTS};

/// A yardstick for each variant that has one, and the aim for the ratio of instructions.
const AIMS: [(&str, &str, f64); 2] = [
    ("auth", "clone_insert", 1.20),
    ("auth, no_retry", "insert", 1.30),
];

fn main() {
    if let Some((variant, requests)) = instructions::child() {
        Runner::new(&variant).run(requests);
        return;
    }
    let quick = std::env::var_os("BENCH_QUICK").is_some();
    let rounds = if quick { 5 } else { 101 };

    let mut runners: Vec<_> = VARIANTS.iter().map(|name| Runner::new(name)).collect();
    let times = times(&mut runners, rounds);
    println!(
        "{:<26} {:>8} {:>14} {:>13}",
        "one task", "ns", "instructions", "allocations"
    );
    let mut counted = Vec::new();
    for ((name, runner), time) in VARIANTS.iter().zip(&mut runners).zip(times) {
        let instructions = instructions::per_request(name, if quick { 500 } else { 5000 });
        let allocations = allocations(runner);
        let shown = match &instructions {
            Ok(number) => format!("{number:.0}"),
            Err(_) => "n/a".to_owned(),
        };
        println!("{name:<26} {time:>8.1} {shown:>14} {allocations:>13.2}");
        counted.push((*name, time, instructions));
    }
    println!();
    for (name, yardstick, aim) in AIMS {
        let find = |wanted| counted.iter().find(|(name, ..)| *name == wanted);
        let (Some((_, time, ours)), Some((_, base_time, base))) = (find(name), find(yardstick))
        else {
            continue;
        };
        let ratio = match (ours, base) {
            (Ok(ours), Ok(base)) => format!("{:.3}", ours / base),
            (Err(why), _) | (_, Err(why)) => format!("n/a ({why})"),
        };
        let time = time / base_time;
        println!("{name} / {yardstick}: {ratio} in instructions (aim {aim:.2}), {time:.2} in time");
    }
    println!();
    scaling(if quick { 3 } else { 31 });
    println!(
        "\nsize of a response future of auth: {} bytes",
        services::future_size()
    );
}

/// Nanoseconds per request: medians of alternating rounds.
fn times(runners: &mut [Runner], rounds: usize) -> Vec<f64> {
    const REQUESTS: usize = 2000;
    let mut all = vec![Vec::with_capacity(rounds); runners.len()];
    for _ in 0..rounds {
        for (runner, times) in runners.iter_mut().zip(&mut all) {
            times.push(runner.time(REQUESTS).as_secs_f64() * 1e9 / REQUESTS as f64);
        }
    }
    all.into_iter().map(median).collect()
}

/// Heap allocations per request.
fn allocations(runner: &mut Runner) -> f64 {
    const REQUESTS: usize = 1000;
    runner.run(10);
    let before = count::allocations();
    runner.run(REQUESTS);
    (count::allocations() - before) as f64 / REQUESTS as f64
}

/// Requests per second of two tasks on two cores, each with a service of its own, over those of
/// one task.
fn scaling(rounds: usize) {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    if cores < 2 {
        println!("2 cores / 1 core: n/a (this machine has one core)");
        return;
    }
    println!("{:<26} {:>10}", "2 cores / 1 core", "");
    let mut of_bare = None;
    for name in VARIANTS {
        let first = Runner::new(name);
        let mut all = Vec::with_capacity(rounds);
        for _ in 0..rounds {
            let alone = together(&first, 1);
            let both = together(&first, 2);
            all.push(2.0 * alone.as_secs_f64() / both.as_secs_f64());
        }
        let ratio = median(all);
        let bare = *of_bare.get_or_insert(ratio);
        println!("{name:<26} {ratio:>10.3} ({:.3} of bare)", ratio / bare);
    }
}

/// How long so many threads take for the same work each.
fn together(runner: &Runner, threads: usize) -> Duration {
    const REQUESTS: usize = 20_000;
    thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|_| {
                let mut own = runner.again();
                scope.spawn(move || {
                    own.run(100);
                    own.time(REQUESTS)
                })
            })
            .collect();
        let times = running
            .into_iter()
            .map(|thread| thread.join().unwrap_or_default());
        times.max().unwrap_or_default()
    })
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
