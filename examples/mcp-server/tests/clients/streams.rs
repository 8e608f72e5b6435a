//! An open stream ends with its token, which another process revokes.

use std::time::{Duration, Instant};

use jiff::SignedDuration;
use reqwest::Response;
use tokio::time::timeout;

use crate::{
    rig::Rig,
    util::say,
    wire::{Caller, PATIENCE},
};

/// Waits for the end, not a failure, of a stream.
async fn ended(mut stream: Response) {
    let end = async { while stream.chunk().await.expect("no failure").is_some() {} };
    timeout(PATIENCE, end).await.expect("an end");
}

/// How long it takes, for somebody who reads the output.
#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_streams_end_with_their_tokens() {
    const STREAMS: usize = 100;

    let rig = Rig::new();
    let server = rig.serve();
    let mut open = Vec::new();
    for _ in 0..STREAMS {
        let token = rig.create("sources:read").await.token;
        let caller = Caller::new(&server.url, token.expose_secret());
        let session = caller.open().await;
        let stream = caller.stream(&session).await;
        assert_eq!(stream.status(), 200);
        open.push((token.id(), stream));
    }
    let mut times = Vec::new();
    for (id, stream) in open {
        let closing = tokio::spawn(async move {
            ended(stream).await;
            Instant::now()
        });
        rig.revoke(id).await;
        let revoked = Instant::now();
        let closed = closing.await.expect("an end");
        times.push(closed.saturating_duration_since(revoked));
        // Not in step with the polls of the server.
        tokio::time::sleep(Duration::from_millis(7)).await;
    }
    times.sort();
    say(&format!(
        "from the return of revoke to the end of an open stream: median {:?}, worst {:?} of {STREAMS}",
        times[STREAMS / 2],
        times[STREAMS - 1],
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stream_of_a_predecessor_ends_and_the_session_goes_on() {
    let rig = Rig::new();
    let server = rig.serve();
    let first = rig.create("sources:read").await.token;
    let old = Caller::new(&server.url, first.expose_secret());
    let session = old.open().await;
    let stream = old.stream(&session).await;
    let second = rig.rotate(&first, SignedDuration::from_hours(1)).await.token;
    let new = Caller::new(&server.url, second.expose_secret());
    assert_eq!(new.request(&session, "tools/list", &serde_json::json!({})).await.0, 200);
    rig.finish(&first).await;
    ended(stream).await;
    let (status, text) = new.request(&session, "tools/list", &serde_json::json!({})).await;
    assert!(status == 200 && text.contains("search_sources"), "{status} {text}");
    let stream = new.stream(&session).await;
    assert_eq!(stream.status(), 200);
    rig.revoke(second.id()).await;
    ended(stream).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_with_its_token() {
    let rig = Rig::new();
    let server = rig.serve();
    let token = rig.create("sources:read").await.token;
    let caller = Caller::new(&server.url, token.expose_secret());
    let session = caller.open().await;
    let ann = "ann".parse().expect("an actor");
    // What can be taken back is an end as well: the client comes back to a new session.
    rig.issuer.disable(token.id(), &ann).await.expect("disable");
    let begin = Instant::now();
    while caller.request(&session, "ping", &serde_json::json!({})).await.0 != 401 {
        assert!(begin.elapsed() < PATIENCE);
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    rig.issuer.enable(token.id(), &ann).await.expect("enable");
    let begin = Instant::now();
    loop {
        match caller.request(&session, "ping", &serde_json::json!({})).await.0.as_u16() {
            404 => break,
            401 => assert!(begin.elapsed() < PATIENCE),
            other => panic!("{other}"),
        }
    }
    caller.open().await;
}
