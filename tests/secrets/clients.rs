//! The errors of HTTP clients, for requests that carry a secret.

use tower::{Layer, ServiceExt};
use tower_auth::{
    AuthLayer, Origins,
    credential::{ApiKey, Basic, Bearer},
    reqwest::{ReqwestService, same_origin_redirects},
};

use crate::{MARK, log, shows_nothing, tells_nothing};

/// An address where no server listens: the port was free a moment ago.
fn nowhere() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

fn client() -> reqwest::Client {
    let client = reqwest::Client::builder().redirect(same_origin_redirects());
    client.connection_verbose(true).build().unwrap()
}

#[tokio::test]
async fn a_failed_request_does_not_show_its_credential() {
    let _log = log::watch();
    let url = nowhere();
    let origins = Origins::only(&url).unwrap();
    let bearer = AuthLayer::new(Bearer::new(MARK).unwrap(), origins.clone());
    let basic = AuthLayer::new(Basic::new("me", MARK).unwrap(), origins.clone());
    let header = AuthLayer::new(ApiKey::header("x-api-key", MARK).unwrap(), origins.clone());
    let query = AuthLayer::new(ApiKey::query("key", MARK).unwrap(), origins);

    macro_rules! fails {
        ($($layer:ident),*) => {$(
            let service = $layer.layer(ReqwestService::new(client()));
            shows_nothing(&service);
            let request = http::Request::get(&url).body(reqwest::Body::default()).unwrap();
            tells_nothing(&*service.oneshot(request).await.unwrap_err());
            let with_layer = reqwest_middleware::ClientBuilder::new(client());
            let with_layer = with_layer.with($layer.middleware()).build();
            tells_nothing(&with_layer.get(&url).send().await.unwrap_err());
        )*};
    }
    fails!(bearer, basic, header, query);
    assert!(
        log::lines().contains("connect"),
        "the client reports no error"
    );
}
