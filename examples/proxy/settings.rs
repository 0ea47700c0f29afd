//! The command line.

use std::{env, ffi::OsString};

use lexopt::{Arg, Parser, ValueExt};

pub(crate) const USAGE: &str = "\
usage: proxy --api URL [--port N] ACCESS

  --api URL                 the API, such as https://api.example.com
  --port N                  the port on 127.0.0.1 (default: 8080)

ACCESS is one of
  --bearer-env NAME         the environment variable that contains a token
  --token-url URL --client-id ID --client-secret-env NAME [--scope SCOPE]...
                            OAuth 2.0 client credentials

The environment variable PROXY_SECRET is the secret that programs send in the header x-proxy-secret.";

pub(crate) struct Settings {
    pub(crate) api: String,
    pub(crate) port: u16,
    pub(crate) secret: String,
    pub(crate) access: Access,
}

pub(crate) enum Access {
    Bearer(String),
    ClientCredentials {
        token_url: String,
        client_id: String,
        client_secret: String,
        scopes: Vec<String>,
    },
}

impl Settings {
    pub(crate) fn read() -> Result<Self, String> {
        Self::parse(env::args_os().skip(1), |name| env::var(name).ok())
    }

    /// Parses the command line. Secrets come from the environment, because every user of the
    /// machine can see the command line.
    pub(crate) fn parse(
        args: impl IntoIterator<Item = OsString>,
        env: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, String> {
        let (mut api, mut port, mut scopes) = (None, 8080, Vec::new());
        let (mut bearer, mut token_url, mut client_id, mut client_secret) =
            (None, None, None, None);
        let mut parser = Parser::from_args(args);
        while let Some(arg) = parser.next().map_err(|error| error.to_string())? {
            let Arg::Long(name) = arg else {
                return Err(arg.unexpected().to_string());
            };
            let name = name.to_owned();
            let mut value = || text(&mut parser);
            match &*name {
                "api" => api = Some(value()?),
                "port" => port = number(&value()?)?,
                "scope" => scopes.push(value()?),
                "bearer-env" => bearer = Some(value()?),
                "token-url" => token_url = Some(value()?),
                "client-id" => client_id = Some(value()?),
                "client-secret-env" => client_secret = Some(value()?),
                _ => return Err(format!("unknown option --{name}")),
            }
        }
        let variable = |name: &str| {
            let value = env(name).filter(|value| !value.is_empty());
            value.ok_or_else(|| format!("the environment variable {name} is not set"))
        };
        let access = match (bearer, token_url) {
            (Some(name), None) => Access::Bearer(variable(&name)?),
            (None, Some(token_url)) => Access::ClientCredentials {
                token_url,
                client_id: client_id.ok_or("--client-id is missing")?,
                client_secret: variable(&client_secret.ok_or("--client-secret-env is missing")?)?,
                scopes,
            },
            _ => return Err("either --bearer-env or --token-url is needed".to_owned()),
        };
        Ok(Self {
            api: api.ok_or("--api is missing")?,
            port,
            secret: variable("PROXY_SECRET")?,
            access,
        })
    }
}

fn text(parser: &mut Parser) -> Result<String, String> {
    let value = parser.value().map_err(|error| error.to_string())?;
    value.string().map_err(|error| error.to_string())
}

fn number(text: &str) -> Result<u16, String> {
    text.parse()
        .map_err(|_| format!("--port: {text} is not a port"))
}
