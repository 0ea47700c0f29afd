//! A local proxy that adds credentials for any program: `curl`, scripts, and tools without OAuth
//! support.
//!
//! ```sh
//! export CLIENT_SECRET=... PROXY_SECRET=$(openssl rand -hex 16)
//! cargo run --example proxy -- --api https://api.example.com \
//!     --token-url https://login.example.com/token --client-id me --client-secret-env CLIENT_SECRET &
//! curl -H "x-proxy-secret: $PROXY_SECRET" http://127.0.0.1:8080/things
//! ```
//!
//! Any client of the proxy can use the credential. Therefore, the proxy listens only on loopback,
//! requires a secret in every request, and accepts only its own `Host`. As a result, a web page
//! cannot use the proxy.

mod proxy;
mod settings;

use hyper::service::service_fn;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio::net::TcpListener;
use tower::ServiceBuilder;
use tower_auth::{
    AuthLayer, BoxError, Origins, Provider, ReplayLayer, credential::Bearer,
    oauth2::ClientCredentials,
};

use proxy::Proxy;
use settings::{Access, Settings};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let settings = match Settings::read() {
        Ok(settings) => settings,
        Err(error) => {
            eprintln!("{error:#}\n\n{}", settings::USAGE);
            std::process::exit(2);
        }
    };
    let https = HttpsConnectorBuilder::new()
        .with_native_roots()?
        .https_or_http() // the layer sends credentials only over https or to loopback
        .enable_all_versions()
        .build();
    let client = Client::builder(TokioExecutor::new()).build(https.clone());
    let provider = match &settings.access {
        Access::Bearer(token) => Bearer::new(token)?.boxed(),
        Access::ClientCredentials {
            token_url,
            client_id,
            client_secret,
            scopes,
        } => ClientCredentials::builder(token_url)
            .client_id(client_id)
            .client_secret(client_secret)
            .scopes(scopes)
            .http(Client::builder(TokioExecutor::new()).build(https))
            .build()?
            .boxed(),
    };
    // Bodies are streamed. They can be retried up to the size limit of the replay layer.
    let client = ServiceBuilder::new()
        .layer(ReplayLayer::new())
        .layer(AuthLayer::new(provider, Origins::only(&settings.api)?))
        .service(client);

    let listener = TcpListener::bind(("127.0.0.1", settings.port)).await?;
    let address = listener.local_addr()?;
    println!("http://{address} forwards to {}", settings.api);
    let proxy = Proxy::new(client, &settings.api, address, &settings.secret)?;
    loop {
        let (stream, _) = listener.accept().await?;
        let proxy = proxy.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| proxy.clone().forward(request));
            let server = auto::Builder::new(TokioExecutor::new());
            // A client may disconnect at any time; that is not an error of the proxy.
            let _ = server.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}
