//! The page: the list, what is shown of a token, and what is not.

use std::collections::BTreeSet;

use api_tokens::{
    Client, Issuer, Keyring, MemoryStore, Project, Verifier,
    management::{self, Access, AccessError, Grant},
    prefix,
};
use axum::{Router, body::to_bytes, http::request::Parts};
use tower::ServiceExt;

use super::{
    support::{Answer, Call, PAGE, Service, Team},
    util::ann,
};

/// The ids on a page, from the top.
fn ids(answer: &Answer) -> Vec<String> {
    let parts = answer.body.split("<code id=\"id-").skip(1);
    parts.map(|part| part.split('"').next().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn nothing_yet() {
    let service = Service::new();
    let page = service.page(PAGE).await;
    assert_eq!(page.status, 200);
    assert!(page.body.contains("No tokens in use"), "{page:?}");
    assert!(page.body.contains("<title>API Tokens of acme · Acme</title>"), "{page:?}");
    let create = page.between("id=\"create\" href=\"", "\"");
    assert_eq!(create, "/settings/projects/acme/tokens/new");
    let other = service.page("/settings/projects/acme/tokens?search=x").await;
    assert!(other.body.contains("Nothing matches"), "{other:?}");
}

#[tokio::test]
async fn a_row_tells_what_people_look_for() {
    let service = Service::new();
    let created = service.token("acme", "sources:read flows:run").await;
    let (id, text) = (created.record.id, created.token.expose_secret());
    let header = format!("Bearer {text}");
    let client = Client { address: Some([192, 0, 2, 9].into()), user_agent: Some(b"curl/<8>") };
    let fields = [header.as_bytes()];
    service.verifier.verify_authorization_from(fields, client).await.unwrap();
    let page = service.page(PAGE).await;
    assert_eq!(ids(&page), [id.to_string()]);
    for part in ["<bdi>a token</bdi>", ">sources:read<", ">flows:run<", ">Active<", ">just now<"] {
        assert!(page.body.contains(part), "{part}: {page:?}");
    }
    let question = service.page(&format!("{PAGE}/{id}/revoke")).await;
    assert!(
        question.body.contains(" from 192.0.2.9 by <bdi>curl/&#60;8&#62;</bdi>"),
        "{question:?}"
    );
    for page in [page, question, service.page(&format!("{PAGE}/{id}")).await] {
        assert!(
            !page.body.contains(&text[text.len() - 45..text.len() - 6]),
            "the secret: {page:?}"
        );
    }
}

#[tokio::test]
async fn the_list_is_searched_filtered_and_sorted() {
    let service = Service::new();
    let names = ["b & b", "A", "c"];
    let mut all = Vec::new();
    for name in names {
        let new = super::util::new_token(name);
        all.push(service.issuer.create(new, &ann()).await.unwrap().record.id.to_string());
    }
    service.issuer.revoke(all[2].parse().unwrap(), &ann(), None).await.unwrap();
    service.issuer.disable(all[1].parse().unwrap(), &ann()).await.unwrap();
    for (query, expected) in [
        ("", vec![1, 0]),
        ("?status=all", vec![2, 1, 0]),
        ("?status=revoked", vec![2]),
        ("?status=disabled", vec![1]),
        ("?status=active", vec![0]),
        ("?status=expired", vec![]),
        ("?sort=oldest", vec![0, 1]),
        ("?sort=name", vec![1, 0]),
        ("?sort=last_used&status=all", vec![2, 1, 0]),
        ("?search=%26", vec![0]),
        ("?search=a", vec![1]),
        ("?search=b*b", vec![0]),
        // What means nothing is nothing.
        ("?status=x&sort=y&after=z&other=1&search=", vec![1, 0]),
        ("?sort=name&after=0000000000000000", vec![1, 0]),
    ] {
        let page = service.page(&format!("{PAGE}{query}")).await;
        let expected: Vec<String> = expected.into_iter().map(|at| all[at].clone()).collect();
        assert_eq!(page.status, 200, "{query}");
        assert_eq!(ids(&page), expected, "{query}");
    }
    // By the id, whatever its status.
    let page = service.page(&format!("{PAGE}?search={}", all[2])).await;
    assert_eq!(ids(&page), [all[2].clone()]);
    // How the list is looked at is kept.
    let page = service.page(&format!("{PAGE}?search=b&sort=name")).await;
    let create = page.between("id=\"create\" href=\"", "\"").replace("&#38;", "&");
    assert_eq!(create, format!("{PAGE}/new?search=b&sort=name"));
    let dialog = service.page(&create).await;
    assert_eq!(ids(&dialog), [all[0].clone()]);
    assert_eq!(dialog.between("data-cancel", ">"), "");
    assert!(dialog.body.contains(&format!("href=\"{PAGE}?search=b&#38;sort=name\" data-cancel")));
}

/// The form is posted, so that what is looked for is not in a URL before it was looked at.
#[tokio::test]
async fn a_token_that_is_searched_for_stays_out_of_the_url() {
    let service = Service::new();
    let created = service.token("acme", "").await;
    let (id, text) = (created.record.id, created.token.expose_secret());
    for sent in [text.to_owned(), format!("Bearer {text}"), format!("ACME_TOKEN={text}")] {
        let sent = sent.replace(' ', "+");
        let answer = service.post(&format!("{PAGE}/search"), &format!("search={sent}")).await;
        assert_eq!(answer.location(), format!("{PAGE}?search={id}"));
        assert_eq!(ids(&service.page(answer.location()).await), [id.to_string()]);
    }
    let form = "search=%20a%26b%20&status=all&sort=name";
    let answer = service.post(&format!("{PAGE}/search"), form).await;
    assert_eq!(answer.location(), format!("{PAGE}?search=a%26b&status=all&sort=name"));
    let answer = service.post(&format!("{PAGE}/search"), "status=&sort=newest").await;
    assert_eq!(answer.location(), PAGE);
}

/// What is in each link is short.
#[tokio::test]
async fn what_is_long_is_not_repeated() {
    let service = Service::new();
    for _ in 0..10 {
        service.token("acme", "").await;
    }
    for name in ["after", "search", "revoked", "status", "sort", "x"] {
        let page = service.page(&format!("{PAGE}?{name}={}", "(".repeat(8000))).await;
        assert!(page.body.len() < 40_000, "{name}: {}", page.body.len());
    }
}

#[tokio::test]
async fn many_are_on_pages() {
    let service = Service::new();
    let mut all = BTreeSet::new();
    for _ in 0..120 {
        all.insert(service.token("acme", "").await.record.id.to_string());
    }
    for sort in ["", "?sort=name"] {
        let (mut path, mut seen, mut sizes) =
            (format!("{PAGE}{sort}"), BTreeSet::new(), Vec::new());
        loop {
            let page = service.page(&path).await;
            sizes.push(ids(&page).len());
            seen.extend(ids(&page));
            if !page.body.contains("rel=\"next\"") {
                break;
            }
            path = page.between("rel=\"next\" href=\"", "\"").replace("&#38;", "&");
        }
        assert_eq!(sizes, [50, 50, 20]);
        assert_eq!(seen, all);
        let last = service.page(&path).await;
        let beginning = last
            .between("<nav class=\"pages\" aria-label=\"Pages\"><a class=\"button\" href=\"", "\"");
        assert_eq!(beginning, format!("{PAGE}{sort}"));
    }
}

#[tokio::test]
async fn names_are_text() {
    let service = Service::new();
    let hostile = "</bdi><script>alert(1)</script>\" onload=\"x' {{ 7*7 }} &amp;";
    let created = service.issuer.create(super::util::new_token(hostile), &ann()).await.unwrap();
    let id = created.record.id;
    let questions = ["rotate", "revoke"].map(|what| format!("/{id}/{what}"));
    for path in &questions {
        let page = service.page(&format!("{PAGE}{path}")).await;
        assert!(page.body.contains("&#60;script&#62;alert(1)&#60;/script&#62;"), "{page:?}");
        assert!(!page.body.contains("alert(1)</script>"), "{page:?}");
    }
    service.issuer.revoke(id, &ann(), Some("<b>reason</b>".parse().unwrap())).await.unwrap();
    for path in ["?status=all".to_owned(), format!("/{id}"), format!("?revoked={id}")] {
        let page = service.page(&format!("{PAGE}{path}")).await;
        assert_eq!(page.status, 200);
        assert!(page.body.contains("&#60;script&#62;alert(1)&#60;/script&#62;"), "{page:?}");
        assert!(!page.body.contains("alert(1)</script>"), "{page:?}");
        assert!(!page.body.contains("<b>"), "{page:?}");
    }
    let page = service.page(&format!("{PAGE}?search=%22%3E%3Cb%3E")).await;
    assert!(page.body.contains("value=\"&#34;&#62;&#60;b&#62;\""), "{page:?}");
}

/// To the byte, but for where the page itself is.
#[tokio::test]
async fn what_is_not_theirs_does_not_exist() {
    let service = Service::new();
    let other = service.token("beta", "").await.record.id;
    let mut pages = BTreeSet::new();
    for (user, project, id) in [
        ("ann", "acme", other.as_str()),
        ("ann", "acme", "0000000000000000"),
        ("ann", "acme", "no-id"),
        ("vic", "beta", other.as_str()),
        ("vic", "nowhere", other.as_str()),
    ] {
        for what in ["", "/rotate", "/revoke"] {
            let path = format!("/settings/projects/{project}/tokens/{id}{what}");
            let answer = service.send(Call::new("GET", &path).field("x-user", user).text("")).await;
            answer.assert_is_page();
            assert_eq!(answer.status, 404, "{path}");
            assert!(
                answer.body.contains("There is no such token or project, or you have no access")
            );
            pages.insert(answer.body.replace(&format!("projects/{project}/"), ""));
        }
    }
    assert_eq!(pages.len(), 1, "{pages:?}");
    // Nor does the notice of a revocation say anything of it.
    service.issuer.revoke(other, &ann(), None).await.unwrap();
    for id in [other.as_str(), "0000000000000000"] {
        let page = service.page(&format!("{PAGE}?revoked={id}")).await;
        assert!(!page.body.contains("is revoked"), "{page:?}");
    }
}

/// The notice is true: anybody can make a link.
#[tokio::test]
async fn what_is_not_revoked_is_not_said_to_be() {
    let service = Service::new();
    let id = service.token("acme", "").await.record.id;
    let page = service.page(&format!("{PAGE}?revoked={id}")).await;
    assert!(!page.body.contains("is revoked"), "{page:?}");
}

#[tokio::test]
async fn who_may_only_look_is_offered_nothing_else() {
    let service = Service::new();
    let id = service.token("acme", "").await.record.id;
    for path in [PAGE.to_owned(), format!("{PAGE}/{id}")] {
        let page = service.send(Call::new("GET", &path).field("x-user", "vic").text("")).await;
        page.assert_is_page();
        assert_eq!(page.status, 200);
        for offer in ["/new\"", "/rotate", "/revoke", "/disable"] {
            assert!(!page.body.contains(offer), "{offer}: {page:?}");
        }
    }
}

#[tokio::test]
async fn paths_and_methods_that_are_none() {
    // What anybody may ask for leads nowhere else.
    let service = Service::new();
    for path in ["/settings/projects", "/settings/projects/", "/settings/projects//x"] {
        let answer = service.send(Call::new("GET", path).field("x-user", "ann").text("")).await;
        assert_eq!(answer.status, 404, "{path}");
        assert!(!answer.body.contains("href=\"//"), "{path}: {answer:?}");
        assert!(!answer.body.contains("href=\"/assets"), "{path}: {answer:?}");
    }

    let service = Service::new();
    for (method, path, status) in [
        ("GET", "/settings/projects/acme", 404),
        ("GET", "/settings/projects/acme/tokens/", 404),
        ("GET", "/settings/projects/acme/tokens/0000000000000000/x", 404),
        ("PUT", "/settings/projects/acme/tokens", 405),
        ("GET", "/settings/projects/acme/tokens/search", 405),
    ] {
        let answer = service.send(Call::new(method, path).field("x-user", "ann").text("")).await;
        answer.assert_is_page();
        assert_eq!(answer.status, status, "{method} {path}");
    }
}

#[tokio::test]
async fn what_the_page_loads_is_there() {
    let service = Service::new();
    let page = service.page(PAGE).await;
    for (start, content_type) in
        [("<link rel=\"stylesheet\" href=\"", "text/css"), ("<script src=\"", "text/javascript")]
    {
        let path = page.between(start, "\"");
        assert!(path.starts_with("/settings/assets/page."), "{path}");
        let answer = service.send(Call::new("GET", path).text("")).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.headers["content-type"], format!("{content_type}; charset=utf-8"));
        assert_eq!(answer.headers["cache-control"], "public, max-age=3600");
        assert!(!answer.body.contains("://"), "no other host, in {path}");
    }
}

/// The host's own path, with parameters, and a project whose name needs escaping.
#[tokio::test]
async fn links_lead_to_where_it_is_mounted() {
    let service = Service::new();
    let router = Router::new().nest("/m", management::router(service.issuer.clone(), Team));
    let app = Router::new().nest("/users/{id}/x", router);
    let tokens = "/users/b%20b/x/m/projects/a%2Fb%20%C3%BC/tokens";
    let get = async |path: &str| {
        let request = Call::new("GET", path).field("x-user", "ann").text("");
        let response = app.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    };
    let (status, page) = get(tokens).await;
    assert_eq!(status, 200, "{page}");
    assert!(page.contains("Project <bdi>a/b ü</bdi>"), "{page}");
    let links: Vec<&str> =
        page.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert!(links.len() >= 3, "{links:?}");
    for link in links {
        if link.starts_with('/') {
            assert_eq!(get(link).await.0, 200, "{link}");
        }
    }
}

#[tokio::test]
async fn it_can_be_the_whole_service() {
    let service = Service::new();
    let app = Router::new().fallback_service(management::router(service.issuer.clone(), Team));
    let call = Call::new("GET", "/projects/acme/tokens").field("x-user", "ann");
    let response = app.oneshot(call.text("")).await.unwrap();
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    let page = String::from_utf8_lossy(&body);
    assert!(page.contains("href=\"/projects/acme/tokens/new\""), "{page}");
    assert!(page.contains("href=\"/assets/page.css?"), "{page}");
}

/// Nobody is signed in to see `a`, and who is has no access to all else.
struct Outside(Option<&'static str>);

impl Access for Outside {
    async fn grant(&self, _: &Parts, project: &Project) -> Result<Grant, AccessError> {
        Err(if project.as_str() == "a" { AccessError::SignedOut } else { AccessError::NoAccess })
    }

    fn product(&self) -> management::Product {
        let product = management::Product::default();
        match self.0 {
            Some(url) => product.sign_in(url),
            None => product,
        }
    }
}

#[tokio::test]
async fn who_is_not_signed_in_is_sent_to_do_so() {
    let verifier = Verifier::new(prefix!("acme_live"), &Keyring::unkeyed(), MemoryStore::new());
    for (sign_in, expected) in [
        (None, None),
        (Some("/in"), Some("/in?return_to=%2Fm%2Fprojects%2Fa%2Ftokens%2Fnew%3Fstatus%3Dall")),
        (
            Some("https://sso.example/?a=b"),
            Some(
                "https://sso.example/?a=b&return_to=%2Fm%2Fprojects%2Fa%2Ftokens%2Fnew%3Fstatus%3Dall",
            ),
        ),
    ] {
        let router = management::router(Issuer::new(&verifier), Outside(sign_in));
        let app = Router::new().nest("/m", router.clone());
        let path = "/m/projects/a/tokens/new?status=all&revoked=1";
        let response = app.clone().oneshot(Call::new("GET", path).text("")).await.unwrap();
        match expected {
            Some(url) => {
                assert_eq!(response.status(), 303);
                assert_eq!(response.headers()["location"], url);
            }
            None => assert_eq!(response.status(), 401),
        }
        // What was sent is not lost without a word.
        let response =
            app.oneshot(Call::new("POST", "/m/projects/a/tokens").form("name=x")).await.unwrap();
        assert_eq!(response.status(), 401);
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        let body = String::from_utf8_lossy(&body);
        assert!(body.contains("Nothing was done"), "{body}");
        assert_eq!(body.contains("return_to"), expected.is_some(), "{body}");
        // To who is signed in, it is no answer.
        let request = Call::new("GET", "/settings/projects/b/tokens").text("");
        let other = Answer::of(router, request).await;
        assert_eq!(other.status, 404, "{other:?}");
        assert!(!other.body.contains("return_to"), "{other:?}");
    }
}

#[tokio::test]
async fn off_and_on_and_gone() {
    let service = Service::new();
    let created = service.token("acme", "").await;
    let (id, text) = (created.record.id, created.token.expose_secret().as_bytes());
    let answer = service.post(&format!("{PAGE}/{id}/disable"), "").await;
    assert_eq!(answer.location(), format!("{PAGE}/{id}"));
    service.verifier.verify(text).await.unwrap_err();
    assert!(service.page(answer.location()).await.body.contains("/enable\""));
    let answer = service.post(&format!("{PAGE}/{id}/enable"), "").await;
    service.verifier.verify(text).await.unwrap();
    assert!(service.page(answer.location()).await.body.contains("/disable\""));

    let long = "x".repeat(201);
    let answer = service.post(&format!("{PAGE}/{id}/revoke"), &format!("reason={long}")).await;
    assert_eq!(answer.status, 422);
    assert!(answer.body.contains("The reason must have at most 200 characters."), "{answer:?}");
    assert!(answer.body.contains(&format!("value=\"{long}\"")), "nothing is lost: {answer:?}");
    service.verifier.verify(text).await.unwrap();

    let answer = service.post(&format!("{PAGE}/{id}/revoke?sort=name"), "reason=left").await;
    assert_eq!(answer.location(), format!("{PAGE}?sort=name&revoked={id}"));
    service.verifier.verify(text).await.unwrap_err();
    let page = service.page(answer.location()).await;
    assert!(page.body.contains("“<bdi>a token</bdi>” is revoked."), "{page:?}");
    assert!(ids(&page).is_empty(), "{page:?}");
    // This once: no link passes it on.
    assert!(!page.body.contains("revoked="), "{page:?}");
    // What is done is not asked about.
    for what in ["rotate", "revoke"] {
        let answer = service.page(&format!("{PAGE}/{id}/{what}")).await;
        assert_eq!(answer.location(), format!("{PAGE}/{id}"));
    }
    let page = service.page(&format!("{PAGE}/{id}")).await;
    assert!(page.body.contains("<bdi>left</bdi>"), "{page:?}");
    assert!(!page.body.contains("/revoke"), "{page:?}");
    // Again is no error.
    assert_eq!(service.post(&format!("{PAGE}/{id}/revoke"), "reason=").await.status, 303);
    assert_eq!(service.post(&format!("{PAGE}/{id}/enable"), "").await.status, 409);
}
