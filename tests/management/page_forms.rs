//! The forms of the page: create and rotate, and the one answer that has a plaintext.

use api_tokens::{Issuer, Keyring, LifetimePolicy, TokenStore, Verifier, management, prefix};
use axum::{body::Body, http::Request};
use jiff::SignedDuration;
use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::Value;

use super::{
    broken_store::BrokenStore,
    support::{Answer, Call, PAGE, Service, TOKENS, Team},
    unlisted_store::UnlistedStore,
};

const FORM: &str = "name=Production+REST+API&scope=sources%3Aread&lifetime=30&expires_on=";

/// The key that the form names its request by.
async fn key(service: &Service, path: &str) -> String {
    service.page(path).await.between("name=\"key\" autocomplete=\"off\" value=\"", "\"").to_owned()
}

fn plaintext(answer: &Answer) -> String {
    assert_eq!(answer.status, 201, "{answer:?}");
    let element = answer.between("id=\"plaintext\"", "</code>");
    element.split_once('>').unwrap().1.to_owned()
}

#[tokio::test]
async fn a_token_is_shown_once() {
    let service = Service::new();
    let key = key(&service, &format!("{PAGE}/new")).await;
    let answer = service.post(PAGE, &format!("{FORM}&key={key}")).await;
    let text = plaintext(&answer);
    let token = service.verifier.verify(text.as_bytes()).await.unwrap();
    assert_eq!(token.name().as_str(), "Production REST API");
    assert_eq!(token.record().scopes.to_string(), "sources:read");
    assert_eq!(token.record().owner.as_str(), "ann");
    let life = token.record().expires_at.unwrap().duration_since(token.record().created_at);
    assert_eq!(life.as_hours(), 30 * 24);
    for (name, value) in &answer.headers {
        assert!(!value.to_str().unwrap().contains(&text[..30]), "{name}");
    }
    // Plain, and in what people paste.
    assert_eq!(answer.body.matches(&text).count(), 4, "{answer:?}");
    for snippet in [
        format!("ACME_API_TOKEN={text}<"),
        format!("curl -H &#39;Authorization: Bearer {text}&#39; &#39;URL&#39;<"),
        "(put its command in place of COMMAND)<".to_owned(),
    ] {
        assert!(answer.body.contains(&snippet), "{snippet}: {answer:?}");
    }
    let variable = format!("&#34;ACME_API_TOKEN&#34;: &#34;{text}&#34;");
    assert_eq!(answer.body.matches(&variable).count(), 1, "{answer:?}");
    let secret = &text[text.len() - 45..];
    for path in [PAGE.to_owned(), format!("{PAGE}/{}", token.id()), format!("{PAGE}?status=all")] {
        assert!(!service.page(&path).await.body.contains(secret), "{path}");
    }
}

/// Whoever clicks twice, or reloads, has one token.
#[tokio::test]
async fn a_form_that_is_sent_twice() {
    let service = Service::new();
    let form = format!("{FORM}&key={}", key(&service, &format!("{PAGE}/new")).await);
    let first = plaintext(&service.post(PAGE, &form).await);
    let again = service.post(PAGE, &form).await;
    let second = plaintext(&again);
    assert_ne!(first, second);
    // They may have copied the first one.
    let id = first.split('_').nth(2).unwrap();
    assert!(again.body.contains(&format!("{id} is refused from now on")), "{again:?}");
    service.verifier.verify(first.as_bytes()).await.unwrap_err();
    let token = service.verifier.verify(second.as_bytes()).await.unwrap();
    assert_eq!(service.list("?living=true").await["tokens"].as_array().unwrap().len(), 1);
    // It has been used: nothing takes its place.
    let third = service.post(PAGE, &form).await;
    assert_eq!(third.status, 409, "{third:?}");
    assert!(third.body.contains("The request was made before"), "{third:?}");
    // That form has done what it was for. This one makes another.
    let fresh = third.between("name=\"key\" autocomplete=\"off\" value=\"", "\"");
    assert!(!form.ends_with(fresh), "{third:?}");
    plaintext(&service.post(PAGE, &format!("{FORM}&key={fresh}")).await);

    let rotate = format!("{PAGE}/{}/rotate", token.id());
    let form = format!("overlap=24&key={}", key(&service, &rotate).await);
    let first = plaintext(&service.post(&rotate, &form).await);
    let again = service.post(&rotate, &form).await;
    let second = plaintext(&again);
    assert!(again.body.contains("is refused from now on</strong>"), "{again:?}");
    service.verifier.verify(first.as_bytes()).await.unwrap_err();
    service.verifier.verify(second.as_bytes()).await.unwrap();
}

#[tokio::test]
async fn what_is_in_a_form_is_text() {
    let service = Service::new();
    let page = service.page(&format!("{PAGE}/new")).await;
    assert!(page.body.contains("Read &#60;the&#62; sources"), "{page:?}");
    let answer = service.post(PAGE, "name=%22%3E%3Cb%3E&lifetime=30&key=%22%3E%3Cb%3E").await;
    let text = "value=\"&#34;&#62;&#60;b&#62;\"";
    assert_eq!(answer.body.matches(text).count(), 2, "{answer:?}");
}

/// What is wrong is told, and what was filled in stays.
#[tokio::test]
async fn forms_that_are_wrong_come_back() {
    let service = Service::new();
    let long = "x".repeat(101);
    let days = "scope=sources%3Aread&lifetime=day&key=k&name=a";
    for (form, status, text) in [
        ("scope=sources%3Aread&lifetime=30&key=k&name=", 422, "The name must not be empty."),
        (
            &*format!("scope=sources%3Aread&lifetime=30&key=k&name={long}"),
            422,
            "The name must have at most 100 characters.",
        ),
        ("scope=sources%3Aread&lifetime=30&key=k&name=a%00b", 422, "The name must not contain"),
        ("lifetime=30&key=k&name=a", 422, "The scopes must be chosen: at least one."),
        ("scope=%22&lifetime=30&key=k&name=a", 422, "The scopes are not valid"),
        ("scope=sources%3Aread&lifetime=&key=k&name=a", 422, "The expiry must be chosen."),
        ("scope=sources%3Aread&lifetime=-1&key=k&name=a", 422, "must be chosen"),
        (days, 422, "The last day must be given"),
        (&*format!("{days}&expires_on=2026-02-30"), 422, "The last day must be given"),
        (&*format!("{days}&expires_on=9999-12-31"), 422, "The last day must be given"),
        (&*format!("{days}&expires_on=2001-01-01"), 422, "must lie in the future"),
        ("scope=sources%3Aread&lifetime=30&name=a", 422, "Open the form again, please."),
        ("", 422, "The scopes must be chosen"),
    ] {
        let answer = service.post(PAGE, form).await;
        assert_eq!(answer.status, status, "{form}: {answer:?}");
        assert!(answer.body.contains(text), "{form}: {text}: {answer:?}");
        assert!(answer.body.contains("role=\"alert\""), "{form}: {answer:?}");
        let has_name = form.contains("name=a") && !form.contains("%00");
        assert!(!has_name || answer.body.contains("name=\"name\" value=\"a\""), "{answer:?}");
        let has_focus = answer.body.contains("value=\"sources:read\" autofocus");
        assert_eq!(has_focus, text.contains("The scopes "), "{form}: {answer:?}");
        let is_checked = answer.body.contains("value=\"sources:read\" checked");
        assert_eq!(is_checked, form.contains("scope=sources"), "{form}: {answer:?}");
    }
    assert_eq!(service.list("").await["tokens"].as_array().unwrap().len(), 0);
    let call = Call::new("POST", PAGE).field("x-user", "ann");
    let answer = service.send(call.json(&serde_json::json!({"name": "x"}))).await;
    answer.assert_is_page();
    assert_eq!(answer.status, 415);
    let answer = service.post(PAGE, &"x".repeat(129 * 1024)).await;
    assert_eq!(answer.status, 413);

    let id = service.token("acme", "").await.record.id;
    for (form, text) in
        [("overlap=25&key=k", "The overlap must be chosen."), ("", "must be chosen")]
    {
        let answer = service.post(&format!("{PAGE}/{id}/rotate"), form).await;
        assert_eq!(answer.status, 422);
        assert!(answer.body.contains(text), "{answer:?}");
    }
}

#[tokio::test]
async fn nobody_gives_more_than_they_have() {
    let service = Service::new();
    let sam = |call: Call| call.field("x-user", "sam");
    let page = service.send(sam(Call::new("GET", &format!("{PAGE}/new"))).text("")).await;
    assert!(page.body.contains("value=\"sources:read\""), "{page:?}");
    assert!(!page.body.contains("value=\"flows:run\""), "{page:?}");
    let form = "name=a&scope=flows%3Arun&lifetime=30&key=k";
    let answer = service.send(sam(Call::new("POST", PAGE)).form(form)).await;
    answer.assert_is_page();
    assert_eq!(answer.status, 403);
    assert!(answer.body.contains("name=\"name\" value=\"a\""), "{answer:?}");
}

/// The choices, with a `*` after the one that is chosen.
fn lifetimes(answer: &Answer) -> Vec<String> {
    let select = answer.between("name=\"lifetime\">", "</select>");
    let options = select.split("<option value=\"").skip(1);
    let option = |option: &str| {
        let (value, rest) = option.split_once('"').unwrap();
        let text = rest.split_once('>').unwrap().1.split([',', '<']).next().unwrap();
        let chosen = if rest.starts_with(" selected") { "*" } else { "" };
        format!("{value}: {text}{chosen}")
    };
    options.map(option).collect()
}

#[tokio::test]
async fn lifetimes_are_those_of_the_policy() {
    let hours = |hours| Some(SignedDuration::from_hours(hours));
    let unlimited = LifetimePolicy::default();
    for (policy, expected) in [
        (
            unlimited,
            &["30: 30 days", "60: 60 days", "90: 90 days*", "day: Another day", "never: Never"][..],
        ),
        (
            LifetimePolicy { allows_unlimited: false, default: hours(30 * 24), ..unlimited },
            &["30: 30 days*", "60: 60 days", "90: 90 days", "day: Another day"],
        ),
        (
            LifetimePolicy { default: hours(45 * 24), max: hours(80 * 24), ..unlimited },
            &["default: 45 days*", "30: 30 days", "60: 60 days", "day: Another day"],
        ),
        (
            LifetimePolicy { max: hours(7 * 24), ..unlimited },
            &["default: 7 days*", "day: Another day"],
        ),
        (LifetimePolicy { max: hours(12), ..unlimited }, &["default: 12h*"]),
        // More than is allowed.
        (
            LifetimePolicy { default: hours(90 * 24), max: hours(40 * 24), ..unlimited },
            &["default: 40 days*", "30: 30 days", "day: Another day"],
        ),
    ] {
        let service = Service::with_policy(policy);
        let page = service.page(&format!("{PAGE}/new")).await;
        let offered = lifetimes(&page);
        assert_eq!(offered, expected, "{policy:?}");
        // And each is allowed.
        let last_day = page.body.split_once(" max=\"").map(|(_, rest)| &rest[..10]);
        for choice in offered {
            let lifetime = choice.split(':').next().unwrap();
            let day = last_day.unwrap_or("2199-12-31");
            let form = format!(
                "name=a&scope=flows:run&lifetime={lifetime}&expires_on={day}&key={lifetime}"
            );
            let answer = service.post(PAGE, &form).await;
            assert_eq!(answer.status, 201, "{policy:?} {form}: {answer:?}");
        }
    }
}

/// To the end of that day, in UTC.
#[tokio::test]
async fn a_day_is_accepted_to_its_end() {
    let service = Service::new();
    let form = "name=a&scope=flows:run&lifetime=day&expires_on=2199-12-31&key=k";
    assert_eq!(service.post(PAGE, form).await.status, 201);
    let tokens = service.list("").await;
    assert_eq!(tokens["tokens"][0]["expires_at"], "2200-01-01T00:00:00Z");
}

#[tokio::test]
async fn another_site_changes_nothing() {
    let service = Service::new();
    let id = service.token("acme", "").await.record.id;
    for path in ["", "/ID/revoke", "/ID/rotate", "/ID/disable", "/ID/enable", "/ID/rotation/finish"]
    {
        let path = format!("{PAGE}{}", path.replace("ID", id.as_str()));
        for (name, value) in [
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            ("origin", "https://evil.example"),
            ("origin", "null"),
        ] {
            let call = Call::new("POST", &path).field("x-user", "ann").field("host", "app.example");
            let form = format!("{FORM}&key=k&overlap=24");
            let answer = service.send(call.field(name, value).form(&form)).await;
            answer.assert_is_page();
            assert_eq!(answer.status, 403, "{path} {name} {value}: {answer:?}");
            assert!(answer.body.contains("The request comes from another site."), "{answer:?}");
        }
    }
    let tokens = service.ann("GET", &format!("{TOKENS}?living=true"), Value::Null).await.ok(200);
    assert_eq!(tokens["tokens"].as_array().unwrap().len(), 1);
    assert_eq!(tokens["tokens"][0]["version"], 1);
}

/// An answer of a service with another store.
async fn send<S: TokenStore>(store: S, request: Request<Body>) -> Answer {
    let verifier = Verifier::new(prefix!("acme_live"), &Keyring::unkeyed(), store);
    Answer::of(management::router(Issuer::new(&verifier), Team), request).await
}

#[tokio::test]
async fn an_outage_is_an_outage() {
    let call = |method| Call::new(method, PAGE).field("x-user", "ann");
    let list = send(BrokenStore, call("GET").text("")).await;
    let create = send(BrokenStore, call("POST").form(&format!("{FORM}&key=k"))).await;
    for answer in [&list, &create] {
        answer.assert_is_page();
        assert_eq!(answer.status, 503, "{answer:?}");
        assert!(answer.body.contains("The tokens cannot be listed.</strong> Try again later."));
        assert!(!answer.body.contains("db.internal"), "{answer:?}");
    }
    // To be sent again.
    assert!(create.body.contains("value=\"Production REST API\""), "{create:?}");
    assert!(create.body.contains("name=\"key\" autocomplete=\"off\" value=\"k\""), "{create:?}");
}

/// The only copy of a plaintext.
#[tokio::test]
async fn a_token_is_shown_also_if_nothing_else_can_be() {
    let call = Call::new("POST", PAGE).field("x-user", "ann");
    let answer = send(UnlistedStore::default(), call.form(&format!("{FORM}&key=k"))).await;
    answer.assert_is_page();
    assert!(plaintext(&answer).starts_with("acme_live_"));
    assert!(answer.body.contains("The tokens cannot be listed."), "{answer:?}");
}

proptest! {
    /// Whatever is in the fields, it is answered.
    #[test]
    fn any_form_is_answered(
        fields in vec((select(&FIELDS[..]), any_value()), 0..8),
        path in select(&["", "/search", "/ID/revoke", "/ID/rotate", "/ID/disable"][..]),
    ) {
        let body = form_urlencoded(&fields);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let service = Service::new();
            let id = service.token("acme", "").await.record.id;
            let path = format!("{PAGE}{}", path.replace("ID", id.as_str()));
            let answer = service.post(&path, &body).await;
            let status = answer.status.as_u16();
            assert!([201, 303, 409, 422].contains(&status), "{body}: {answer:?}");
        });
    }
}

const FIELDS: [&str; 9] =
    ["name", "scope", "lifetime", "expires_on", "key", "overlap", "reason", "search", "status"];

/// What a field takes, and anything else.
fn any_value() -> impl Strategy<Value = String> {
    let known =
        ["", "a", "sources:read", "30", "day", "never", "default", "2199-12-31", "24", "all"];
    prop_oneof![select(known.to_vec()).prop_map(str::to_owned), any::<String>()]
}

fn form_urlencoded(fields: &[(&str, String)]) -> String {
    let percent = |byte: u8| format!("%{byte:02x}");
    let value = |value: &str| value.bytes().map(percent).collect::<String>();
    let pairs = fields.iter().map(|(name, text)| format!("{name}={}", value(text)));
    pairs.collect::<Vec<_>>().join("&")
}
