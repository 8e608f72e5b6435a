//! What the admin sees in a browser before managing tokens.

use std::fs;

use crate::support::{Answer, Place, Service};

const TOKENS: &str = "/management/api/projects/demo/tokens";

#[test]
fn the_form_lets_the_admin_in() {
    let place = Place::new();
    let service = place.start();
    let signed_out = service.curl("/", &[], b"");
    assert_eq!((signed_out.status, signed_out.header("location")), (303, Some("/sign-in")));

    let form = service.curl("/sign-in?return_to=/management/projects/demo/tokens", &[], b"");
    assert_eq!(form.status, 200, "{form:?}");
    is_a_page(&form);
    assert!(form.body.contains(r#"name="return_to" value="/management/projects/demo/tokens""#));
    assert!(!form.body.contains("alert"), "{form:?}");

    let password = service.password();
    let signed_in = service.submit("/sign-in", &[("password", &password), ("return_to", "/a")], "");
    assert_eq!((signed_in.status, signed_in.header("location")), (303, Some("/a")));
    let cookie = signed_in.header("set-cookie").unwrap();
    let (cookie, attributes) = cookie.split_once("; ").unwrap();
    let mut attributes: Vec<&str> = attributes.split("; ").collect();
    attributes.sort_unstable();
    assert_eq!(attributes, ["HttpOnly", "Max-Age=28800", "Path=/", "SameSite=Lax"]);
    assert_eq!(cookie.strip_prefix("session=").unwrap().len(), 43, "256 bits");
    assert_ne!(service.sign_in(), cookie);

    let home = service.curl("/", &["-b", cookie], b"");
    assert_eq!(home.status, 200, "{home:?}");
    is_a_page(&home);
    assert!(home.body.contains(r#"<a href="/management/projects/demo/tokens">demo</a>"#));

    let style = service.curl("/style.css", &[], b"");
    assert_eq!(style.status, 200);
    assert_eq!(style.header("content-type"), Some("text/css; charset=utf-8"));
}

#[track_caller]
fn is_a_page(answer: &Answer) {
    assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(
        answer.header("content-security-policy"),
        Some(
            "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; \
             base-uri 'none'"
        )
    );
}

#[test]
fn a_wrong_password_is_told_and_logged() {
    let place = Place::new();
    let service = place.start();
    let password = service.password();
    let wrong =
        ["", "wrong", "admin", &format!("{password}x"), &password[1..], &password.to_uppercase()];
    for wrong in wrong {
        let fields = [("password", wrong), ("return_to", "/a\"><i>")];
        let answer = service.submit("/sign-in", &fields, "");
        assert_eq!((answer.status, answer.header("set-cookie")), (401, None), "{wrong}");
        is_a_page(&answer);
        assert!(answer.body.contains(r#"role="alert""#), "{answer:?}");
        let kept = r#"name="return_to" value="/a&#34;&#62;&#60;i&#62;""#;
        assert!(answer.body.contains(kept), "{answer:?}");
        assert!(wrong.len() < 9 || !answer.body.contains(wrong), "{answer:?}");
    }
    service.submit("/sign-in", &[("return_to", "/")], "").problem(422);
    // As the file has it, with a line feed.
    let file = fs::read_to_string(place.data.join("admin-password")).unwrap();
    let signed_in = service.submit("/sign-in", &[("password", &file)], "");
    assert_eq!((signed_in.status, signed_in.header("location")), (303, Some("/")));
    let cookie = service.sign_in();
    assert_eq!(service.curl(TOKENS, &["-b", &cookie], b"").status, 200);

    let (_, log) = service.stop("TERM");
    let line = "refused sign-in: not the admin's password\n";
    assert_eq!(log, format!("{}stopping\n", line.repeat(wrong.len())));
}

#[test]
fn a_session_ends_with_the_sign_out_or_the_process() {
    let place = Place::new();
    let service = place.start();
    let (cookie, other) = (service.sign_in(), service.sign_in());
    let list = |service: &Service, cookie: &str| service.curl(TOKENS, &["-b", cookie], b"").status;
    assert_eq!([list(&service, &cookie), list(&service, &other)], [200, 200]);

    let without = service.submit("/sign-out", &[], "");
    assert_eq!((without.status, without.header("set-cookie")), (303, None), "another site's");
    service.curl("/sign-out", &["-b", &cookie], b"").problem(405);
    let other_port = ["-b", &cookie, "-X", "POST", "-H", "Sec-Fetch-Site: same-site"];
    assert_eq!(service.curl("/sign-out", &other_port, b"").status, 303);
    assert_eq!(list(&service, &cookie), 200);

    let signed_out = service.submit("/sign-out", &[], &cookie);
    assert_eq!((signed_out.status, signed_out.header("location")), (303, Some("/sign-in")));
    let removal = signed_out.header("set-cookie").unwrap();
    assert!(removal.starts_with("session=; ") && removal.contains("Max-Age=0"), "{removal}");
    assert!(removal.contains("Path=/"), "{removal}");
    assert_eq!([list(&service, &cookie), list(&service, &other)], [401, 200]);
    assert_eq!(service.curl("/", &["-b", &cookie], b"").status, 303);

    service.stop("TERM");
    assert_eq!(list(&place.start(), &other), 401);
}

#[test]
fn no_return_leaves_the_service() {
    let place = Place::new();
    let service = place.start();
    let password = service.password();
    for elsewhere in [
        "//evil.example",
        "/\\evil.example",
        "https://evil.example",
        "evil.example",
        "/\t/evil.example",
        "/\r\nSet-Cookie: session=x",
    ] {
        let fields = [("password", password.as_str()), ("return_to", elsewhere)];
        let answer = service.submit("/sign-in", &fields, "");
        assert_eq!(answer.status, 303, "{answer:?}");
        assert_eq!(answer.header("location"), Some("/"), "{elsewhere:?}");
        assert_eq!(answer.headers.matches("set-cookie").count(), 1, "{answer:?}");
    }
    for encoded in [
        "//evil.example",
        "%2F%2Fevil.example",
        "/%5Cevil.example",
        "https:%2F%2Fevil.example",
        "/%09/evil.example",
        "/%0D%0ASet-Cookie:%20session=x",
    ] {
        let form = service.curl(&format!("/sign-in?return_to={encoded}"), &[], b"");
        assert!(form.body.contains(r#"name="return_to" value="/""#), "{encoded}: {form:?}");
    }
    // Encoded twice, it is a path of this service, which has nothing there.
    let form = service.curl("/sign-in?return_to=/%252F/evil.example", &[], b"");
    assert!(form.body.contains(r#"value="/%2F/evil.example""#), "{form:?}");
    service.curl("/sign-in?return_to=/a&return_to=/b", &[], b"").problem(400);
}

#[test]
fn the_projects_are_links_to_their_tokens() {
    let place = Place::new();
    let folder = place.sources.to_str().unwrap();
    let service = place.start_with(&["--project", &format!("a b/ü={folder}")]);
    let home = service.curl("/", &["-b", service.cookie()], b"");
    let link = r#"<a href="/management/projects/a%20b%2F%C3%BC/tokens">a b/ü</a>"#;
    assert!(home.body.contains(link), "{home:?}");
    let api = "/management/api/projects/a%20b%2F%C3%BC/tokens";
    assert_eq!(service.curl(api, &["-b", service.cookie()], b"").status, 200);
}

#[test]
fn neither_password_nor_session_is_logged() {
    let place = Place::new();
    let service = place.start();
    let (password, cookie) = (service.password(), service.sign_in());
    let (_, secret) = cookie.split_once('=').unwrap();
    let wrong = format!("{password}x");
    service.submit("/sign-in", &[("password", &wrong), ("return_to", &password)], &cookie);
    for path in ["/", TOKENS, "/api/public/v1/sources", "/nothing"] {
        service.curl(path, &["-b", &cookie], b"");
        service.curl(path, &["-H", &format!("Authorization: Bearer {secret}")], b"");
    }
    service.submit("/sign-out", &[], &cookie);
    let (_, log) = service.stop("TERM");
    assert!(log.contains("refused sign-in: "), "{log}");
    assert!(!log.contains(&password) && !log.contains(secret), "{log}");
}
