//! The auth layer of kube-client, with tokens from a credential plugin.

use std::{
    env,
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use kube_client::{
    Config,
    client::ConfigExt,
    config::{ExecConfig, ExecInteractiveMode},
};
use serde_json::{Value, json};
use tokio::task::spawn_blocking;
use tower::{Layer, ServiceExt, util::BoxCloneService};
use tower_auth::BoxError;

use super::Peer;
use crate::{scenario::Scenario, support::servers::ORIGIN};

/// The plugin's argument that precedes the address of the token endpoint.
const PLUGIN: &str = "--plugin";

pub(super) const PEER: Peer = Peer {
    name: "kube-client",
    // kube-client refreshes tokens 60 s before they expire.
    short: Duration::from_secs(61),
    replaced_after_2s: Duration::from_secs(62),
    cannot: |scenario| match scenario {
        Scenario::Cold | Scenario::Failing | Scenario::LeaderDropped => {
            Some("its constructor requests the first token, before any caller exists")
        }
        _ => None,
    },
    client: |servers, url| {
        Box::pin(async move {
            let mut config = Config::new(ORIGIN.parse()?);
            config.auth_info.exec = Some(ExecConfig {
                api_version: Some("client.authentication.k8s.io/v1".into()),
                command: Some(env::current_exe()?.display().to_string()),
                args: Some(vec![PLUGIN.into(), url]),
                env: None,
                drop_env: None,
                install_hint: None,
                interactive_mode: Some(ExecInteractiveMode::Never),
                provide_cluster_info: false,
                cluster: None,
                other: Default::default(),
            });
            let layer = spawn_blocking(move || config.auth_layer()).await??;
            let api = servers.api().map_err(BoxError::from);
            let client = layer.ok_or("no layer")?.layer(api);
            Ok(BoxCloneService::new(client))
        })
    },
};

/// Prints the token when this program is started as the plugin.
pub(crate) fn plugin() -> Result<Option<Value>, BoxError> {
    let mut arguments = env::args().skip(1);
    if arguments.next().as_deref() != Some(PLUGIN) {
        return Ok(None);
    }
    let url: http::Uri = arguments.next().ok_or("no address")?.parse()?;
    let authority = url.authority().ok_or("no authority")?.as_str();
    let mut stream = TcpStream::connect(authority)?;
    let request = format!("POST {} HTTP/1.0\r\nhost: {authority}\r\n\r\n", url.path());
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (_, body) = answer.split_once("\r\n\r\n").ok_or("no body")?;
    let token: Value = serde_json::from_str(body)?;
    let seconds = token["expires_in"].as_i64().ok_or("no lifetime")?;
    let expires = Timestamp::now() + SignedDuration::from_secs(seconds);
    Ok(Some(json!({
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": { "token": token["access_token"], "expirationTimestamp": expires.to_string() },
    })))
}
