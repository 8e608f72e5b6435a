//! Keys that change, that cannot be fetched, and floods of ids that nobody has published.

use std::{
    sync::{Arc, Mutex, atomic::Ordering},
    time::Duration,
};

use api_tokens::{
    leak::reports::{HttpKeys, Reports, SignedReports},
    testing::ManualClock,
};
use axum::{Router, http::StatusCode, routing::get};
use jiff::SignedDuration;

use crate::support::{Published, Signing, app_of, document, send, start};

struct Service {
    app: Router,
    published: Published,
    clock: ManualClock,
}

impl Service {
    fn new(published: Published) -> Self {
        let clock = ManualClock::new(start());
        let github = SignedReports::github(published.clone()).clock(clock.clone());
        Self { app: app_of(&Reports::new(), github), published, clock }
    }

    async fn status(&self, signing: &Signing) -> StatusCode {
        send(&self.app, signing.request("[]")).await.status
    }

    fn pass(&self, seconds: i64) {
        self.clock.advance(SignedDuration::from_secs(seconds));
    }
}

#[tokio::test]
async fn a_new_key_is_fetched_when_it_is_used() {
    let [old, new] = [Signing::new(1), Signing::new(2)];
    let service = Service::new(Published::new(&[&old]));
    for _ in 0..3 {
        assert_eq!(service.status(&old).await, StatusCode::OK);
    }
    assert_eq!(service.published.fetches(), 1);

    service.published.publish(&[&old, &new]);
    // Too early: whether there is such a key is not known yet.
    service.pass(59);
    let early = send(&service.app, new.request("[]")).await;
    assert_eq!(early.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(early.headers["retry-after"], "1");
    service.pass(1);
    assert_eq!(service.status(&new).await, StatusCode::OK);
    assert_eq!(service.status(&old).await, StatusCode::OK);
    assert_eq!(service.published.fetches(), 2);
}

#[tokio::test]
async fn a_key_that_is_withdrawn_counts_for_an_hour_at_most() {
    let [old, new] = [Signing::new(1), Signing::new(2)];
    let service = Service::new(Published::new(&[&old]));
    assert_eq!(service.status(&old).await, StatusCode::OK);
    service.published.publish(&[&new]);
    service.pass(3599);
    assert_eq!(service.status(&old).await, StatusCode::OK);
    service.pass(1);
    assert_eq!(service.status(&old).await, StatusCode::FORBIDDEN);
    assert_eq!(service.status(&new).await, StatusCode::OK);
    assert_eq!(service.published.fetches(), 2);
}

#[tokio::test]
async fn a_flood_of_ids_costs_one_fetch_in_an_interval() {
    let signing = Signing::new(1);
    let mut published = Published::new(&[&signing]);
    published.takes = Duration::from_millis(50);
    let service = Arc::new(Service::new(published));
    let flood = async |service: &Arc<Service>| {
        let mut statuses = tokio::task::JoinSet::new();
        for number in 100..200 {
            let service = Arc::clone(service);
            statuses.spawn(async move { service.status(&Signing::new(number)).await });
        }
        statuses.join_all().await
    };
    for status in flood(&service).await {
        assert_eq!(status, StatusCode::FORBIDDEN, "the fetch has told that there are none");
    }
    assert_eq!(service.published.fetches(), 1);
    service.pass(1);
    for status in flood(&service).await {
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    }
    assert_eq!(service.published.fetches(), 1);
    // All the while, who signs is heard.
    assert_eq!(service.status(&signing).await, StatusCode::OK);
    service.pass(59);
    flood(&service).await;
    assert_eq!(service.published.fetches(), 2);
}

#[tokio::test]
async fn requests_that_come_at_once_share_a_fetch() {
    let signing = Signing::new(1);
    let mut published = Published::new(&[&signing]);
    published.takes = Duration::from_millis(50);
    let service = Arc::new(Service::new(published));
    let mut statuses = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let (service, signing) = (Arc::clone(&service), signing.clone());
        statuses.spawn(async move { service.status(&signing).await });
    }
    assert!(statuses.join_all().await.iter().all(|status| *status == StatusCode::OK));
    assert_eq!(service.published.fetches(), 1);
}

#[tokio::test]
async fn whoever_goes_away_takes_no_fetch_along() {
    let signing = Signing::new(1);
    let mut published = Published::new(&[&signing]);
    published.takes = Duration::from_millis(100);
    let service = Service::new(published);
    let stranger = Signing::new(2);
    let going = service.status(&stranger);
    assert!(tokio::time::timeout(Duration::from_millis(20), going).await.is_err());
    assert_eq!(service.status(&signing).await, StatusCode::OK);
    assert_eq!(service.published.fetches(), 1);
}

#[tokio::test]
async fn if_the_keys_cannot_be_fetched_known_ones_go_on() {
    let [old, new] = [Signing::new(1), Signing::new(2)];
    let service = Service::new(Published::new(&[&old, &new]));
    service.published.break_down();
    assert_eq!(service.status(&old).await, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(service.status(&old).await, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(service.published.fetches(), 1, "not again at once");
    service.published.publish(&[&old]);
    service.pass(10);
    assert_eq!(service.status(&old).await, StatusCode::OK);
    assert_eq!(service.published.fetches(), 2);

    for broken in [None, Some(&b""[..]), Some(b"[]"), Some(br#"{"public_keys":[]}"#)] {
        *service.published.document.lock().unwrap() = broken.map(<[u8]>::to_vec);
        service.pass(60);
        assert_eq!(service.status(&new).await, StatusCode::SERVICE_UNAVAILABLE, "{broken:?}");
        assert_eq!(service.status(&old).await, StatusCode::OK, "{broken:?}");
    }
    // Also when they are old.
    service.pass(24 * 60 * 60);
    let before = service.published.fetches();
    assert_eq!(service.status(&old).await, StatusCode::OK);
    assert_eq!(service.status(&old).await, StatusCode::OK);
    assert_eq!(service.published.fetches(), before + 1);
}

#[tokio::test(start_paused = true)]
async fn a_fetch_that_hangs_is_given_up() {
    let signing = Signing::new(1);
    let mut published = Published::new(&[&signing]);
    published.takes = Duration::from_secs(3600);
    let service = Service::new(published);
    let before = tokio::time::Instant::now();
    assert_eq!(service.status(&signing).await, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(before.elapsed().as_secs(), 10);
}

#[tokio::test]
async fn a_key_of_another_kind_takes_nothing_from_the_others() {
    let signing = Signing::new(1);
    let published = Published::default();
    let keys = [
        ("other", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n".to_owned()),
        (&*signing.id, signing.pem()),
    ];
    *published.document.lock().unwrap() = Some(document(&keys));
    let service = Service::new(published);
    assert_eq!(service.status(&signing).await, StatusCode::OK);
    assert_eq!(
        service.status(&Signing { id: "other".into(), ..signing }).await,
        StatusCode::FORBIDDEN
    );
}

#[tokio::test]
async fn keys_come_over_http() {
    let signing = Signing::new(1);
    let served = Arc::new(Mutex::new((StatusCode::OK, document(&[(&*signing.id, signing.pem())]))));
    let fetches = Published::default().fetches;
    let (serve, count) = (Arc::clone(&served), Arc::clone(&fetches));
    let server = Router::new().route(
        "/meta/public_keys/secret_scanning",
        get(move || {
            count.fetch_add(1, Ordering::SeqCst);
            let served = serve.lock().unwrap().clone();
            async move { served }
        }),
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/meta/public_keys/secret_scanning", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, server).await });

    let client = reqwest::Client::builder().no_proxy().user_agent("acme").build().unwrap();
    let keys = || SignedReports::github(HttpKeys::new(client.clone(), &url));
    let app = app_of(&Reports::new(), keys());
    for _ in 0..2 {
        assert_eq!(send(&app, signing.request("[]")).await.status, StatusCode::OK);
    }
    assert_eq!(fetches.load(Ordering::SeqCst), 1);
    // An error, and one that does not end.
    let document = served.lock().unwrap().1.clone();
    let too_large = [document.clone(), vec![b' '; 256 * 1024]].concat();
    for broken in [(StatusCode::INTERNAL_SERVER_ERROR, document), (StatusCode::OK, too_large)] {
        *served.lock().unwrap() = broken;
        let app = app_of(&Reports::new(), keys());
        let answer = send(&app, signing.request("[]")).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    }
}
