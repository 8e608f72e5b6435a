//! The signature: what verifies, and that nothing else does.

use api_tokens::{
    LeakSource,
    leak::reports::{LeakPolicy, Reports, SignedReports},
};
use axum::{
    Router,
    body::Body,
    http::{HeaderName, Request, StatusCode},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::{
    Published, Signing, Told, app, app_of, document, github_request, in_memory, leak_reported,
    reports, revoked, send,
};

/// A report that GitHub has published: the body, the id of the key, the signature, and the key.
struct Sample {
    body: &'static str,
    id: &'static str,
    signature: &'static str,
    key: &'static str,
}

const SAMPLES: [Sample; 2] = [
    Sample {
        body: r#"[{"source":"commit","token":"some_token","type":"some_type","url":"https://example.com/base-repo-url/"}]"#,
        id: "bcb53661c06b4728e59d897fb6165d5c9cda0fd9cdf9d09ead458168deb7518c",
        signature: "MEQCIQDaMKqrGnE27S0kgMrEK0eYBmyG0LeZismAEz/BgZyt7AIfXt9fErtRS4XaeSt/AO1RtBY66YcAdjxji410VQV4xg==",
        key: "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEYAGMWO8XgCamYKMJS6jc/qgvSlAdAjPuDPRcXU22YxgBrz+zoN19MzuRyW87qEt9/AmtoNP5GrobzUvQSyJFVw==",
    },
    Sample {
        body: r#"[{"token":"some_token","type":"some_type","url":"some_url","source":"some_source"}]"#,
        id: "f9525bf080f75b3506ca1ead061add62b8633a346606dc5fe544e29231c6ee0d",
        signature: "MEUCIFLZzeK++IhS+y276SRk2Pe5LfDrfvTXu6iwKKcFGCrvAiEAhHN2kDOhy2I6eGkOFmxNkOJ+L2y8oQ9A2T9GGJo6WJY=",
        key: "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEsz9ugWDj5jK5ELBK42ynytbo38gPHzZFI03Exwz8Lh/tCfL3YxwMdLjB+bMznsanlhK0RwcGP3IDb34kQDIo3Q==",
    },
];

fn pem(key: &str) -> String {
    let (first, second) = key.split_at(64);
    format!("-----BEGIN PUBLIC KEY-----\n{first}\n{second}\n-----END PUBLIC KEY-----\n")
}

fn samples_app() -> Router {
    let keys: Vec<_> = SAMPLES.iter().map(|sample| (sample.id, pem(sample.key))).collect();
    let published = Published::default();
    *published.document.lock().unwrap() = Some(document(&keys));
    app_of(&Reports::new(), SignedReports::github(published))
}

#[tokio::test]
async fn both_published_samples_verify() {
    let app = samples_app();
    for sample in &SAMPLES {
        let request = github_request(sample.id, sample.signature, sample.body);
        let answer = send(&app, request).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        let hash = "9a45520a1213f15016d2d768b5fb3d904492a44ee274b44d4de8803e00fb536a";
        let expected = json!([
            { "token_hash": hash, "token_type": "some_type", "label": "false_positive" }
        ]);
        assert_eq!(answer.json(), expected);
        assert_eq!(answer.headers["cache-control"], "no-store");
    }
}

#[tokio::test]
async fn no_single_bit_of_the_body_can_be_changed() {
    let app = samples_app();
    let mut tried = 0;
    for sample in &SAMPLES {
        for bit in 0..8 * sample.body.len() {
            let mut body = sample.body.as_bytes().to_vec();
            body[bit / 8] ^= 1 << (bit % 8);
            let answer = send(&app, github_request(sample.id, sample.signature, body)).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "bit {bit}");
            tried += 1;
        }
        for body in [format!("{}\n", sample.body), sample.body[1..].to_owned(), String::new()] {
            let answer = send(&app, github_request(sample.id, sample.signature, body)).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN);
        }
    }
    assert_eq!(tried, 8 * (SAMPLES[0].body.len() + SAMPLES[1].body.len()));
}

#[tokio::test]
async fn no_single_bit_of_the_signature_can_be_changed() {
    let app = samples_app();
    let refused = async |id: &str, signature: &str, body: &'static str, bit: usize| {
        let answer = send(&app, github_request(id, signature, body)).await;
        let is_refused = [StatusCode::FORBIDDEN, StatusCode::BAD_REQUEST].contains(&answer.status);
        assert!(is_refused, "bit {bit}: {}", answer.status);
    };
    for sample in &SAMPLES {
        let der = BASE64_STANDARD.decode(sample.signature).unwrap();
        for bit in 0..8 * der.len() {
            let mut der = der.clone();
            der[bit / 8] ^= 1 << (bit % 8);
            refused(sample.id, &BASE64_STANDARD.encode(der), sample.body, bit).await;
        }
        // Of its text: also the bits that base64 does not use.
        for bit in 0..8 * sample.signature.len() {
            let mut text = sample.signature.as_bytes().to_vec();
            text[bit / 8] ^= 1 << (bit % 8);
            // What cannot stand in a header field never comes.
            let Ok(text) = String::from_utf8(text) else { continue };
            if text.bytes().all(|byte| byte.is_ascii_graphic()) {
                refused(sample.id, &text, sample.body, bit).await;
            }
        }
        let longer = [&*der, &[0]].concat();
        refused(sample.id, &BASE64_STANDARD.encode(longer), sample.body, 0).await;
        // Right, but of the other key.
        let other = SAMPLES.iter().find(|other| other.id != sample.id).unwrap();
        refused(other.id, sample.signature, sample.body, 0).await;
    }
}

/// What is answered about a text.
fn labelled(text: &str, label: &str) -> Value {
    let digest: [u8; 32] = Sha256::digest(text.as_bytes()).into();
    let digits = digest.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    let digits = digits.map(|digit| char::from_digit(digit.into(), 16).unwrap());
    let hash: String = digits.collect();
    json!({ "token_hash": hash, "token_type": "acme_api_token", "label": label })
}

#[tokio::test]
async fn a_signed_report_revokes_and_says_so() {
    let (tokens, signing) = (in_memory(), Signing::new(1));
    let app = app(&reports(&tokens, LeakPolicy::Revoke), &signing);
    let token = tokens.create().await;
    let text = token.expose_secret();
    let url = "https://github.com/octocat/Hello-World/blob/1234/foo.txt";
    let body = json!([
        { "token": text, "type": "acme_api_token", "url": url, "source": "commit" },
        { "token": "acme_live_something", "type": "acme_api_token", "url": "", "source": "commit" },
    ]);
    let answer = send(&app, signing.request(body.to_string())).await;
    assert_eq!(answer.status, StatusCode::OK);
    let expected =
        json!([labelled(text, "true_positive"), labelled("acme_live_something", "false_positive")]);
    assert_eq!(answer.json(), expected);
    assert!(!answer.body.contains(text));

    let expected = [leak_reported("github: commit", Some(url)), revoked("github: commit")];
    assert_eq!(tokens.history(token.id()).await, expected);
    // And so do those who follow what happens.
    assert!(tokens.events.kinds().ends_with(&expected));
    assert!(!tokens.is_accepted(&token).await);
}

#[tokio::test]
async fn white_space_around_a_token_is_no_part_of_it() {
    let (tokens, signing, told) = (in_memory(), Signing::new(1), Told::default());
    let reports = reports(&tokens, LeakPolicy::Revoke).notifier(told.clone());
    let app = app(&reports, &signing);
    let token = tokens.create().await;
    let text = token.expose_secret();
    let texts = [format!("{text}\n"), text.to_owned(), format!("\t {text}\r\n")];
    let entries = texts.each_ref().map(|text| json!({ "token": text, "type": "acme_api_token" }));
    let answer = send(&app, signing.request(json!(entries).to_string())).await;
    // Of each as it came: that is what they know it by.
    let expected = texts.each_ref().map(|text| labelled(text, "true_positive"));
    assert_eq!(answer.json(), json!(expected));
    assert_eq!(
        tokens.history(token.id()).await,
        [leak_reported("github", None), revoked("github")]
    );
    assert_eq!(told.take(1).await.len(), 1);

    let blank = json!([{ "token": " \n", "type": "acme_api_token" }]).to_string();
    let answer = send(&app, signing.request(blank)).await;
    assert_eq!(answer.json(), json!([labelled(" \n", "false_positive")]));
}

#[tokio::test]
async fn a_replayed_body_does_nothing() {
    let (tokens, signing) = (in_memory(), Signing::new(1));
    let app = app(&reports(&tokens, LeakPolicy::Quarantine), &signing);
    let token = tokens.create().await;
    let body = json!([{ "token": token.expose_secret(), "type": "t", "url": "https://a.example/", "source": "commit" }]);
    let report = || signing.request(body.to_string());
    let first = send(&app, report()).await;
    let (record, history) = (tokens.record(token.id()).await, tokens.history(token.id()).await);
    assert!(record.disabled);
    for _ in 0..3 {
        assert_eq!(send(&app, report()).await.body, first.body);
    }
    assert_eq!(tokens.record(token.id()).await, record);
    assert_eq!(tokens.history(token.id()).await, history);

    // Not even after its owner has looked at it, and enabled it again.
    tokens.issuer.enable(token.id(), &crate::util::ann()).await.unwrap();
    assert_eq!(send(&app, report()).await.body, first.body);
    assert!(tokens.is_accepted(&token).await);
    // Another place is news.
    let body = body.to_string().replace("a.example", "b.example");
    send(&app, signing.request(body)).await;
    assert!(!tokens.is_accepted(&token).await);
}

#[tokio::test]
async fn a_reordered_body_does_nothing() {
    let (tokens, signing) = (in_memory(), Signing::new(1));
    let app = app(&reports(&tokens, LeakPolicy::Revoke), &signing);
    let [first, second] = [tokens.create().await, tokens.create().await];
    let [one, other] = [&first, &second]
        .map(|token| format!(r#"{{"token":"{}","type":"t"}}"#, token.expose_secret()));
    let signature = signing.sign(format!("[{one},{other}]").as_bytes());
    let members = |entry: &str| {
        let (token, kind) = entry.trim_matches(['{', '}']).split_once(',').unwrap();
        format!("{{{kind},{token}}}")
    };
    for body in [
        format!("[{other},{one}]"),
        format!("[{one},{one}]"),
        format!("[{one}]"),
        format!("[{one}, {other}]"),
        // The order of the members.
        format!("[{},{}]", members(&one), members(&other)),
    ] {
        let answer = send(&app, github_request(&signing.id, &signature, body.clone())).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{body}");
    }
    for token in [&first, &second] {
        assert!(tokens.is_accepted(token).await);
        assert_eq!(tokens.history(token.id()).await, []);
    }
    // It was a good signature, of what was signed.
    let body = format!("[{one},{other}]");
    let answer = send(&app, github_request(&signing.id, &signature, body)).await;
    assert_eq!(answer.status, StatusCode::OK);
    for token in [&first, &second] {
        assert!(!tokens.is_accepted(token).await);
    }
}

#[tokio::test]
async fn a_forged_body_does_nothing() {
    let (tokens, signing) = (in_memory(), Signing::new(1));
    let app = app(&reports(&tokens, LeakPolicy::Revoke), &signing);
    let token = tokens.create().await;
    let body = json!([{ "token": token.expose_secret() }]).to_string();
    for request in [
        // Of a key that nobody has published, under its own id and under that of one that is. The
        // first makes the keys be fetched: it is known that there is none.
        Signing::new(2).request(body.clone()),
        Signing { id: signing.id.clone(), ..Signing::new(2) }.request(body.clone()),
        // Of another body.
        github_request(&signing.id, &signing.sign(b"[]"), body.clone()),
    ] {
        let answer = send(&app, request).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{}", answer.body);
    }
    assert!(tokens.is_accepted(&token).await);
    assert_eq!(tokens.history(token.id()).await, []);
}

#[tokio::test]
async fn the_header_fields_are_needed_once_each() {
    let signing = Signing::new(1);
    let app = app(&Reports::new(), &signing);
    let signature = signing.sign(b"[]");
    let request = |fields: &[(&str, &str)]| {
        let mut request = Request::post("/github");
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        request.body(Body::from("[]")).unwrap()
    };
    let (id_name, signature_name) = ("GITHUB-PUBLIC-KEY-IDENTIFIER", "github-public-key-signature");
    let (id, signature) = ((id_name, &*signing.id), (signature_name, &*signature));
    let long = "a".repeat(201);
    for (status, fields) in [
        (StatusCode::OK, &[id, signature][..]),
        (StatusCode::BAD_REQUEST, &[]),
        (StatusCode::BAD_REQUEST, &[id]),
        (StatusCode::BAD_REQUEST, &[signature]),
        (StatusCode::BAD_REQUEST, &[id, id, signature]),
        (StatusCode::BAD_REQUEST, &[id, signature, signature]),
        (StatusCode::BAD_REQUEST, &[id, (signature_name, "")]),
        (StatusCode::BAD_REQUEST, &[id, (signature_name, "%")]),
        (StatusCode::BAD_REQUEST, &[id, (signature_name, "AAAA")]),
        (StatusCode::BAD_REQUEST, &[id, (signature_name, &long)]),
        (StatusCode::BAD_REQUEST, &[(id_name, &long), signature]),
        // Whether there is such a key was asked too short a time ago.
        (StatusCode::SERVICE_UNAVAILABLE, &[(id_name, ""), signature]),
        (StatusCode::SERVICE_UNAVAILABLE, &[(id_name, "other"), signature]),
    ] {
        let answer = send(&app, request(fields)).await;
        assert_eq!(answer.status, status, "{fields:?}");
        assert!(!answer.body.contains("other") && !answer.body.contains("aaaa"));
    }
    let get = Request::get("/github").body(Body::empty()).unwrap();
    assert_eq!(send(&app, get).await.status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn other_services_have_other_fields() {
    let (tokens, signing) = (in_memory(), Signing::new(1));
    let reports = reports(&tokens, LeakPolicy::Revoke);
    let published = Published::new(&[&signing]);
    let name = HeaderName::from_static;
    let source: LeakSource = "a scanner".parse().unwrap();
    let own = SignedReports::new(source, name("x-key"), name("x-signature"), published.clone());
    let app = Router::new()
        .route("/deps-dev", reports.signed(SignedReports::deps_dev(published)))
        .route("/own", reports.signed(own));
    for (path, id, signature, source) in [
        ("/deps-dev", "GOSST-PUBLIC-KEY-IDENTIFIER", "GOSST-PUBLIC-KEY-SIGNATURE", "deps.dev"),
        ("/own", "x-key", "x-signature", "a scanner"),
    ] {
        let token = tokens.create().await;
        let body = json!([{ "token": token.expose_secret() }]).to_string();
        let request = Request::post(path)
            .header(id, &signing.id)
            .header(signature, signing.sign(body.as_bytes()))
            .body(body.into())
            .unwrap();
        assert_eq!(send(&app, request).await.status, StatusCode::OK);
        let expected = [leak_reported(source, None), revoked(source)];
        assert_eq!(tokens.history(token.id()).await, expected);
    }
}
