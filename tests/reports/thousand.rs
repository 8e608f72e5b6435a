//! A thousand reports of one token, one after the other, at once, and on several nodes.

use api_tokens::{
    EventKind, SqliteOptions, Token, TokenStore,
    leak::reports::{LeakAction, LeakPlace, LeakPolicy},
};
use axum::{Router, http::StatusCode};
use serde_json::json;

use crate::support::{
    LIVE, Signing, Tokens, Told, app, found, in_memory, leak_reported, reports, revoked, send,
};

const COUNT: usize = 1000;

const URL: &str = "https://github.com/octocat/Hello-World/blob/1234/foo.txt";

/// Reports the token at once through all nodes, each time found at `url`.
async fn report(nodes: &[Router], token: &Token, url: impl Fn(usize) -> Option<String>) {
    let mut running = tokio::task::JoinSet::new();
    for number in 0..COUNT {
        let app = nodes[number % nodes.len()].clone();
        let (text, url) = (token.expose_secret().to_owned(), url(number));
        running.spawn(async move { found(&app, &text, url.as_deref()).await });
    }
    for answer in running.join_all().await {
        assert_eq!((answer.status, &*answer.body), (StatusCode::OK, r#"{"status":"revoked"}"#));
    }
}

/// Sends the same signed report a thousand times, to all nodes in turn.
async fn replay(nodes: &[Router], token: &Token) {
    /// As many as one node works on.
    const AT_ONCE: usize = 16;
    let body = json!([{ "token": token.expose_secret(), "type": "t", "url": URL }]).to_string();
    let mut running = tokio::task::JoinSet::new();
    for number in 0..COUNT {
        if running.len() >= AT_ONCE {
            assert_eq!(running.join_next().await.unwrap().unwrap(), (StatusCode::OK, true));
        }
        let app = nodes[number % nodes.len()].clone();
        let request = Signing::new(1).request(body.clone());
        running.spawn(async move {
            let answer = send(&app, request).await;
            (answer.status, answer.body.contains("true_positive"))
        });
    }
    assert!(running.join_all().await.iter().all(|answer| *answer == (StatusCode::OK, true)));
}

async fn changes_once<S: TokenStore>(nodes: &[Tokens<S>]) {
    let told = Told::default();
    let apps: Vec<_> = nodes
        .iter()
        .map(|node| reports(node, LeakPolicy::Revoke).notifier(told.clone()))
        .map(|reports| app(&reports, &Signing::new(1)))
        .collect();

    // The same report.
    let token = nodes[0].create().await;
    let before = nodes[0].record(token.id()).await;
    report(&apps, &token, |_| None).await;
    let expected = [leak_reported("found", None), revoked("found")];
    assert_eq!(nodes[0].history(token.id()).await, expected);
    assert_eq!(nodes[0].record(token.id()).await.version, before.version + 1);
    let actions: Vec<_> = told.take(1).await.into_iter().map(|leak| leak.action).collect();
    assert_eq!(actions, [LeakAction::Revoked]);
    // And once more of another place: one event, and no change.
    report(&apps, &token, |_| Some("https://a.example/".into())).await;
    let history = nodes[0].history(token.id()).await;
    assert_eq!(history[2..], [leak_reported("found", Some("https://a.example/"))]);
    assert_eq!(told.take(1).await.len(), 1);

    // The same report, signed.
    let token = nodes[0].create().await;
    let before = nodes[0].record(token.id()).await;
    replay(&apps, &token).await;
    let expected = [leak_reported("github", Some(URL)), revoked("github")];
    assert_eq!(nodes[0].history(token.id()).await, expected);
    assert_eq!(nodes[0].record(token.id()).await.version, before.version + 1);
    let actions: Vec<_> = told.take(1).await.into_iter().map(|leak| leak.action).collect();
    assert_eq!(actions, [LeakAction::Revoked]);

    // A thousand places.
    let token = nodes[0].create().await;
    report(&apps, &token, |number| Some(format!("https://a.example/{number}"))).await;
    let history = nodes[0].history(token.id()).await;
    let reported = |kind: &&EventKind| matches!(kind, EventKind::LeakReported { .. });
    assert_eq!(history.iter().filter(reported).count(), LeakPlace::MAX_RECORDED);
    assert_eq!(history.len(), LeakPlace::MAX_RECORDED + 1);
    let told = told.take(LeakPlace::MAX_RECORDED).await;
    assert_eq!(told.len(), LeakPlace::MAX_RECORDED);
    assert_eq!(told.iter().filter(|leak| leak.action == LeakAction::Revoked).count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn in_memory_a_thousand_reports_change_a_token_once() {
    changes_once(&[in_memory()]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn on_two_nodes_a_thousand_reports_change_a_token_once() {
    let directory = tempfile::tempdir().unwrap();
    let options = SqliteOptions::new(directory.path().join("tokens.db"));
    options.migrate().unwrap();
    let node = || Tokens::new(LIVE, options.open().unwrap());
    changes_once(&[node(), node()]).await;
}

#[tokio::test]
async fn a_thousand_entries_of_one_batch_change_a_token_once() {
    let (tokens, signing, told) = (in_memory(), Signing::new(1), Told::default());
    let app = app(&reports(&tokens, LeakPolicy::Revoke).notifier(told.clone()), &signing);
    let token = tokens.create().await;
    let entry = |number: usize| json!({ "token": token.expose_secret(), "type": "t", "url": format!("https://a.example/{number}") });
    let same = json!(vec![entry(0); COUNT]).to_string();
    let different = json!((0..COUNT).map(entry).collect::<Vec<_>>()).to_string();
    for (body, places) in [(same, 1), (different, LeakPlace::MAX_RECORDED)] {
        let answer = send(&app, signing.request(body)).await;
        let feedback = answer.json();
        let positive = feedback.as_array().unwrap();
        assert_eq!(positive.iter().filter(|one| one["label"] == "true_positive").count(), COUNT);
        assert_eq!(tokens.history(token.id()).await.len(), places + 1);
        assert_eq!(told.take(1).await.len(), 1);
    }
}
