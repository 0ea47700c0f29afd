//! Users whose browser is on another device.

use std::{env, fs, fs::File, process::Command, time::Duration};

use tokio::time::sleep;
use tower_auth::{BoxError, oauth2::DeviceCode};

use super::asked;
use crate::{
    browser::{Consent, alice_enters_code, alice_opens},
    client::{Api, Http},
    process::Process,
    server::Server,
    temp::TempDir,
};

async fn flow(server: &Server, tokens: &Http) -> Result<DeviceCode, BoxError> {
    let discovered = DeviceCode::discover(&server.url, tokens.clone()).await?;
    let flow = discovered.client_id("tv").scopes(["openid"]).build()?;
    Ok(flow)
}

/// Lets the user enter the code, log in and consent while the program polls.
pub(super) async fn a_code_that_a_user_enters(server: &Server) -> Result<(), BoxError> {
    let tokens = Http::new();
    let flow = flow(server, &tokens).await?;
    let attempt = flow.start().await?;
    let page = attempt.verification_uri().to_owned();
    let code = attempt.user_code().to_owned();
    let name = "oidc-provider-device";
    let alice = alice_enters_code(name, &page, Some(&code), Consent::Yes);
    let waiting = async { Ok(flow.finish(attempt).await?) };
    let (landing, first) = tokio::try_join!(alice, waiting)?;
    assert!(landing.text.contains("Sign-in Success"), "{landing:?}");
    let polls = asked(&tokens);
    assert!(polls >= 1, "{polls}");

    let api = Api::new(flow.session().initial_tokens(first).build()?, &server.url)?;
    for _ in 0..2 {
        let answer = api.get(&format!("{}/me", server.url)).await?;
        assert_eq!(answer.text("sub")?, "alice");
        api.handle.invalidate();
    }
    assert_eq!(asked(&tokens), polls + 1, "one refresh");
    Ok(())
}

/// Opens the URL that contains the code, and refuses consent.
pub(super) async fn a_code_that_a_user_refuses(server: &Server) -> Result<(), BoxError> {
    let tokens = Http::new();
    let flow = flow(server, &tokens).await?;
    let attempt = flow.start().await?;
    let page = attempt.verification_uri_complete();
    let page = page.expect("the server has one").to_owned();
    let alice = alice_opens("oidc-provider-device-no", &page, Consent::No);
    let waiting = async { Ok(flow.finish(attempt).await) };
    let (_, result) = tokio::try_join!(alice, waiting)?;
    let error = result.expect_err("consent was refused");
    assert!(error.is_denied(), "{error:#}");
    Ok(())
}

/// Runs `cargo run --example device -- ISSUER CLIENT_ID API_URL`.
pub(super) async fn the_device_example(server: &Server) -> Result<(), BoxError> {
    let dir = TempDir::new("device")?;
    let output = dir.path().join("output");
    let mut example = Command::new(env::var_os("CARGO").unwrap_or("cargo".into()));
    example
        .args(["run", "--quiet", "--all-features", "--example", "device"])
        .args(["--", &server.url, "tv", &format!("{}/me", server.url)])
        .stdout(File::create(&output)?);
    let mut example = Process::start(example)?;
    let page = async {
        loop {
            let text = fs::read_to_string(&output).unwrap_or_default();
            let complete = text.lines().find_map(|line| line.strip_prefix("or open "));
            match complete {
                Some(page) if text.ends_with('\n') => break page.to_owned(),
                _ => sleep(Duration::from_millis(20)).await,
            }
        }
    };
    let landing = tokio::select! {
        page = page => alice_opens("example-device", &page, Consent::Yes).await?,
        ended = example.end() => return Err(format!("it ended: {}", ended?).into()),
    };
    assert!(landing.text.contains("Sign-in Success"), "{landing:?}");
    let ended = example.end().await?;
    let output = fs::read_to_string(output)?;
    assert!(
        ended.success() && output.ends_with("{\"sub\":\"alice\"}\n"),
        "{output}"
    );
    Ok(())
}
