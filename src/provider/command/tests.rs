#![cfg(unix)]

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use tokio::time::Instant;

use super::*;
use crate::{
    AuthLayer, Handle, Origins,
    provider::{Lifetime, Reason, RefreshControl},
};

fn context() -> RefreshContext<Bearer> {
    let deadline = Instant::now() + Duration::from_secs(10);
    let control = Arc::new(RefreshControl::new(deadline));
    RefreshContext::new(Reason::Initial, None, Vec::new(), control)
}

fn sh(script: &str) -> CommandToken {
    CommandToken::new("sh").args(["-c", script])
}

async fn fails(helper: &CommandToken) -> ProviderError {
    helper.issue(context()).await.unwrap_err()
}

/// A directory that is removed on drop.
struct TempDir(PathBuf);

impl TempDir {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("tower-auth-{name}-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[tokio::test]
async fn a_program_gets_literal_arguments_and_an_empty_stdin() {
    let helper = CommandToken::new("printf").args(["%s\\n", "a;$HOME`id`*"]);
    let issued = helper.issue(context()).await.unwrap();
    assert_eq!(issued.credential().expose(), "a;$HOME`id`*");

    let helper = sh("cat; echo $TOKEN").env("TOKEN", "t");
    assert_eq!(
        helper.issue(context()).await.unwrap().credential().expose(),
        "t"
    );
}

/// Rule 10: the output of a failing helper can contain anything.
#[tokio::test]
async fn the_error_of_a_program_has_only_its_name_and_status() {
    let helper = sh("echo hunter2; echo hunter2 >&2; exit 3").env("SECRET", "hunter2");
    let error = fails(&helper).await;
    assert!(error.is_transient());
    assert_eq!(
        format!("{error:#}"),
        "temporary provider error: the credential helper \"sh\" ended with exit status: 3: run it by hand to see why"
    );
    assert!(!format!("{error:?} {helper:?}").contains("hunter2"));
}

#[tokio::test]
async fn a_missing_program_is_a_permanent_failure() {
    let error = fails(&CommandToken::new("/nowhere/helper")).await;
    assert!(error.is_permanent());
    assert!(
        format!("{error:#}")
            .starts_with("provider error: the credential helper \"/nowhere/helper\" cannot be")
    );
}

#[tokio::test]
async fn output_without_a_token_is_an_error_that_hides_it() {
    for (script, why) in [
        ("true", "printed nothing"),
        ("echo hunter2 hunter3", "a valid token"),
        ("echo '{\"hunter2'", "not begin a JSON object"),
        (
            "echo '{\"status\":{\"clientKeyData\":\"hunter2\"}}'",
            "without a token",
        ),
        ("echo '{\"token\":7}'", "without a token"),
        ("echo '{\"token\":\"\"}'", "is empty"),
        (
            "echo '{\"token\":\"hunter2\",\"token_type\":\"mac\"}'",
            "whose type is not Bearer",
        ),
        ("printf '\\377'", "not UTF-8"),
        ("while echo hunter2; do :; done", "more than 64 KiB"),
    ] {
        let error = fails(&sh(script)).await;
        assert!(error.is_transient());
        let text = format!("{error:#}");
        assert!(
            text.contains(why) && !text.contains("hunter"),
            "{script}: {text}"
        );
    }
}

/// The output of the tools that the documentation mentions.
#[test]
fn the_output_of_common_helpers_is_parsed() {
    let started_at = UNIX_EPOCH + Duration::from_secs(1_000);
    let at = |seconds| Some(UNIX_EPOCH + Duration::from_secs(seconds));
    let jwt = "e30.eyJleHAiOjEzMDA4MTkzODB9.c2ln";
    for (printed, token, expiry) in [
        ("ya29.token\n", "ya29.token", None),
        (jwt, jwt, at(1_300_819_380)),
        (
            r#"{"access_token":"t","token_type":"Bearer","expires_in":60}"#,
            "t",
            at(1_060),
        ),
        (
            r#"{"access_token":"t","expires_in":"60","expires_on":5}"#,
            "t",
            at(1_060),
        ),
        // az: the local time has no time zone, and is not needed.
        (
            r#"{"accessToken":"t","expiresOn":"2024-03-01 12:00:00.000000","expires_on":1709290800,
                "tokenType":"Bearer"}"#,
            "t",
            at(1_709_290_800),
        ),
        // azd
        (
            r#"{"token":"t","expiresOn":"2024-03-01T11:00:00Z"}"#,
            "t",
            at(1_709_290_800),
        ),
        // kubectl's exec plugins
        (
            r#"{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","spec":{},
                "status":{"token":"t","expirationTimestamp":"2024-03-01T12:00:00+01:00"}}"#,
            "t",
            at(1_709_290_800),
        ),
        // gcloud config config-helper
        (
            r#"{"configuration":{},"credential":{"access_token":"t","id_token":"i",
                "token_expiry":"2024-03-01T11:00:00Z"},"sentinels":{}}"#,
            "t",
            at(1_709_290_800),
        ),
        (
            r#"{"access_token":"t","expiry":"2024-03-01T11:00:00.5Z"}"#,
            "t",
            None,
        ),
        (
            r#"{"token":"t","expires_at":"1709290800"}"#,
            "t",
            at(1_709_290_800),
        ),
        (
            r#"{"token":"t","expires_in":-1,"expires_at":1e300,"expiry":"soon"}"#,
            "t",
            None,
        ),
        (&format!(r#"{{"token":"{jwt}"}}"#), jwt, at(1_300_819_380)),
    ] {
        let (read, until) = output::parse(printed.as_bytes(), started_at).expect(printed);
        assert_eq!(read.expose(), token);
        if printed.contains(".5Z") {
            let half = Duration::from_millis(500);
            assert_eq!(until, at(1_709_290_800).map(|moment| moment + half));
        } else {
            assert_eq!(until, expiry, "{printed}");
        }
    }
}

#[tokio::test]
async fn a_missing_lifetime_is_unknown() {
    let issued = sh("echo t").issue(context()).await.unwrap();
    assert_eq!(issued.lifetime(), Lifetime::Unknown);
    let issued = sh("echo '{\"token\":\"t\",\"expires_on\":60}'")
        .issue(context())
        .await;
    let until = Lifetime::At(UNIX_EPOCH + Duration::from_secs(60));
    assert_eq!(issued.unwrap().lifetime(), until);
}

#[tokio::test]
async fn the_token_is_sent_in_the_configured_header() {
    let helper = sh("echo t").header_name("x-token").unwrap();
    let layer = AuthLayer::new(helper, Origins::only("https://api.example.com").unwrap());
    let api = tower::service_fn(|request: http::Request<String>| async move {
        assert_eq!(request.headers()["x-token"], "Bearer t");
        Ok::<_, crate::BoxError>(http::Response::new(String::new()))
    });
    let request = http::Request::get("https://api.example.com/")
        .body(String::new())
        .unwrap();
    tower::ServiceExt::oneshot(tower::Layer::layer(&layer, api), request)
        .await
        .unwrap();
    assert_eq!(
        sh("echo t").header_name("é").unwrap_err().field(),
        "header_name"
    );
}

fn handle(helper: CommandToken) -> Handle<Bearer> {
    AuthLayer::new(helper, Origins::only("https://api.example.com").unwrap()).handle()
}

/// Returns whether a process is running. A dead process can still be listed, as a zombie.
#[cfg(target_os = "linux")]
fn runs(id: &str) -> bool {
    let status = fs::read_to_string(format!("/proc/{}/stat", id.trim()));
    status.is_ok_and(|status| {
        !status
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .starts_with(" Z")
    })
}

#[cfg(target_os = "linux")]
async fn written(path: &Path) -> String {
    loop {
        match fs::read_to_string(path) {
            Ok(text) if text.ends_with('\n') => return text,
            _ => tokio::task::yield_now().await,
        }
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_hanging_program_is_killed_with_its_children() {
    let dir = TempDir::new("group");
    let (child, parent) = (dir.0.join("child"), dir.0.join("parent"));
    let script = format!(
        "sleep 1000 & echo $! > '{}'; echo $$ > '{}'; wait",
        child.display(),
        parent.display()
    );
    let helper = sh(&script);
    let mut issue = Box::pin(helper.issue(context()));
    let started = async { (written(&child).await, written(&parent).await) };
    let (child, parent) = tokio::select! {
        _ = &mut issue => panic!("it does not end"),
        started = started => started,
    };
    assert!(runs(&child) && runs(&parent));
    drop(issue);
    // Signals are asynchronous.
    let gone = async {
        while runs(&child) || runs(&parent) {
            tokio::task::yield_now().await;
        }
    };
    let gone = tokio::time::timeout(Duration::from_secs(60), gone).await;
    gone.expect("both are killed");
}

#[tokio::test(start_paused = true)]
async fn the_refresh_timeout_ends_a_hanging_program() {
    let error = handle(sh("exec sleep 1000"))
        .credential()
        .await
        .unwrap_err();
    assert!(error.is_timeout(), "{error:#}");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_process_left_behind_on_purpose_survives() {
    let helper = sh("sleep 1000 > /dev/null & echo $!");
    let issued = helper.issue(context()).await.unwrap();
    let id = issued.credential().expose();
    assert!(runs(id));
    let id = rustix::process::Pid::from_raw(id.parse().unwrap()).unwrap();
    rustix::process::kill_process(id, rustix::process::Signal::KILL).unwrap();
}
