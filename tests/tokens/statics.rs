use http::StatusCode;
use tower::{Service, ServiceExt};
use tower_auth::{
    AuthLayer, NotRetried, Origins, Provider,
    credential::{Basic, Bearer},
};

use crate::server::{API, Server};

/// R19: there is no other credential, so the request is not retried and the response is unchanged.
#[tokio::test(start_paused = true)]
async fn the_401_to_a_static_credential_is_final() {
    async fn check<P: Provider>(credential: P) {
        let server = Server::new();
        let origins = Origins::only("https://api.example.com").unwrap();
        let mut api = tower::Layer::layer(&AuthLayer::new(credential, origins), server.client());
        for count in 1..=3 {
            let request = http::Request::get(API).body(Default::default()).unwrap();
            let response = api.ready().await.unwrap().call(request).await.unwrap();
            assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
            assert!(response.extensions().get::<NotRetried>().is_some());
            assert_eq!(server.state().api_requests, count);
        }
    }
    check(Bearer::new("personal").unwrap()).await;
    check(Basic::new("user", "password").unwrap()).await;
}
