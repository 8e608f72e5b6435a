//! Redirects, of real servers: the token never reaches one that it is not for.

use api_tokens::client::{SendToken, TokenSource};
use axum::{
    Router,
    extract::Path,
    http::{StatusCode, header::LOCATION},
    routing::any,
};
use reqwest::Response;
use reqwest_middleware::ClientWithMiddleware;

use crate::{Files, load, server::Server, text};

/// `/STATUS/URL` redirects to the URL; `/refused` is a 401; all else is fine.
async fn server() -> Server {
    let redirect = async |Path((status, url)): Path<(u16, String)>| {
        (StatusCode::from_u16(status).unwrap(), [(LOCATION, url)])
    };
    let app = Router::new()
        .route("/{status}/{*url}", any(redirect))
        .route("/refused", any(StatusCode::UNAUTHORIZED))
        .fallback(any("here"));
    Server::start(app).await
}

/// A service of ours, and another one.
struct Setting {
    ours: Server,
    other: Server,
    files: Files,
    client: ClientWithMiddleware,
}

impl Setting {
    async fn new() -> Self {
        Self::with(|_| Vec::new()).await
    }

    /// With more origins that are ours.
    async fn with(more: impl Fn(&Server) -> Vec<String>) -> Self {
        let (ours, other) = (server().await, server().await);
        let files = Files::new();
        let (log, path) = (files.path("log"), files.write("token", text(1)));
        let script = format!("echo >>{}; cat {}", log.display(), path.display());
        let token = load(TokenSource::command("sh", ["-c", &script])).await.unwrap();
        let origins = [vec![ours.url("")], more(&other)].concat();
        let send = SendToken::new(token, origins).unwrap();
        let client = send.client(reqwest::Client::builder()).unwrap();
        Self { ours, other, files, client }
    }

    /// From one to the next, and what came in the end.
    async fn follow(&self, status: u16, urls: &[String]) -> Response {
        let [rest @ .., last] = urls else { panic!("no URL") };
        let url = rest.iter().rev().fold(last.clone(), |next, url| {
            // Each is a redirect to what follows.
            let next = next.replace('%', "%25").replace("//", "%2F%2F");
            format!("{url}/{status}/{next}")
        });
        self.client.get(url).send().await.unwrap()
    }

    /// How many requests came to either, and with which tokens.
    fn tokens(&self) -> (Vec<Option<String>>, Vec<Option<String>>) {
        let of = |server: &Server| server.take().into_iter().map(|(_, token)| token).collect();
        (of(&self.ours), of(&self.other))
    }
}

const STATUSES: [u16; 5] = [301, 302, 303, 307, 308];

#[tokio::test]
async fn within_the_origin_the_token_goes_along() {
    let setting = Setting::new().await;
    for status in STATUSES {
        let urls = [setting.ours.url(""), setting.ours.url(""), setting.ours.url("/end")];
        let response = setting.follow(status, &urls).await;
        assert_eq!(response.url().as_str(), urls[2]);
        assert_eq!(response.text().await.unwrap(), "here");
        assert_eq!(setting.tokens(), (vec![Some(text(1)); 3], vec![]));
    }
}

/// The token alone is not all: a body may have another, or what else is for us.
#[tokio::test]
async fn elsewhere_no_redirect_leads() {
    let setting = Setting::new().await;
    let ours = setting.ours.url("");
    for end in [setting.other.url("/end"), setting.ours.local_url("/end")] {
        for status in STATUSES {
            let response = setting.follow(status, &[ours.clone(), end.clone()]).await;
            assert_eq!(response.status(), status);
            assert_eq!(response.headers()["location"], end);
            assert_eq!(setting.tokens(), (vec![Some(text(1))], vec![]));

            setting.follow(status, &[ours.clone(), ours.clone(), end.clone()]).await;
            assert_eq!(setting.tokens(), (vec![Some(text(1)); 2], vec![]));

            let url = format!("{ours}/{status}/{}", end.replace("//", "%2F%2F"));
            let response = setting.client.post(url).body("for us").send().await.unwrap();
            assert_eq!(response.status(), status);
            assert_eq!(setting.tokens(), (vec![Some(text(1))], vec![]));
        }
    }
}

#[tokio::test]
async fn what_was_done_before_a_redirect_is_not_done_again() {
    let setting = Setting::new().await;
    setting.files.write("token", text(2));
    let next = setting.ours.url("/refused").replace("//", "%2F%2F");
    let url = format!("{}/303/{next}", setting.ours.url(""));
    let response = setting.client.post(&url).body("once").send().await.unwrap();
    assert_eq!(response.status(), 401);
    assert_eq!(setting.tokens().0, vec![Some(text(1)); 2]);
    // But the next request has the new token.
    assert_eq!(setting.client.get(setting.ours.url("/end")).send().await.unwrap().status(), 200);
    assert_eq!(setting.tokens().0, vec![Some(text(2))]);
}

#[tokio::test]
async fn between_two_of_ours_it_is_left_behind_by_the_first_hop() {
    let setting = Setting::with(|other| vec![other.url("")]).await;
    let urls = [setting.ours.url(""), setting.other.url("/end")];
    assert_eq!(setting.follow(302, &urls).await.status(), 200);
    assert_eq!(setting.tokens(), (vec![Some(text(1))], vec![None]));
}

#[tokio::test]
async fn what_begins_elsewhere_is_followed_as_always() {
    let setting = Setting::new().await;
    let urls = [setting.other.url(""), setting.other.url(""), setting.other.url("/end")];
    assert_eq!(setting.follow(302, &urls).await.status(), 200);
    let urls = [setting.other.url(""), setting.ours.url(""), setting.ours.url("/end")];
    assert_eq!(setting.follow(302, &urls).await.status(), 200);
    assert_eq!(setting.tokens(), (vec![None; 2], vec![None; 4]));
}

#[tokio::test]
async fn ten_are_followed_and_no_more() {
    let setting = Setting::new().await;
    let urls = |count| [vec![setting.ours.url(""); count], vec![setting.ours.url("/end")]].concat();
    assert_eq!(setting.follow(302, &urls(10)).await.status(), 200);
    let url = urls(11).into_iter().rev().reduce(|next, url| {
        let next = next.replace('%', "%25").replace("//", "%2F%2F");
        format!("{url}/302/{next}")
    });
    let error = setting.client.get(url.unwrap()).send().await.unwrap_err();
    assert!(error.is_redirect(), "{error}");
}

#[tokio::test]
async fn a_401_where_a_redirect_led_says_nothing_of_the_token() {
    let setting = Setting::with(|other| vec![other.url("")]).await;
    setting.files.write("token", text(2));
    let urls = [setting.ours.url(""), setting.other.url("/refused")];
    assert_eq!(setting.follow(302, &urls).await.status(), 401);
    assert_eq!(setting.tokens(), (vec![Some(text(1))], vec![None]));
    assert_eq!(setting.files.lines("log"), 1);

    // Unless it led to where the token went along.
    let urls = [setting.ours.url(""), setting.ours.url("/refused")];
    assert_eq!(setting.follow(302, &urls).await.status(), 401);
    let (first, second) = (Some(text(1)), Some(text(2)));
    assert_eq!(setting.tokens().0, [first.clone(), first, second.clone(), second]);
    assert_eq!(setting.files.lines("log"), 2);
}
