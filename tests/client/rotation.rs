//! A token is rotated under load: nobody who sends it notices.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use api_tokens::{
    BearerLayer, Issuer, Keyring, MemoryStore, Rotate, TokenId, Verified, Verifier,
    client::{ClientToken, SendToken, TokenSource},
    prefix,
};
use axum::{Router, routing::get};
use jiff::SignedDuration;
use reqwest_middleware::ClientWithMiddleware;

use crate::{
    Files, load,
    server::Server,
    util::{ann, new_token},
};

/// A real service, with a token of it in a file.
struct Service {
    issuer: Issuer<MemoryStore>,
    server: Server,
    files: Files,
    id: TokenId,
}

impl Service {
    async fn new() -> Self {
        let verifier = Verifier::new(prefix!("acme_live"), &Keyring::unkeyed(), MemoryStore::new());
        let issuer = Issuer::new(&verifier);
        let app = Router::new()
            .route("/", get(async |token: Verified| token.id().to_string()))
            .route_layer(BearerLayer::new(verifier));
        let server = Server::start(app).await;
        let files = Files::new();
        let created = issuer.create(new_token("a program's"), &ann()).await.unwrap();
        files.write("token", created.token.expose_secret());
        Self { issuer, server, files, id: created.record.id }
    }

    fn client(&self, token: &ClientToken) -> ClientWithMiddleware {
        let send = SendToken::new(token.clone(), [self.server.url("")]).unwrap();
        send.client(reqwest::Client::builder()).unwrap()
    }

    fn file(&self) -> TokenSource {
        TokenSource::file(self.files.path("token"))
    }

    /// A command that prints the file, slowly, and leaves a line in `log`.
    fn command(&self) -> TokenSource {
        let (log, path) = (self.files.path("log"), self.files.path("token"));
        let script = format!("echo >>{}; sleep 0.1; cat {}", log.display(), path.display());
        TokenSource::command("sh", ["-c", &script])
    }

    /// Writes the new token down, and only then refuses the old one.
    async fn rotate(&self) -> TokenId {
        let overlap = Rotate::with_overlap(SignedDuration::from_hours(1));
        let rotated = self.issuer.rotate(self.id, &ann(), overlap).await.unwrap();
        self.files.write("token", rotated.token.expose_secret());
        self.issuer.finish_rotation(self.id, &ann()).await.unwrap();
        rotated.record.id
    }
}

/// Sends requests, 50 at a time, until it is told to stop. How many there were, and how many were
/// refused.
struct Load {
    stop: Arc<AtomicBool>,
    senders: Vec<tokio::task::JoinHandle<(usize, usize)>>,
    sent: Arc<AtomicUsize>,
}

impl Load {
    fn start(client: &ClientWithMiddleware, url: &str) -> Self {
        let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let sender = |_| {
            let (client, url) = (client.clone(), url.to_owned());
            let (stop, sent) = (Arc::clone(&stop), Arc::clone(&sent));
            tokio::spawn(async move {
                let (mut count, mut refused) = (0, 0);
                while !stop.load(Ordering::SeqCst) {
                    let response = client.get(&url).send().await.unwrap();
                    count += 1;
                    sent.fetch_add(1, Ordering::SeqCst);
                    refused += usize::from(response.status() != 200);
                }
                (count, refused)
            })
        };
        let senders = (0..50).map(sender).collect();
        Self { stop, senders, sent }
    }

    /// Waits until some more requests have been answered.
    async fn go_on(&self) {
        let goal = self.sent.load(Ordering::SeqCst) + 500;
        let began = Instant::now();
        while self.sent.load(Ordering::SeqCst) < goal {
            assert!(began.elapsed() < Duration::from_secs(120), "too slow");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn stop(self) -> (usize, usize) {
        self.stop.store(true, Ordering::SeqCst);
        let (mut count, mut refused) = (0, 0);
        for sender in self.senders {
            let (sent, failed) = sender.await.unwrap();
            count += sent;
            refused += failed;
        }
        (count, refused)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_is_refused_while_a_token_is_rotated_and_its_source_is_read_once() {
    let service = Service::new().await;
    let token = load(service.command()).await.unwrap();
    let load = Load::start(&service.client(&token), &service.server.url("/"));
    load.go_on().await;
    let new = service.rotate().await;
    load.go_on().await;
    let (sent, refused) = load.stop().await;
    assert!(sent >= 1000);
    assert_eq!(refused, 0);
    assert_eq!(token.current().await.id(), new);
    assert_eq!(service.files.lines("log"), 2);
    // Some were refused at first, else this would say nothing.
    let seen = service.server.take();
    assert!(seen.len() > sent, "{} {sent}", seen.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_is_refused_while_a_token_in_a_file_is_rotated() {
    let service = Service::new().await;
    let token = load(service.file()).await.unwrap();
    let load = Load::start(&service.client(&token), &service.server.url("/"));
    load.go_on().await;
    let new = service.rotate().await;
    load.go_on().await;
    assert_eq!(load.stop().await.1, 0);
    assert_eq!(token.current().await.id(), new);
}

/// If the file comes later, requests are refused until it does, and a second more.
#[tokio::test]
async fn what_is_written_too_late_is_found_nevertheless() {
    let service = Service::new().await;
    let token = load(service.file()).await.unwrap();
    let client = service.client(&token);
    let rotated = service.issuer.rotate(service.id, &ann(), Rotate::default()).await.unwrap();
    let status = async || client.get(service.server.url("/")).send().await.unwrap().status();
    assert_eq!(status().await, 401);
    service.files.write("token", rotated.token.expose_secret());
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(status().await, 200);
}

/// A revoked token does not start a program for each request.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_token_is_read_again_once() {
    let service = Service::new().await;
    let token = load(service.command()).await.unwrap();
    service.issuer.revoke(service.id, &ann(), None).await.unwrap();
    let began = Instant::now();
    let load = Load::start(&service.client(&token), &service.server.url("/"));
    load.go_on().await;
    let (sent, refused) = load.stop().await;
    assert_eq!(sent, refused);
    // Every five seconds; this takes less than one where nothing else runs.
    let most = 3 + usize::try_from(began.elapsed().as_secs() / 5).unwrap();
    assert!((2..=most).contains(&service.files.lines("log")));
}
