//! APIs that require more than a valid token.

use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use bytes::Bytes;
use futures::future::join_all;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use tokio::time::sleep;
use tower::{Layer, Service, ServiceExt, util::BoxCloneService};
use tower_auth::{
    AuthLayer, Issued, NotRetried, Origins, Provider, ProviderError, Reason, RefreshContext,
    challenge::StepUp, credential::Bearer, oauth2::ClientCredentials,
};

type Reply = Response<Full<Bytes>>;
type Client = BoxCloneService<Request<Full<Bytes>>, Reply, Infallible>;

/// A token server that puts the scopes into the token, and an API whose paths name the scopes that
/// they require. Clones are the same server.
#[derive(Clone, Default)]
struct Servers {
    /// The scopes of each token request.
    requested: Arc<Mutex<Vec<String>>>,
}

const LIFETIME: u64 = 3600;

impl Servers {
    fn client(&self) -> Client {
        let servers = self.clone();
        BoxCloneService::new(tower::service_fn(move |request| {
            let servers = servers.clone();
            async move { Ok(servers.respond(request).await) }
        }))
    }

    async fn respond(&self, request: Request<Full<Bytes>>) -> Reply {
        let (head, body) = request.into_parts();
        if head.uri.path() == "/token" {
            let form = body.collect().await.unwrap().to_bytes();
            let form = String::from_utf8(form.to_vec()).unwrap();
            let scope = form.split('&').find_map(|pair| pair.strip_prefix("scope="));
            let scope = scope.unwrap_or_default().replace("%20", "+");
            let number = {
                let mut requested = self.requested.lock().unwrap();
                requested.push(scope.replace('+', " "));
                requested.len()
            };
            sleep(Duration::from_millis(50)).await;
            if scope.contains("forbidden") {
                return reply(
                    400,
                    "content-type",
                    "application/json",
                    r#"{"error":"invalid_scope"}"#,
                );
            }
            let token = format!(
                r#"{{"access_token":"{number}.{scope}","token_type":"bearer","expires_in":{LIFETIME}}}"#
            );
            return reply(200, "content-type", "application/json", &token);
        }
        let token = head.headers["authorization"].to_str().unwrap();
        let needed = head.uri.path().trim_start_matches('/');
        if token.split(['.', '+']).any(|scope| scope == needed) {
            return reply(200, "x-ok", "yes", "");
        }
        match needed {
            "strong" => reply(
                401,
                "www-authenticate",
                "Bearer error=\"insufficient_user_authentication\", acr_values=\"gold\"",
                "",
            ),
            _ => {
                let challenge = format!("Bearer error=\"insufficient_scope\", scope=\"{needed}\"");
                reply(403, "www-authenticate", &challenge, "")
            }
        }
    }

    fn requested(&self) -> Vec<String> {
        self.requested.lock().unwrap().clone()
    }

    fn api(
        &self,
    ) -> impl Service<
        Request<Full<Bytes>>,
        Response = Reply,
        Error = tower_auth::BoxError,
        Future: Send,
    > + Clone {
        let provider = ClientCredentials::builder("https://auth.example.com/token")
            .client_id("machine")
            .client_secret("hidden")
            .scopes(["read"])
            .step_up_scopes(["write", "forbidden", "endless"])
            .http(self.client())
            .build()
            .unwrap();
        layer(provider).layer(self.client())
    }
}

fn layer<P: Provider>(provider: P) -> AuthLayer<P> {
    AuthLayer::new(provider, Origins::only("https://api.example.com").unwrap())
}

fn reply(status: u16, name: &str, value: &str, body: &str) -> Reply {
    let response = Response::builder().status(status).header(name, value);
    response.body(Full::from(body.to_owned())).unwrap()
}

async fn call<S>(api: &S, path: &str) -> Reply
where
    S: Service<Request<Full<Bytes>>, Response = Reply, Error = tower_auth::BoxError> + Clone,
{
    let request = Request::post(format!("https://api.example.com/{path}"));
    let request = request.body(Full::from("body")).unwrap();
    api.clone().oneshot(request).await.unwrap()
}

/// RFC 6750 3.1: scopes are added once an API requires them, and remain.
#[tokio::test(start_paused = true)]
async fn a_required_scope_is_added_permanently() {
    let servers = Servers::default();
    let api = servers.api();
    assert_eq!(call(&api, "read").await.status(), 200);
    let responses = join_all((0..100).map(|_| call(&api, "write"))).await;
    assert!(responses.iter().all(|response| response.status() == 200));
    assert_eq!(servers.requested(), ["read", "read write"]);
    sleep(Duration::from_secs(LIFETIME)).await;
    assert_eq!(call(&api, "write").await.status(), 200);
    assert_eq!(servers.requested(), ["read", "read write", "read write"]);
}

#[tokio::test(start_paused = true)]
async fn a_scope_outside_the_settings_is_not_requested() {
    let servers = Servers::default();
    let api = servers.api();
    for _ in 0..3 {
        assert_eq!(call(&api, "admin").await.status(), 403);
    }
    assert_eq!(servers.requested(), ["read"]);
}

#[tokio::test(start_paused = true)]
async fn a_scope_that_is_not_granted_does_not_break_later_requests() {
    let servers = Servers::default();
    let api = servers.api();
    let refused = call(&api, "forbidden").await;
    assert_eq!(refused.status(), 403);
    let why = refused.extensions().get();
    assert!(matches!(why, Some(NotRetried::RefreshFailed(_))), "{why:?}");
    assert_eq!(call(&api, "read").await.status(), 200);
    sleep(Duration::from_secs(LIFETIME)).await;
    assert_eq!(call(&api, "read").await.status(), 200);
    assert_eq!(servers.requested(), ["read", "read forbidden", "read"]);
}

/// R32, rule 7: no token satisfies this server.
#[tokio::test(start_paused = true)]
async fn stepping_up_never_becomes_a_loop() {
    let servers = Servers::default();
    let never_content = tower::service_fn(|_: Request<Full<Bytes>>| async {
        let challenge = "Bearer error=\"insufficient_scope\", scope=\"write\"";
        Ok::<_, Infallible>(reply(403, "www-authenticate", challenge, ""))
    });
    let provider = ClientCredentials::builder("https://auth.example.com/token")
        .client_id("machine")
        .client_secret("hidden")
        .step_up_scopes(["write"])
        .http(servers.client())
        .build()
        .unwrap();
    let api = layer(provider).layer(never_content);
    let first = call(&api, "write").await;
    assert!(matches!(
        first.extensions().get(),
        Some(NotRetried::InsufficientScope)
    ));
    for _ in 0..100 {
        let response = call(&api, "write").await;
        assert_eq!(response.status(), 403);
        let why = response.extensions().get();
        assert!(
            matches!(why, Some(NotRetried::TooManyRejections { .. })),
            "{why:?}"
        );
    }
    assert_eq!(servers.requested().len(), 2);
}

/// R32: a machine cannot log in like a user. A provider that supports stepping up receives the
/// requirements.
#[tokio::test(start_paused = true)]
async fn a_stronger_login_is_requested_from_capable_providers() {
    let servers = Servers::default();
    let refused = call(&servers.api(), "strong").await;
    assert_eq!(refused.status(), 401);
    assert!(matches!(
        refused.extensions().get(),
        Some(NotRetried::InsufficientAuthentication)
    ));
    assert_eq!(servers.requested(), ["read"]);

    struct Person(Arc<AtomicUsize>);
    impl Provider for Person {
        type Credential = Bearer;

        async fn issue(
            &self,
            context: RefreshContext<Bearer>,
        ) -> Result<Issued<Bearer>, ProviderError> {
            self.0.fetch_add(1, SeqCst);
            let wanted = StepUp::from_challenges(context.challenges());
            let token = match (context.reason(), wanted) {
                (Reason::StepUp, Some(wanted)) => {
                    assert_eq!(wanted.acr_values().collect::<Vec<_>>(), ["gold"]);
                    "t.strong"
                }
                _ => "t.weak",
            };
            Ok(Issued::new(Bearer::new(token).unwrap()))
        }

        fn can_step_up(&self, wanted: &StepUp) -> bool {
            wanted.acr_values().any(|class| class == "gold")
        }
    }
    let calls = Arc::new(AtomicUsize::new(0));
    let api = layer(Person(Arc::clone(&calls)).boxed()).layer(servers.client());
    assert_eq!(call(&api, "strong").await.status(), 200);
    assert_eq!(calls.load(SeqCst), 2);
}
