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

/// A folder that is removed with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("tower-auth-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[tokio::test]
async fn the_program_gets_its_arguments_as_they_are_and_nothing_to_read() {
    let helper = CommandToken::new("printf").args(["%s\\n", "a;$HOME`id`*"]);
    let issued = helper.issue(context()).await.unwrap();
    assert_eq!(issued.credential().expose(), "a;$HOME`id`*");

    let helper = sh("cat; echo $TOKEN").env("TOKEN", "t");
    assert_eq!(
        helper.issue(context()).await.unwrap().credential().expose(),
        "t"
    );
}

/// Rule 10: what a helper says about its trouble can hold anything.
#[tokio::test]
async fn a_program_that_fails_is_told_by_its_name_and_status_alone() {
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
async fn a_program_that_is_not_there_is_a_permanent_failure() {
    let error = fails(&CommandToken::new("/nowhere/helper")).await;
    assert!(error.is_permanent());
    assert!(
        format!("{error:#}")
            .starts_with("provider error: the credential helper \"/nowhere/helper\" can't be")
    );
}

#[tokio::test]
async fn output_without_a_token_is_refused_without_being_shown() {
    for (script, why) in [
        ("true", "printed nothing"),
        ("echo hunter2 hunter3", "no token"),
        ("echo '{\"hunter2'", "no JSON object"),
        (
            "echo '{\"status\":{\"clientKeyData\":\"hunter2\"}}'",
            "without a token",
        ),
        ("echo '{\"token\":7}'", "without a token"),
        ("echo '{\"token\":\"\"}'", "is empty"),
        (
            "echo '{\"token\":\"hunter2\",\"token_type\":\"mac\"}'",
            "another type",
        ),
        ("printf '\\377'", "no text"),
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

/// What the tools print that are named in the documentation.
#[test]
fn what_the_usual_helpers_print_is_understood() {
    let begun = UNIX_EPOCH + Duration::from_secs(1_000);
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
        // az: the local time has no zone, and is not needed.
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
        let (read, until) = output::parse(printed.as_bytes(), begun).expect(printed);
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
async fn a_lifetime_that_is_not_said_is_unknown() {
    let issued = sh("echo t").issue(context()).await.unwrap();
    assert_eq!(issued.lifetime(), Lifetime::Unknown);
    let issued = sh("echo '{\"token\":\"t\",\"expires_on\":60}'")
        .issue(context())
        .await;
    let until = Lifetime::At(UNIX_EPOCH + Duration::from_secs(60));
    assert_eq!(issued.unwrap().lifetime(), until);
}

#[tokio::test]
async fn the_token_goes_into_the_header_that_is_named() {
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

/// Whether a process runs: the dead may wait to be collected by whoever they fell to.
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

/// With the one that it has started, and at once when the deadline has passed.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_program_that_hangs_is_killed_with_its_children() {
    let folder = Folder::new("family");
    let (child, parent) = (folder.0.join("child"), folder.0.join("parent"));
    let script = format!(
        "sleep 1000 & echo $! > '{}'; echo $$ > '{}'; wait",
        child.display(),
        parent.display()
    );
    let helper = sh(&script);
    let mut issue = Box::pin(helper.issue(context()));
    let family = async { (written(&child).await, written(&parent).await) };
    let (child, parent) = tokio::select! {
        _ = &mut issue => panic!("it hangs"),
        family = family => family,
    };
    assert!(runs(&child) && runs(&parent));
    drop(issue);
    // A signal takes its time.
    let gone = async {
        while runs(&child) || runs(&parent) {
            tokio::task::yield_now().await;
        }
    };
    let gone = tokio::time::timeout(Duration::from_secs(60), gone).await;
    gone.expect("both are killed");
}

#[tokio::test(start_paused = true)]
async fn the_layers_timeout_ends_the_wait() {
    let error = handle(sh("exec sleep 1000"))
        .credential()
        .await
        .unwrap_err();
    assert!(error.is_timeout(), "{error:#}");
}

/// Who is left behind on purpose, by a program that has ended well, is left alone.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn what_a_program_leaves_behind_lives_on() {
    let helper = sh("sleep 1000 > /dev/null & echo $!");
    let issued = helper.issue(context()).await.unwrap();
    let id = issued.credential().expose();
    assert!(runs(id));
    let id = rustix::process::Pid::from_raw(id.parse().unwrap()).unwrap();
    rustix::process::kill_process(id, rustix::process::Signal::KILL).unwrap();
}
