//! A user who logs in with a browser.

use std::{
    fs::{self, File},
    path::PathBuf,
    process::{Command, Stdio},
};

use serde_json::{Value, json};
use tower_auth::BoxError;

use crate::{
    needs::{Need, here, workshop},
    process::Process,
    temp::TempDir,
};

pub(crate) const NEEDS: &[Need] = &[
    Need::Command("node"),
    Need::Module("playwright-core"),
    Need::Path("/usr/bin/chromium"),
];

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Consent {
    Yes,
    No,
}

/// The page that the user ends up on.
#[derive(Debug)]
pub(crate) struct Landing {
    /// The page's URL, including the query and the fragment.
    pub(crate) url: String,
    /// The page's text.
    pub(crate) text: String,
}

/// Lets alice open `url` in headless Chromium, log in, and consent or refuse on the server's pages.
/// Ends at the redirect URI, or on a page that offers no further step.
///
/// Saves a screenshot of the last page as `target/interop/pictures/{name}.png`.
pub(crate) async fn alice_opens(
    name: &str,
    url: &str,
    consent: Consent,
) -> Result<Landing, BoxError> {
    alice_enters_code(name, url, None, consent).await
}

/// Like `alice_opens`, but for a page that asks for a device code.
pub(crate) async fn alice_enters_code(
    name: &str,
    url: &str,
    code: Option<&str>,
    consent: Consent,
) -> Result<Landing, BoxError> {
    let pictures = workshop().join("pictures");
    fs::create_dir_all(&pictures)?;
    let picture: PathBuf = pictures.join(format!("{name}.png"));
    // Node.js resolves modules relative to the file that imports them.
    let dir = TempDir::new("browser")?;
    let script = dir.path().join("login.mjs");
    fs::copy(here().join("servers/browser/login.mjs"), &script)?;
    let modules = workshop().join("node_modules");
    std::os::unix::fs::symlink(modules, dir.path().join("node_modules"))?;

    let order = json!({
        "url": url, "user": "alice", "password": "wonderland", "code": code,
        "consents": consent == Consent::Yes, "picture": picture,
    });
    let (page, errors) = (dir.path().join("page"), dir.path().join("errors"));
    let mut command = Command::new("node");
    command
        .arg(&script)
        .arg(order.to_string())
        .env("TMPDIR", dir.path())
        .stdin(Stdio::null())
        .stdout(File::create(&page)?)
        .stderr(File::create(&errors)?);
    let mut process = Process::start(command)?.ask_to_end();
    if !process.end().await?.success() {
        let why = fs::read_to_string(errors)?;
        return Err(format!("the user got stuck: {why}").into());
    }
    let landing: Value = serde_json::from_slice(&fs::read(page)?)?;
    let text = |name: &str| landing[name].as_str().unwrap_or_default().to_owned();
    Ok(Landing {
        url: text("url"),
        text: text("text"),
    })
}
