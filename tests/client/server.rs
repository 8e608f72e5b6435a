//! HTTP servers that note what they were sent.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Request, State},
    http::{HeaderMap, header::AUTHORIZATION},
    middleware::{self, Next},
    response::Response,
};
use tokio::task::JoinHandle;

/// Ends when it is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    seen: Seen,
    serving: JoinHandle<()>,
}

/// Path, `Authorization` and body of each request.
type Seen = Arc<Mutex<Vec<(String, Option<String>, Bytes)>>>;

impl Server {
    pub(crate) async fn start(router: Router) -> Self {
        let seen = Seen::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = router.layer(middleware::from_fn_with_state(Arc::clone(&seen), note));
        let serving = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { address, seen, serving }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The same place, by another name.
    pub(crate) fn local_url(&self, path: &str) -> String {
        format!("http://localhost:{}{path}", self.address.port())
    }

    /// The paths that were asked for, each with the token that came with it.
    pub(crate) fn take(&self) -> Vec<(String, Option<String>)> {
        self.take_all().into_iter().map(|(path, token, _)| (path, token)).collect()
    }

    pub(crate) fn take_all(&self) -> Vec<(String, Option<String>, Bytes)> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn note(State(seen): State<Seen>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let entry = (parts.uri.path().to_owned(), authorization(&parts.headers), body.clone());
    seen.lock().unwrap().push(entry);
    next.run(Request::from_parts(parts, Body::from(body))).await
}

/// What follows `Bearer`, or all of another scheme.
pub(crate) fn authorization(headers: &HeaderMap) -> Option<String> {
    assert!(headers.get_all(AUTHORIZATION).iter().count() <= 1);
    let value = headers.get(AUTHORIZATION)?.to_str().unwrap();
    Some(value.strip_prefix("Bearer ").unwrap_or(value).to_owned())
}
