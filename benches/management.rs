//! What the management API and page cost where a project has 100,000 tokens, in SQLite on disk: from the
//! request to the whole answer, without the network.

#[path = "../tests/util/mod.rs"]
mod util;

use api_tokens::{
    Issuer, Keyring, Project, SqliteOptions, TokenRecord, TokenStore, Verifier, WriteBatch,
    management::{self, Access, AccessError, Grant},
    prefix,
};
use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Request, request::Parts},
};
use criterion::{Criterion, criterion_group, criterion_main};
use jiff::Timestamp;
use tower::ServiceExt;
use util::{id, record};

const COUNT: usize = 100_000;

/// As many as are sorted.
const OF_BEN: usize = 10_000;

struct Ann;

impl Access for Ann {
    async fn grant(&self, _: &Parts, _: &Project) -> Result<Grant, AccessError> {
        Ok(Grant::read("ann".parse().expect("a person")))
    }
}

fn lists(criterion: &mut Criterion) {
    let directory = tempfile::tempdir().expect("a directory");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let options = SqliteOptions::new(directory.path().join("tokens.db"));
    options.migrate().expect("migrate");
    let store = options.open().expect("open");
    runtime.block_on(async {
        for batch in 0..COUNT / 5_000 {
            let inserts = (batch * 5_000..(batch + 1) * 5_000).map(token).collect();
            store.write(&WriteBatch { inserts, ..WriteBatch::default() }).await.expect("insert");
        }
    });
    let verifier = Verifier::new(prefix!("test"), &Keyring::unkeyed(), store);
    let app = Router::new().nest("/settings", management::router(Issuer::new(&verifier), Ann));
    let mut group = criterion.benchmark_group("list 50 of 100,000");
    group.sample_size(10);
    for (name, path) in [
        ("the newest", "api/projects/acme/tokens?limit=50"),
        ("those that are active", "api/projects/acme/tokens?limit=50&status=active"),
        ("one by its name, which is none", "api/projects/acme/tokens?limit=50&name=*x*"),
        ("of an owner's 10,000, by name", "api/projects/acme/tokens?limit=50&owner=ben&sort=name"),
        (
            "of an owner's 10,000, by last use",
            "api/projects/acme/tokens?limit=50&owner=ben&sort=last_used",
        ),
        ("the page", "projects/acme/tokens"),
    ] {
        let path = format!("/settings/{path}");
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let request = Request::get(&path).body(Body::empty()).expect("a request");
                runtime.block_on(async {
                    let response = app.clone().oneshot(request).await.expect("an answer");
                    assert_eq!(response.status(), 200);
                    to_bytes(response.into_body(), usize::MAX).await.expect("a body")
                })
            });
        });
    }
}

fn token(number: usize) -> TokenRecord {
    let owner = if number < OF_BEN { "ben" } else { "ann" };
    let second = i64::try_from(number).expect("a small number");
    TokenRecord {
        owner: owner.parse().expect("an owner"),
        name: format!("token {}", number * 7_919 % COUNT).parse().expect("a name"),
        created_at: Timestamp::from_second(second).expect("an instant"),
        ..record(id(number), 1)
    }
}

criterion_group!(benches, lists);
criterion_main!(benches);
