//! Every route, asked by everybody.

use std::collections::BTreeSet;

use api_tokens::{
    BearerLayer, DynTokenStore, Issuer, Keyring, MemoryStore, Verifier, management, prefix,
};
use serde_json::json;
use tower::ServiceExt;

use super::support::{Call, Service, TOKENS};

/// All routes that concern a project, below its path; `{}` is the id of a token.
const ROUTES: [(&str, &str); 14] = [
    ("GET", "/tokens"),
    ("POST", "/tokens"),
    ("GET", "/tokens/{}"),
    ("PATCH", "/tokens/{}"),
    ("DELETE", "/tokens/{}"),
    ("POST", "/tokens/{}/disable"),
    ("POST", "/tokens/{}/enable"),
    ("GET", "/tokens/{}/events"),
    ("POST", "/tokens/{}/rotate"),
    ("GET", "/tokens/{}/rotation"),
    ("DELETE", "/tokens/{}/rotation"),
    ("POST", "/tokens/{}/rotation/finish"),
    ("POST", "/revocations"),
    ("GET", "/policy"),
];

/// Whether it is done, or else the status and the error: of reading, and of writing.
type Expected = [Option<(u16, &'static str)>; 2];

const DONE: Expected = [None, None];

const fn refused(status: u16, error: &'static str) -> Expected {
    [Some((status, error)); 2]
}

const fn only_read(error: &'static str) -> Expected {
    [None, Some((403, error))]
}

/// Who asks for which project.
const CALLERS: [(&str, &str, Expected); 14] = [
    // People.
    ("nobody", "acme", refused(401, "signed_out")),
    ("ann", "acme", DONE),
    ("ann", "elsewhere", refused(404, "not_found")),
    ("vic", "acme", only_read("read_only")),
    ("vic", "beta", refused(404, "not_found")),
    ("stranger", "acme", refused(404, "not_found")),
    ("oscar", "acme", refused(503, "unavailable")),
    // Tokens, by their project and scopes.
    ("token acme tokens:*", "acme", DONE),
    ("token acme *", "acme", DONE),
    ("token acme tokens:read", "acme", only_read("insufficient_scope")),
    ("token acme sources:read", "acme", refused(403, "insufficient_scope")),
    ("token beta tokens:*", "acme", refused(404, "not_found")),
    ("revoked acme tokens:*", "acme", refused(401, "invalid_token")),
    ("forged acme tokens:*", "acme", refused(401, "invalid_token")),
];

#[tokio::test]
async fn who_may_do_what() {
    for (method, route) in ROUTES {
        for (caller, project, expected) in CALLERS {
            // Anew, so that no request depends on those before.
            let service = Service::new();
            let target = service.token("acme", "").await.record.id;
            let path = route.replace("{}", target.as_str());
            let path = format!("/settings/api/projects/{project}{path}");
            let call = as_caller(&service, caller, Call::new(method, &path)).await;
            // What would be done, if it were allowed.
            let body = match route {
                "/tokens" => json!({"name": "new"}),
                "/revocations" => json!({"owner": "ann", "dry_run": true}),
                _ => json!({}),
            };
            let before = versions(&service).await;
            let answer = service.send(call.json(&body)).await;
            let what = format!("{method} {route} of {project} by {caller}: {answer:?}");
            let [reading, writing] = expected;
            match if method == "GET" { reading } else { writing } {
                Some((status, error)) => {
                    assert_eq!(answer.status, status, "{what}");
                    assert_eq!(answer.error(status), error, "{what}");
                    assert_eq!(versions(&service).await, before, "{what}");
                }
                // It is in none.
                None if route.contains("/rotation") && method != "GET" => {
                    assert_eq!(answer.error(409), "not_allowed", "{what}");
                }
                None => assert!(answer.status.is_success(), "{what}"),
            }
        }
    }
}

/// All routes of the page that concern a project.
const PAGES: [(&str, &str); 14] = [
    ("GET", "/tokens"),
    ("POST", "/tokens"),
    ("GET", "/tokens/new"),
    ("GET", "/tokens/{}"),
    ("POST", "/tokens/{}/disable"),
    ("POST", "/tokens/{}/enable"),
    ("GET", "/tokens/{}/rotate"),
    ("POST", "/tokens/{}/rotate"),
    ("GET", "/tokens/{}/rotation/finish"),
    ("POST", "/tokens/{}/rotation/finish"),
    ("GET", "/tokens/{}/rotation/cancel"),
    ("POST", "/tokens/{}/rotation/cancel"),
    ("GET", "/tokens/{}/revoke"),
    ("POST", "/tokens/{}/revoke"),
];

/// The same on the page, where some questions are asked only of who can say yes.
#[tokio::test]
async fn who_may_do_what_on_the_page() {
    for (method, route) in PAGES {
        for (caller, project, [reading, writing]) in CALLERS {
            let service = Service::new();
            let target = service.token("acme", "").await.record.id;
            let path = route.replace("{}", target.as_str());
            let path = format!("/settings/projects/{project}{path}");
            let call = as_caller(&service, caller, Call::new(method, &path)).await;
            let before = versions(&service).await;
            let form = "name=new&scope=sources:read&lifetime=never&key=1&overlap=24";
            let request = if method == "GET" { call.text("") } else { call.form(form) };
            let answer = service.send(request).await;
            let what = format!("{method} {route} of {project} by {caller}: {answer:?}");
            let is_question = ["/new", "/rotate", "/revoke", "/finish", "/cancel"];
            let is_question = is_question.iter().any(|it| route.ends_with(it));
            let expected = if method == "GET" && !is_question { reading } else { writing };
            match expected.map_or(200, |(status, _)| status) {
                200 if route.contains("/rotation") && method == "POST" => {
                    assert_eq!(answer.status, 409, "{what}");
                }
                // A token gives away what it has itself.
                200 if caller == "token acme tokens:*"
                    && (method, route) == ("POST", "/tokens") =>
                {
                    assert_eq!(answer.status, 403, "{what}");
                }
                200 => assert!(answer.status.as_u16() < 400, "{what}"),
                status => {
                    assert_eq!(answer.status, status, "{what}");
                    assert_eq!(versions(&service).await, before, "{what}");
                    // Who may only look sees it in the list, where that is shown.
                    assert!(!answer.body.contains(target.as_str()), "{what}");
                }
            }
            answer.assert_is_page();
        }
    }
}

/// Whatever is changed shows here.
async fn versions(service: &Service) -> Vec<(String, u64)> {
    let page = service.list("").await;
    let tokens = page["tokens"].as_array().unwrap().iter();
    tokens
        .map(|it| (it["id"].as_str().unwrap().to_owned(), it["version"].as_u64().unwrap()))
        .collect()
}

/// No route is forgotten above.
#[tokio::test]
async fn all_routes_are_asked() {
    let document = super::document::document(&Service::new()).await;
    let described: BTreeSet<(String, String)> = super::document::operations(&document)
        .into_iter()
        .filter_map(|(method, path, _)| {
            let route = path.strip_prefix("/projects/{project}")?.replace("{id}", "{}");
            Some((method, route))
        })
        .collect();
    let asked = ROUTES.map(|(method, route)| (method.to_owned(), route.to_owned()));
    assert_eq!(described, BTreeSet::from(asked));
}

async fn as_caller(service: &Service, caller: &str, call: Call) -> Call {
    let words: Vec<&str> = caller.split(' ').collect();
    let [kind, project, scopes] = words[..] else {
        return if caller == "nobody" { call } else { call.field("x-user", caller) };
    };
    let created = service.token(project, scopes).await;
    let text = created.token.expose_secret();
    match kind {
        "token" => call.bearer(text),
        "revoked" => {
            service.issuer.revoke(created.record.id, &super::util::ann(), None).await.unwrap();
            call.bearer(text)
        }
        // Well-formed, with the checksum of another.
        "forged" => call.bearer(&text.replace("acme_live_", "acme_live_x")[..text.len()]),
        _ => panic!("{kind}"),
    }
}

/// A token wins over a session, so that nobody acts with more than they have shown.
#[tokio::test]
async fn a_token_and_a_session() {
    let service = Service::new();
    let narrow = service.token("acme", "sources:read").await;
    let call = Call::new("GET", TOKENS).field("x-user", "ann");
    let answer = service.send(call.bearer(narrow.token.expose_secret()).text("")).await;
    assert_eq!(answer.error(403), "insufficient_scope");
    assert!(answer.headers["www-authenticate"].to_str().unwrap().contains("tokens:read"));
}

/// Where a layer around the router has verified the token, and taken it out of the header.
#[tokio::test]
async fn behind_a_layer_of_the_hosts() {
    let service = Service::new();
    let (issuer, layer) = (service.issuer.clone(), BearerLayer::new(service.verifier.clone()));
    let app = axum::Router::new()
        .nest("/settings", management::router(issuer, super::support::Team))
        .layer(layer);
    let reader = service.token("acme", "tokens:read").await;
    for (method, path, status) in [
        ("GET", TOKENS, 200),
        ("POST", TOKENS, 403),
        ("GET", "/settings/api/token", 200),
        ("GET", "/settings/api/projects/beta/tokens", 404),
    ] {
        // The session could do more.
        let call = Call::new(method, path).field("x-user", "ann");
        let request = call.bearer(reader.token.expose_secret()).json(&json!({"name": "x"}));
        let response = app.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), status, "{method} {path}");
    }

    // One of another issuer's is none here, so it is the session that counts.
    let other = Service::new();
    let router = management::router(other.issuer.clone(), super::support::Team);
    let (verifier, text) = other_environment().await;
    let app = axum::Router::new().nest("/settings", router).layer(BearerLayer::new(verifier));
    for (path, status) in [(TOKENS, 200), ("/settings/api/token", 401)] {
        let request = Call::new("GET", path).field("x-user", "vic").bearer(&text).text("");
        assert_eq!(app.clone().oneshot(request).await.unwrap().status(), status, "{path}");
    }
}

/// A verifier of another prefix, and a token of it.
async fn other_environment() -> (Verifier<MemoryStore>, String) {
    let keyring = Keyring::unkeyed();
    let verifier = Verifier::new(prefix!("acme_test"), &keyring, MemoryStore::new());
    let new = super::util::new_token("x").with_scopes("*".parse().unwrap());
    let created = Issuer::new(&verifier).create(new, &super::util::ann()).await.unwrap();
    (verifier, created.token.expose_secret().to_owned())
}

/// Bearer tokens of the host's own are the host's to judge; ours are ours, in whatever state.
#[tokio::test]
async fn other_credentials() {
    let service = Service::new();
    let long = format!("Bearer eyJh.{}.c2ln", "x".repeat(2000));
    for (fields, expected) in [
        (vec![("authorization", "Bearer eyJh.eyJz.c2ln"), ("x-user", "ann")], 200),
        (vec![("authorization", "Basic YTpi"), ("x-user", "ann")], 200),
        (vec![("authorization", "Bearer eyJh.eyJz.c2ln")], 401),
        (vec![("authorization", "Basic YTpi")], 401),
        (vec![("authorization", "Bearer acme_live_x"), ("x-user", "ann")], 401),
        (vec![("authorization", "bearer  acme_live_x"), ("x-user", "ann")], 401),
        (vec![("authorization", "Basic YTpi"), ("authorization", "Bearer acme_live_x")], 400),
        (vec![("authorization", "Bearer acme_livex_x"), ("x-user", "ann")], 200),
        (vec![("authorization", "Bearer"), ("x-user", "ann")], 200),
        (vec![("authorization", "Bearer")], 400),
        (vec![("authorization", "Basic YTpi"), ("authorization", "Basic YTpi")], 400),
        (vec![("authorization", long.as_str()), ("x-user", "ann")], 200),
        (vec![("authorization", long.as_str())], 401),
    ] {
        let mut call = Call::new("GET", TOKENS);
        for (name, value) in &fields {
            call = call.field(name, value);
        }
        let answer = service.send(call.text("")).await;
        assert_eq!(answer.status, expected, "{fields:?} {answer:?}");
        if expected == 401 {
            let challenge = answer.headers["www-authenticate"].to_str().unwrap();
            assert!(challenge.starts_with("Bearer realm="), "{challenge}");
        }
    }
    let path = format!("{TOKENS}?access_token=x");
    let answer = service.send(Call::new("GET", &path).field("x-user", "ann").text("")).await;
    assert_eq!(answer.error(400), "invalid_request");
}

#[tokio::test]
async fn attenuation_holds() {
    let service = Service::new();
    let token = service.token("acme", "tokens:* sources:read").await;
    let create = async |call: Call, scopes: &str| {
        service.send(call.json(&json!({"name": "new", "scopes": [scopes]}))).await
    };
    let through = || Call::new("POST", TOKENS).bearer(token.token.expose_secret());
    assert_eq!(create(through(), "sources:write").await.error(403), "exceeds");
    assert_eq!(create(through(), "*").await.error(403), "exceeds");
    let created = create(through(), "sources:read").await.ok(201);
    assert_eq!(created["created_through"], token.record.id.as_str());
    assert_eq!(created["owner"], "ann");

    let sam = || Call::new("POST", TOKENS).field("x-user", "sam");
    assert_eq!(create(sam(), "flows:run").await.error(403), "exceeds");
    let created = create(sam(), "sources:read").await.ok(201);
    assert_eq!(created["owner"], "sam");
}

/// What another project's token is, and whether there is one, is nobody's business.
#[tokio::test]
async fn another_projects_token_is_none() {
    let service = Service::new();
    let other = service.token("beta", "sources:read").await.record.id;
    for (method, route) in ROUTES.into_iter().filter(|(_, route)| route.contains("{}")) {
        let mut answers = Vec::new();
        for id in [other.as_str(), "aaaaaaaaaaaaaaaa", "x", "%ff", "a%2Fb"] {
            let path = format!("/settings/api/projects/acme{}", route.replace("{}", id));
            let answer = service.ann(method, &path, json!({})).await;
            assert_eq!(answer.error(404), "not_found");
            answers.push((answer.body, answer.headers));
        }
        assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{method} {route}");
    }
    let path = format!("/settings/api/projects/beta/tokens/{other}");
    assert_eq!(service.ann("GET", &path, json!({})).await.ok(200)["status"], "active");
}

#[tokio::test]
async fn another_sites_request_changes_nothing() {
    let service = Service::new();
    let token = service.token("acme", "tokens:*").await;
    let cross = |method, path: &str| {
        let call = Call::new(method, path).field("host", "app.example");
        call.field("origin", "https://evil.example").field("sec-fetch-site", "cross-site")
    };
    let call = cross("POST", TOKENS).field("x-user", "ann");
    assert_eq!(service.send(call.json(&json!({"name": "x"}))).await.error(403), "cross_site");
    // To read does no harm: the other site does not get the answer.
    let call = cross("GET", TOKENS).field("x-user", "ann");
    assert_eq!(service.send(call.text("")).await.status, 200);
    // No browser adds a token by itself.
    let call = cross("POST", TOKENS).bearer(token.token.expose_secret());
    assert_eq!(service.send(call.json(&json!({"name": "x"}))).await.status, 201);
    let call = Call::new("POST", TOKENS).field("x-user", "ann").field("host", "app.example");
    let call = call.field("origin", "https://app.example");
    assert_eq!(service.send(call.json(&json!({"name": "x"}))).await.status, 201);
}

/// The host's own parameters of the path are not the router's.
#[tokio::test]
async fn mounted_below_parameters() {
    let service = Service::new();
    let app = axum::Router::new().nest(
        "/users/{id}/{project}",
        management::router(service.issuer.clone(), super::support::Team),
    );
    let (one, other) = (service.token("acme", "").await, service.token("acme", "").await);
    let path =
        format!("/users/{}/beta/api/projects/acme/tokens/{}", one.record.id, other.record.id);
    let request = Call::new("DELETE", &path).field("x-user", "ann").text("");
    assert_eq!(app.oneshot(request).await.unwrap().status(), 200);
    assert!(service.verifier.verify(one.token.expose_secret().as_bytes()).await.is_ok());
    assert!(service.verifier.verify(other.token.expose_secret().as_bytes()).await.is_err());
}

/// Those of another environment that shares the store.
#[tokio::test]
async fn a_token_sees_those_of_its_own_prefix_only() {
    let keyring = Keyring::unkeyed();
    let store = DynTokenStore::new(MemoryStore::new());
    let [test, live] = [prefix!("acme_test"), prefix!("acme_live")]
        .map(|prefix| Issuer::new(&Verifier::new(prefix, &keyring, store.clone())));
    let ann = super::util::ann();
    let all = super::util::new_token("x").with_scopes("*".parse().unwrap());
    let through = test.create(all, &ann).await.unwrap();
    let target = live.create(super::util::new_token("y"), &ann).await.unwrap().record.id;
    live.disable(target, &ann).await.unwrap();
    let app = axum::Router::new().nest("/settings", management::router(test, super::support::Team));
    for (method, action, body) in [
        ("PATCH", "", json!({"scopes": ["*"]})),
        ("POST", "/enable", json!(null)),
        ("DELETE", "", json!(null)),
        ("GET", "", json!(null)),
    ] {
        let call = Call::new(method, &format!("{TOKENS}/{target}{action}"));
        let request = call.bearer(through.token.expose_secret()).json(&body);
        assert_eq!(app.clone().oneshot(request).await.unwrap().status(), 404, "{method} {action}");
    }
    let call = Call::new("POST", "/settings/api/projects/acme/revocations");
    let call = call.bearer(through.token.expose_secret());
    let request = call.json(&json!({"name": "*"}));
    assert_eq!(app.oneshot(request).await.unwrap().status(), 200);
    assert!(live.get(target, &ann).await.unwrap().unwrap().revocation.is_none());
}

#[tokio::test]
async fn a_project_by_any_name() {
    let service = Service::new();
    let path = "/settings/api/projects/a%2Fb%20%C3%BC/tokens";
    let created = service.ann("POST", path, json!({"name": "x"})).await;
    assert_eq!(created.ok(201)["project"], "a/b ü");
    let location = created.headers["location"].to_str().unwrap();
    assert!(location.starts_with(&format!("{path}/")), "{location}");
    assert_eq!(service.ann("GET", location, json!(null)).await.status, 200);
    for path in ["/settings/api/projects/%ff/tokens", "/settings/api/projects/%20/tokens"] {
        assert_eq!(service.ann("GET", path, json!(null)).await.error(404), "not_found");
    }
}
