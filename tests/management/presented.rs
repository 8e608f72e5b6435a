//! What whoever has a token may do with it.

use api_tokens::{Edit, Expiry, Rotate};
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::{
    support::{Answer, Call, Service, TOKENS},
    util::ann,
};

const TOKEN: &str = "/settings/api/token";
const INTROSPECT: &str = "/settings/api/introspect";
const REVOKE: &str = "/settings/api/revoke";

#[tokio::test]
async fn who_am_i_and_revoke_myself() {
    let service = Service::new();
    let token = service.token("acme", "sources:read").await;
    let text = token.token.expose_secret();
    let send =
        async |method: &str| service.send(Call::new(method, TOKEN).bearer(text).text("")).await;
    let me = send("GET").await.ok(200);
    assert_eq!(me["id"], token.record.id.as_str());
    assert_eq!(me["name"], "a token");
    let again = send("GET").await.ok(200);
    assert_eq!(again["last_used"]["address"], "192.0.2.7", "as the host has it");
    let revoked = send("DELETE").await.ok(200);
    assert_eq!(revoked["status"], "revoked");
    assert_eq!(revoked["revocation"]["by"], Value::Null);
    assert_eq!(revoked["revocation"]["reason"], "presented for revocation");
    assert_eq!(send("GET").await.error(401), "invalid_token");
    // A session is no token.
    let session = Call::new("GET", TOKEN).field("x-user", "ann").text("");
    assert_eq!(service.send(session).await.error(401), "");
}

async fn introspect(service: &Service, caller: &str, token: &str) -> Answer {
    service.send(Call::new("POST", INTROSPECT).bearer(caller).form(&format!("token={token}"))).await
}

#[tokio::test]
async fn introspection() {
    let service = Service::new();
    let plain = service.token("acme", "sources:read flows:run").await;
    let reader = service.token("acme", "tokens:read").await;
    let other = service.token("beta", "sources:read").await;
    let (text, reads) = (plain.token.expose_secret(), reader.token.expose_secret());
    let known = json!({
        "active": true,
        "scope": "flows:run sources:read",
        "token_type": "Bearer",
        "sub": "ann",
        "jti": plain.record.id.as_str(),
        "project": "acme",
        "iat": plain.record.created_at.as_second(),
    });
    assert_eq!(introspect(&service, text, text).await.ok(200), known, "itself");
    assert_eq!(introspect(&service, reads, text).await.ok(200), known, "another");
    let inactive = json!({"active": false});
    for (caller, token) in [
        (text, reads),
        (reads, other.token.expose_secret()),
        (reads, "acme_live_x"),
        (reads, ""),
        (reads, &text.replace("acme_live_", "acme_live_x")),
    ] {
        assert_eq!(introspect(&service, caller, token).await.ok(200), inactive);
    }
    let edit =
        Edit { expiry: Some(Expiry::After(SignedDuration::from_secs(60))), ..Edit::default() };
    let ends = service.issuer.edit(plain.record.id, &ann(), edit).await.unwrap().expires_at;
    let exp = introspect(&service, reads, text).await.ok(200)["exp"].clone();
    assert_eq!(exp, ends.unwrap().as_second());
    let overlap = Rotate::with_overlap(SignedDuration::from_secs(30));
    let rotated = service.issuer.rotate(plain.record.id, &ann(), overlap).await.unwrap();
    let replaced = introspect(&service, text, text).await.ok(200);
    assert_eq!(replaced["replaced_by"], rotated.record.id.as_str());
    assert!(replaced["exp"].as_i64() < exp.as_i64(), "the end of the overlap");
    service.issuer.revoke(plain.record.id, &ann(), None).await.unwrap();
    assert_eq!(introspect(&service, reads, text).await.ok(200), inactive);
    assert_eq!(introspect(&service, text, reads).await.error(401), "invalid_token");
    let anonymous = Call::new("POST", INTROSPECT).form(&format!("token={reads}"));
    assert_eq!(service.send(anonymous).await.error(401), "");
}

#[tokio::test]
async fn whoever_has_a_token_revokes_it() {
    let service = Service::new();
    let revoke = async |body: &str| service.send(Call::new("POST", REVOKE).form(body)).await;
    let token = service.token("acme", "").await;
    let text = token.token.expose_secret();
    let status = async |id: &str| {
        let path = format!("{TOKENS}/{id}");
        service.ann("GET", &path, Value::Null).await.ok(200)["status"].clone()
    };
    for unknown in ["x", "acme_live_x", &text[..text.len() - 1], &text.replace("acme", "acmf")] {
        let answer = revoke(&format!("token={unknown}")).await;
        assert_eq!(
            (answer.status.as_u16(), &*answer.body),
            (200, ""),
            "the same as for a known one"
        );
    }
    assert_eq!(status(token.record.id.as_str()).await, "active");
    let answer = revoke(&format!("client_id=x&token={text}&token_type_hint=access_token")).await;
    assert_eq!((answer.status.as_u16(), &*answer.body), (200, ""));
    assert_eq!(status(token.record.id.as_str()).await, "revoked");
    assert_eq!(revoke(&format!("token={text}")).await.status, 200, "again");

    // It might be switched on again.
    let disabled = service.token("acme", "").await;
    service.issuer.disable(disabled.record.id, &ann()).await.unwrap();
    revoke(&format!("token={}", disabled.token.expose_secret())).await;
    assert_eq!(status(disabled.record.id.as_str()).await, "revoked");
}

/// Nothing can be done through a token whose parent was revoked, but it is accepted, so its holder
/// can end it.
#[tokio::test]
async fn whoever_has_a_child_of_a_revoked_token_revokes_it() {
    let service = Service::new();
    let parent = service.token("acme", "tokens:write").await;
    let child = async || {
        let call = Call::new("POST", TOKENS).bearer(parent.token.expose_secret());
        let created = service.send(call.json(&json!({"name": "x"}))).await.ok(201);
        created["token"].as_str().unwrap().to_owned()
    };
    let (one, other) = (child().await, child().await);
    service.issuer.revoke(parent.record.id, &ann(), None).await.unwrap();
    let own = Call::new("DELETE", TOKEN).bearer(&one).text("");
    assert_eq!(service.send(own).await.ok(200)["status"], "revoked");
    let form = Call::new("POST", REVOKE).form(&format!("token={other}"));
    assert_eq!(service.send(form).await.status, 200);
    for text in [one, other] {
        assert!(service.verifier.verify(text.as_bytes()).await.is_err());
    }
}

/// As it is where the token is verified.
#[tokio::test]
async fn the_reuse_of_a_replaced_token_is_noticed() {
    let mut service = Service::new();
    let reader = service.token("acme", "tokens:read").await;
    let old = service.token("acme", "").await;
    service.issuer.rotate(old.record.id, &ann(), Rotate::default()).await.unwrap();
    let inactive = json!({"active": false});
    let text = old.token.expose_secret();
    let answer = introspect(&service, reader.token.expose_secret(), text).await;
    assert_eq!(answer.ok(200), inactive);
    service.background.tick().await.unwrap();
    let path = format!("{TOKENS}/{}/events", old.record.id);
    let events = service.ann("GET", &path, Value::Null).await.ok(200);
    assert_eq!(events["events"][0]["kind"], "reuse_detected");
}

/// The successor was thrown away, so its predecessor goes on.
#[tokio::test]
async fn to_revoke_is_no_use() {
    let mut service = Service::new();
    let old = service.token("acme", "").await;
    let rotate = Rotate { retire_on_use: true, ..Rotate::with_overlap(SignedDuration::MAX) };
    let new = service.issuer.rotate(old.record.id, &ann(), rotate).await.unwrap();
    let text = new.token.expose_secret();
    let answer = service.send(Call::new("POST", REVOKE).form(&format!("token={text}"))).await;
    assert_eq!(answer.status, 200);
    service.background.tick().await.unwrap();
    let old_text = old.token.expose_secret().as_bytes();
    assert!(service.verifier.verify(old_text).await.is_ok());
}

/// Whoever asks was sent the token: that is what it is for.
#[tokio::test]
async fn to_introspect_is_a_use() {
    let service = Service::new();
    let reader = service.token("acme", "tokens:read").await;
    let stranger = service.token("beta", "tokens:read").await;
    let token = service.token("acme", "").await;
    let last_used = async || {
        let path = format!("{TOKENS}/{}", token.record.id);
        service.ann("GET", &path, Value::Null).await.ok(200)["last_used"].clone()
    };
    let text = token.token.expose_secret();
    introspect(&service, stranger.token.expose_secret(), text).await.ok(200);
    assert_eq!(last_used().await, Value::Null);
    introspect(&service, reader.token.expose_secret(), text).await.ok(200);
    let used = last_used().await;
    assert!(used["at"].is_string() && used["address"].is_null(), "{used}");
}

/// What its owner may no longer do, a token cannot do either.
#[tokio::test]
async fn introspection_heeds_the_owner() {
    use api_tokens::{
        Issuer, Keyring, MemoryStore, OwnerPolicy, OwnerRights, StoreError, TokenRecord, Verifier,
        management, prefix,
    };

    struct Some;
    impl OwnerPolicy for Some {
        async fn rights(&self, _: &TokenRecord) -> Result<OwnerRights, StoreError> {
            let scopes = "sources:read flows:* tokens:write".parse().expect("scopes");
            Ok(OwnerRights::Only(std::sync::Arc::new(scopes)))
        }
    }

    let keyring = Keyring::unkeyed();
    let builder = Verifier::builder(prefix!("acme_live"), &keyring, MemoryStore::new());
    let verifier = builder.owner_policy(Some).without_background();
    let issuer = Issuer::new(&verifier);
    let app = axum::Router::new()
        .nest("/settings", management::router(issuer.clone(), super::support::Team));
    let new =
        super::util::new_token("x").with_scopes("sources:* flows:run users:read".parse().unwrap());
    let created = issuer.create(new, &ann()).await.unwrap();
    let text = created.token.expose_secret();
    let call = Call::new("POST", INTROSPECT).bearer(text).form(&format!("token={text}"));
    let response = tower::ServiceExt::oneshot(app, call).await.unwrap();
    let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
    let seen: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(seen["scope"], "flows:run sources:read");
}

#[tokio::test]
async fn forms_that_are_none() {
    let service = Service::new();
    let token = service.token("acme", "").await;
    let text = token.token.expose_secret();
    for path in [REVOKE, INTROSPECT] {
        let send = async |call: axum::http::Request<axum::body::Body>| service.send(call).await;
        let call = || Call::new("POST", path).bearer(text);
        for body in ["", "toke=x", &format!("token={text}&token={text}")] {
            assert_eq!(send(call().form(body)).await.error(400), "invalid_request", "{body}");
        }
        let json = send(call().json(&json!({"token": text}))).await;
        assert_eq!(json.error(415), "unsupported_media_type");
        assert_eq!(
            send(call().text(&format!("token={text}"))).await.error(415),
            "unsupported_media_type"
        );
        let large = format!("token={}", "x".repeat(129 * 1024));
        assert_eq!(send(call().form(&large)).await.error(413), "too_large");
    }
    assert!(service.verifier.verify(text.as_bytes()).await.is_ok());
}
