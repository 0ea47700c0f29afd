//! The `metrics` feature.

use std::{collections::BTreeMap, time::Duration};

use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use tokio::time::sleep;
use tower::Layer;
use tower_auth::{ProviderError, RefreshSettings, describe_metrics};

use crate::{
    faulty::{Faulty, Saving},
    log::leave_open,
    memory::{Api, Valid},
    watched::{
        TOKEN, call, call_all, failing, layer, layer_with, machine, slow, stored, welcoming,
    },
};

/// Runs a program and returns its metrics: the count or the recorded values, by name and labels.
async fn recorded(program: impl Future<Output = ()>) -> BTreeMap<String, Vec<f64>> {
    leave_open();
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let _guard = metrics::set_default_local_recorder(&recorder);
    program.await;
    let taken = snapshotter.snapshot().into_vec();
    taken
        .into_iter()
        .map(|(key, _, _, value)| {
            let labels = key.key().labels().filter(|label| !label.value().is_empty());
            let labels: Vec<_> = labels
                .map(|label| format!("{}={}", label.key(), label.value()))
                .collect();
            let name = format!("{} {}", key.key().name(), labels.join(" "));
            let values = match value {
                DebugValue::Counter(count) => vec![count as f64],
                DebugValue::Gauge(value) => vec![value.into_inner()],
                DebugValue::Histogram(values) => {
                    values.into_iter().map(|value| value.into_inner()).collect()
                }
            };
            (name, values)
        })
        .collect()
}

#[tokio::test(start_paused = true)]
async fn refreshes_are_counted_by_reason_and_outcome() {
    let metrics = recorded(async {
        let watched = layer(slow());
        let api = watched.layer(welcoming());
        call_all(&api, 10).await;
        sleep(Duration::from_secs(3600 - 200)).await; // an early refresh is due
        call(&api).await.unwrap();
        sleep(Duration::from_secs(2)).await;
        watched.handle().invalidate();
        call(&api).await.unwrap();
        let settings = RefreshSettings::default().name("other");
        let failing = layer_with(failing(ProviderError::transient), settings);
        call(&failing.layer(welcoming())).await.unwrap_err();
    })
    .await;
    let one = |key: &str| metrics.get(key).map_or(&[][..], Vec::as_slice);
    for (reason, waiters) in [("initial", 10.0), ("early", 0.0), ("invalidated", 1.0)] {
        let labels = format!("name=billing reason={reason}");
        let outcome = format!("{labels} outcome=success");
        assert_eq!(
            one(&format!("tower_auth.refreshes {outcome}")),
            [1.0],
            "{metrics:#?}"
        );
        assert_eq!(
            one(&format!("tower_auth.refresh.duration {outcome}")),
            [1.0]
        );
        assert_eq!(
            one(&format!("tower_auth.refresh.waiters {labels}")),
            [waiters]
        );
    }
    let failure = "name=other reason=initial outcome=failure error.type=transient";
    assert_eq!(one(&format!("tower_auth.refreshes {failure}")), [1.0]);
    // 199 s of the hour remained when the early refresh ended.
    let remaining = one("tower_auth.refresh.remaining_lifetime name=billing reason=early");
    assert_eq!(remaining.len(), 1);
    assert!((198.0..=200.0).contains(&remaining[0]), "{remaining:?}");
}

#[tokio::test(start_paused = true)]
async fn rejections_are_counted_by_outcome() {
    let metrics = recorded(async {
        let api = layer(slow()).layer(Api::accepting(&Valid::of(&["t2"])));
        for _ in 0..3 {
            call(&api).await.unwrap();
        }
        let api = layer(slow()).retry(false);
        call(&api.layer(Api::accepting(&Valid::default())))
            .await
            .unwrap();
    })
    .await;
    let rejections =
        |outcome| metrics[&format!("tower_auth.rejections name=billing outcome={outcome}")][0];
    assert_eq!(
        (rejections("retried"), rejections("retries_disabled")),
        (1.0, 1.0)
    );
}

#[tokio::test(start_paused = true)]
async fn token_requests_and_failed_saves_are_counted() {
    let metrics = recorded(async {
        describe_metrics();
        call(&layer(machine(200, TOKEN)).layer(welcoming()))
            .await
            .unwrap();
        call(&layer(machine(503, "")).layer(welcoming()))
            .await
            .unwrap_err();
        let store = Faulty::default();
        store.fail([Saving]);
        call(&layer(stored(store)).layer(welcoming()))
            .await
            .unwrap();
    })
    .await;
    let requests = |status: u16| {
        let key = format!(
            "tower_auth.token_request.duration endpoint=token http.response.status_code={status}"
        );
        metrics[&key].len()
    };
    assert_eq!((requests(200), requests(503)), (2, 1), "{metrics:#?}");
    assert_eq!(metrics["tower_auth.store.failed_saves "], [1.0]);
}
