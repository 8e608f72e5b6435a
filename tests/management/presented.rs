//! What whoever has a token may do with it.

use serde_json::{Value, json};

use super::{
    support::{Answer, Call, Product, TOKENS},
    util::ann,
};

const TOKEN: &str = "/settings/api/token";
const INTROSPECT: &str = "/settings/api/introspect";
const REVOKE: &str = "/settings/api/revoke";

#[tokio::test]
async fn who_am_i_and_revoke_myself() {
    let product = Product::new();
    let token = product.token("acme", "sources:read").await;
    let text = token.token.expose_secret();
    let send =
        async |method: &str| product.send(Call::new(method, TOKEN).bearer(text).text("")).await;
    let me = send("GET").await.ok(200);
    assert_eq!(me["id"], token.record.id.as_str());
    assert_eq!(me["name"], "a token");
    let revoked = send("DELETE").await.ok(200);
    assert_eq!(revoked["status"], "revoked");
    assert_eq!(revoked["revocation"]["by"], "ann");
    assert_eq!(send("GET").await.error(401), "invalid_token");
    // A session is no token.
    let session = Call::new("GET", TOKEN).field("x-user", "ann").text("");
    assert_eq!(product.send(session).await.error(401), "");
}

async fn introspect(product: &Product, caller: &str, token: &str) -> Answer {
    product.send(Call::new("POST", INTROSPECT).bearer(caller).form(&format!("token={token}"))).await
}

#[tokio::test]
async fn introspection() {
    let product = Product::new();
    let plain = product.token("acme", "sources:read flows:run").await;
    let reader = product.token("acme", "tokens:read").await;
    let other = product.token("beta", "sources:read").await;
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
    assert_eq!(introspect(&product, text, text).await.ok(200), known, "itself");
    assert_eq!(introspect(&product, reads, text).await.ok(200), known, "another");
    let inactive = json!({"active": false});
    for (caller, token) in [
        (text, reads),
        (reads, other.token.expose_secret()),
        (reads, "acme_live_x"),
        (reads, ""),
        (reads, &text.replace("acme_live_", "acme_live_x")),
    ] {
        assert_eq!(introspect(&product, caller, token).await.ok(200), inactive);
    }
    product.issuer.revoke(plain.record.id, &ann(), None).await.unwrap();
    assert_eq!(introspect(&product, reads, text).await.ok(200), inactive);
    assert_eq!(introspect(&product, text, reads).await.error(401), "invalid_token");
    let anonymous = Call::new("POST", INTROSPECT).form(&format!("token={reads}"));
    assert_eq!(product.send(anonymous).await.error(401), "");
}

#[tokio::test]
async fn whoever_has_a_token_revokes_it() {
    let product = Product::new();
    let revoke = async |body: &str| product.send(Call::new("POST", REVOKE).form(body)).await;
    let token = product.token("acme", "").await;
    let text = token.token.expose_secret();
    let status = async |id: &str| {
        let path = format!("{TOKENS}/{id}");
        product.ann("GET", &path, Value::Null).await.ok(200)["status"].clone()
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
    let disabled = product.token("acme", "").await;
    product.issuer.disable(disabled.record.id, &ann()).await.unwrap();
    revoke(&format!("token={}", disabled.token.expose_secret())).await;
    assert_eq!(status(disabled.record.id.as_str()).await, "revoked");
}

#[tokio::test]
async fn forms_that_are_none() {
    let product = Product::new();
    let token = product.token("acme", "").await;
    let text = token.token.expose_secret();
    for path in [REVOKE, INTROSPECT] {
        let send = async |call: axum::http::Request<axum::body::Body>| product.send(call).await;
        let call = || Call::new("POST", path).bearer(text);
        for body in ["", "toke=x", &format!("token={text}&token={text}")] {
            assert_eq!(send(call().form(body)).await.error(400), "invalid_request", "{body}");
        }
        let json = send(call().json(&json!({"token": text}))).await;
        assert_eq!(json.error(415), "invalid_request");
        assert_eq!(send(call().text(&format!("token={text}"))).await.error(415), "invalid_request");
        let large = format!("token={}", "x".repeat(65 * 1024));
        assert_eq!(send(call().form(&large)).await.error(413), "too_large");
    }
    assert!(product.verifier.verify(text.as_bytes()).await.is_ok());
}
