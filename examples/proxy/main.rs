//! A local proxy that adds credentials for any program: `curl`, scripts, tools that know nothing of
//! OAuth.
//!
//! ```sh
//! export CLIENT_SECRET=.. PROXY_SECRET=$(openssl rand -hex 16)
//! cargo run --example proxy -- --api https://api.example.com \
//!     --token-url https://login.example.com/token --client-id me --client-secret-env CLIENT_SECRET &
//! curl -H "x-proxy-secret: $PROXY_SECRET" http://127.0.0.1:8080/things
//! ```
//!
//! Whoever reaches the proxy uses the credential, so it listens on loopback only, wants a secret in
//! every request, and answers only to its own name: a page in a browser can do nothing with it.

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
        .https_or_http() // the layer sends credentials over https, or to loopback, only
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
    // Bodies stream, and are sent again up to the replay layer's cap.
    let client = ServiceBuilder::new()
        .layer(ReplayLayer::new())
        .layer(AuthLayer::new(provider, Origins::only(&settings.api)?))
        .service(client);

    let listener = TcpListener::bind(("127.0.0.1", settings.port)).await?;
    let address = listener.local_addr()?;
    println!("http://{address} is {}", settings.api);
    let proxy = Proxy::new(client, &settings.api, address, &settings.secret)?;
    loop {
        let (stream, _) = listener.accept().await?;
        let proxy = proxy.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| proxy.clone().pass(request));
            let server = auto::Builder::new(TokioExecutor::new());
            // A program that goes away is no concern of the proxy.
            let _ = server.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}
