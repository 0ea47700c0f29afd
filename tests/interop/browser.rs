//! A person who logs in with a browser.

use std::{
    fs::{self, File},
    io,
    path::PathBuf,
    process::{Command, Stdio},
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tower_auth::BoxError;

use crate::{
    needs::{Need, here, workshop},
    process::Process,
    server::Server,
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

/// Where the person ends.
#[derive(Debug)]
pub(crate) struct Landing {
    /// With its query and its fragment.
    pub(crate) url: String,
    /// What the page says.
    pub(crate) text: String,
}

impl Landing {
    /// A parameter of the URL, in its query or its fragment.
    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        let parameters = self.url.split(['?', '#', '&']).skip(1);
        let mut pairs = parameters.filter_map(|pair| pair.split_once('='));
        let (_, value) = pairs.find(|(known, _)| *known == name)?;
        let value = value.replace('+', " ");
        let value = percent_encoding::percent_decode_str(&value).decode_utf8();
        Some(value.ok()?.into_owned())
    }
}

/// Has alice open `url` in headless Chromium, log in, and consent or not, on the pages that the
/// server shows. She ends at whatever listens at the redirect URI, or where nothing goes on.
///
/// A picture of that last page is in `target/interop/pictures/{name}.png`.
pub(crate) async fn person(name: &str, url: &str, consent: Consent) -> Result<Landing, BoxError> {
    let pictures = workshop().join("pictures");
    fs::create_dir_all(&pictures)?;
    let picture: PathBuf = pictures.join(format!("{name}.png"));
    // Modules are looked for beside the file that asks for them.
    let dir = TempDir::new("person")?;
    let script = dir.path().join("login.mjs");
    fs::copy(here().join("servers/browser/login.mjs"), &script)?;
    let modules = workshop().join("node_modules");
    std::os::unix::fs::symlink(modules, dir.path().join("node_modules"))?;

    let order = json!({
        "url": url, "user": "alice", "password": "wonderland",
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
        return Err(format!("the person got stuck: {why}").into());
    }
    let landing: Value = serde_json::from_slice(&fs::read(page)?)?;
    let text = |name: &str| landing[name].as_str().unwrap_or_default().to_owned();
    Ok(Landing {
        url: text("url"),
        text: text("text"),
    })
}

/// The same where no program listens at the redirect URI: there is a page that says `back`, for as
/// long as the person is on the way.
pub(crate) async fn person_alone(
    server: &Server,
    name: &str,
    url: &str,
    consent: Consent,
) -> Result<Landing, BoxError> {
    let uri: http::Uri = server.redirect_uri.parse()?;
    let address = uri.authority().map(http::uri::Authority::as_str);
    let listener = TcpListener::bind(address.unwrap_or_default()).await?;
    tokio::select! {
        landing = person(name, url, consent) => landing,
        error = say_back(listener) => Err(error.into()),
    }
}

async fn say_back(listener: TcpListener) -> io::Error {
    let page = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close\r\n\
                content-length: 4\r\n\r\nback";
    loop {
        let mut connection = match listener.accept().await {
            Ok((connection, _)) => connection,
            Err(error) => return error,
        };
        // Not before the request is read, or the browser may see a broken connection. Browsers open
        // connections that they don't use too.
        tokio::spawn(async move {
            let mut request = [0; 8192];
            if connection
                .read(&mut request)
                .await
                .is_ok_and(|read| read > 0)
            {
                let _ = connection.write_all(page.as_bytes()).await;
            }
        });
    }
}
