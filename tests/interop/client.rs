//! HTTP for flows: calls through the layer, which counts their requests, and requests without it.

use std::{
    path::Path,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Extensions, HeaderMap, Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, Error, connect::HttpConnector},
    rt::TokioExecutor,
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use rustls::{
    ClientConfig, ConfigBuilder, RootCertStore,
    client::WantsClientCert,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use serde_json::Value;
use tower::{Layer, Service, ServiceExt};
use tower_auth::{Auth, AuthLayer, BoxError, Handle, NotRetried, Origins, Provider};

/// A hyper client that records its requests.
#[derive(Clone)]
pub(crate) struct Http {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    /// The path and the status of each response.
    sent: Arc<Mutex<Vec<(String, u16)>>>,
}

impl Http {
    pub(crate) fn new() -> Self {
        Self::with(trusting(RootCertStore::empty()).with_no_client_auth())
    }

    /// Creates a client that trusts `ca.pem` in the folder and presents the certificate `tls.pem`.
    pub(crate) fn with_certificate(dir: &Path) -> Result<Self, BoxError> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(dir.join("ca.pem"))?)?;
        let certificate = CertificateDer::from_pem_file(dir.join("tls.pem"))?;
        let key = PrivateKeyDer::from_pem_file(dir.join("tls.key"))?;
        let config = trusting(roots).with_client_auth_cert(vec![certificate], key)?;
        Ok(Self::with(config))
    }

    fn with(config: ClientConfig) -> Self {
        let connector = HttpsConnectorBuilder::new().with_tls_config(config);
        let connector = connector.https_or_http().enable_http1().build();
        Self {
            client: Client::builder(TokioExecutor::new()).build(connector),
            sent: Arc::default(),
        }
    }

    /// Returns the statuses of the responses so far, oldest first.
    pub(crate) fn statuses(&self) -> Vec<u16> {
        let sent = self.sent.lock().unwrap();
        sent.iter().map(|(_, status)| *status).collect()
    }

    /// Returns the number of responses to requests for a path.
    pub(crate) fn count(&self, path: &str) -> usize {
        let sent = self.sent.lock().unwrap();
        sent.iter().filter(|(asked, _)| asked == path).count()
    }
}

impl Service<Request<Full<Bytes>>> for Http {
    type Response = Response<Incoming>;
    type Error = Error;
    type Future = BoxFuture<'static, Result<Self::Response, Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(())) // hyper's client is always ready
    }

    fn call(&mut self, request: Request<Full<Bytes>>) -> Self::Future {
        let (path, sent) = (request.uri().path().to_owned(), Arc::clone(&self.sent));
        let answer = self.client.request(request);
        Box::pin(async move {
            let answer = answer.await?;
            let line = (path, answer.status().as_u16());
            sent.lock().unwrap().push(line);
            Ok(answer)
        })
    }
}

fn trusting(roots: RootCertStore) -> ConfigBuilder<ClientConfig, WantsClientCert> {
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring has them")
        .with_root_certificates(roots)
}

/// A client with the layer.
pub(crate) struct Api<P: Provider> {
    service: Auth<Http, P::Credential>,
    pub(crate) handle: Handle<P::Credential>,
    /// The client that records the requests to the API.
    pub(crate) http: Http,
}

impl<P: Provider> Api<P> {
    /// Creates a client that sends the credential to `origin`.
    pub(crate) fn new(provider: P, origin: &str) -> Result<Self, BoxError> {
        let layer = AuthLayer::new(provider, Origins::only(origin)?);
        Ok(Self::with(&layer))
    }

    pub(crate) fn with(layer: &AuthLayer<P>) -> Self {
        Self::over(Http::new(), layer)
    }

    pub(crate) fn over(http: Http, layer: &AuthLayer<P>) -> Self {
        Self {
            service: layer.layer(http.clone()),
            handle: layer.handle(),
            http,
        }
    }

    pub(crate) async fn get(&self, url: &str) -> Result<Answer, BoxError> {
        self.send(Method::GET, url).await
    }

    pub(crate) async fn send(&self, method: Method, url: &str) -> Result<Answer, BoxError> {
        let request = Request::builder().method(method).uri(url);
        let request = request.body(Full::default())?;
        Answer::read(self.service.clone().oneshot(request).await?).await
    }
}

/// A response, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
    extensions: Extensions,
}

impl Answer {
    async fn read(answer: Response<Incoming>) -> Result<Self, BoxError> {
        let (parts, body) = answer.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok(Self {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: String::from_utf8_lossy(&body).into_owned(),
            extensions: parts.extensions,
        })
    }

    /// Returns why a rejected request was not retried.
    pub(crate) fn not_retried(&self) -> Option<&NotRetried> {
        self.extensions.get()
    }

    /// Returns a string member of the JSON object.
    pub(crate) fn text(&self, name: &str) -> Result<String, BoxError> {
        let json: Value = serde_json::from_str(&self.body)
            .map_err(|error| format!("{error:#}: {} {}", self.status, self.body))?;
        let text = json[name].as_str().map(str::to_owned);
        text.ok_or_else(|| format!("no `{name}` in {}", self.body).into())
    }
}

/// Sends a request without the layer.
pub(crate) async fn get(url: &str) -> Result<Answer, BoxError> {
    let request = Request::get(url).body(Full::default())?;
    Answer::read(Http::new().oneshot(request).await?).await
}

/// Sends a request with a token, without the layer.
pub(crate) async fn get_with(url: &str, token: &str) -> Result<Answer, BoxError> {
    let request = Request::get(url)
        .header("authorization", format!("Bearer {token}"))
        .body(Full::default())?;
    Answer::read(Http::new().oneshot(request).await?).await
}

/// Sends a form as the client `svc`, without the layer.
pub(crate) async fn post_form(url: &str, form: &[(&str, &str)]) -> Result<Answer, BoxError> {
    let body: Vec<String> = form
        .iter()
        .map(|(name, value)| format!("{name}={}", encoded(value)))
        .collect();
    let basic = STANDARD.encode("svc:s3cret");
    let request = Request::post(url)
        .header("authorization", format!("Basic {basic}"))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Full::from(body.join("&")))?;
    Answer::read(Http::new().oneshot(request).await?).await
}

pub(crate) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}
