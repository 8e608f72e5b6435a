//! What clients get, with which token.

use serde_json::json;

use crate::support::Place;

const SOURCES: &str = "/api/public/v1/sources";

#[test]
fn sources_are_the_documents_of_the_folder() {
    let place = Place::new();
    place.write(".hidden/a.md", "x");
    place.write("target/b.md", "x");
    place.write("node_modules/c.md", "x");
    place.write("d.exe", "x");
    place.write("latin1.txt", b"caf\xe9");
    place.write("large.txt", "x".repeat(1024 * 1024 + 1));
    std::os::unix::fs::symlink("/etc/hostname", place.sources.join("link.txt")).unwrap();
    let service = place.start();
    let answer = service.get(SOURCES, &service.token());
    assert_eq!(answer.file_names(), ["deep/er/giraffe.txt", "zebra.md"]);
    let zebra = &answer.json()[1];
    let id = zebra["file_id"].as_str().unwrap();
    assert_eq!(
        *zebra,
        json!({
            "file_id": id,
            "file_name": "zebra.md",
            "file_size": 32,
            "file_source": "local_file",
            "file_type": "md",
            "message": "Source processed successfully",
            "project_id": "demo",
            "project_name": "demo",
            "status": "completed",
            "searchable": true,
        })
    );

    let token = service.token();
    let names =
        |parameters: &str| service.get(&format!("{SOURCES}?{parameters}"), &token).file_names();
    assert_eq!(names(&format!("file_ids={id}")), ["zebra.md"]);
    assert_eq!(names(&format!("file_ids=none&file_ids={id}")), ["zebra.md"]);
    assert_eq!(names(&format!("file_ids=none,{id}")), ["zebra.md"]);
    assert_eq!(names("file_ids="), [""; 0]);
    assert_eq!(names("other=1").len(), 2);
}

#[test]
fn the_flow_finds_words() {
    let place = Place::new();
    place.write("both.md", "A giraffe. A zebra. A \"quoted\" AND word.");
    let service = place.start();
    let token = service.token();
    let search = |query: &str| service.search(&token, json!({"query": query}).to_string());

    let found = search("zebra GIRAFFE");
    assert_eq!(found.file_names()[0], "both.md");
    assert_eq!(found.file_names().len(), 3);
    let one = search("neck");
    assert_eq!(one.file_names(), ["deep/er/giraffe.txt"]);
    assert_eq!(one.json()["hits"][0]["snippet"], "The giraffe has a long neck.");
    assert_eq!(search("\"quoted\"").file_names(), ["both.md"]);
    assert_eq!(search("elephant").file_names(), [""; 0]);
}

#[test]
fn no_query_is_a_syntax_error() {
    let place = Place::new();
    let service = place.start();
    let token = service.token();
    let words = "a ".repeat(500);
    for query in [
        "\"",
        "\"\"",
        "'",
        "AND",
        "a AND",
        "NOT",
        "NEAR(",
        "NEAR(a b, 5)",
        "*",
        "a*",
        "^a",
        "text:a",
        "nosuchcolumn:a",
        "-a",
        "a + b",
        "(",
        ")",
        "{a}: b",
        "\0",
        "a\0b",
        "\"a\0",
        "🦓",
        "🦓 OR \"",
        "!!!",
        "\u{7}",
        "\u{202e}",
        "; DROP TABLE document",
        "\\",
        "%",
        "é",
        "\u{301}",
        "zebra\" OR \"giraffe",
        &words,
        words.trim(),
    ] {
        let answer = service.search(&token, json!({"query": query}).to_string());
        assert_eq!(answer.status, 200, "{query:?}: {answer:?}");
    }
    for query in ["", " \n", &"a".repeat(1001), &"🦓".repeat(1001)] {
        let detail = service.search(&token, json!({"query": query}).to_string()).problem(422);
        assert_eq!(detail, "query must have 1 to 1000 characters");
    }
    service.search(&token, json!({"query": "a".repeat(100 * 1024)}).to_string()).problem(413);
}

#[test]
fn bad_requests_are_told_what_is_wrong() {
    let place = Place::new();
    let service = place.start();
    let token = service.token();
    let detail = service.search(&token, "{}").problem(422);
    assert!(detail.contains("query"), "{detail}");
    service.search(&token, r#"{"query": 5}"#).problem(422);
    service.search(&token, "{").problem(400);
    service.search(&token, "").problem(400);
    service.search(&token, b"\xff").problem(400);
    let authorization = format!("Authorization: Bearer {token}");
    service.curl("/flows/search", &["-H", &authorization, "-d", "{}"], b"").problem(415);
    let json =
        ["-H", &authorization, "-H", "Content-Type: application/json", "-d", r#"{"query":"a"}"#];
    service.curl("/flows/other", &json, b"").problem(404);
    service.curl("/flows/%ff", &json, b"").problem(400);
    service.get("/flows/search", &token).problem(405);
    service.get("/api", &token).problem(404);
    service.curl("/nothing", &[], b"").problem(404);
}

#[test]
fn a_token_without_the_scope_is_told_which() {
    let place = Place::new();
    let service = place.start();
    let (reader, _) = service.create("demo", &["sources:read"]);
    let (runner, id) = service.create("demo", &["flows:*"]);
    let query = r#"{"query": "zebra"}"#;

    assert_eq!(service.get(SOURCES, &reader).status, 200);
    let refused = service.search(&reader, query);
    assert_eq!(refused.problem(403), "The access token lacks a required scope: flows:run");
    assert_eq!(refused.json()["scope"], "flows:run");
    assert!(refused.headers.contains(r#"error="insufficient_scope", scope="flows:run""#));

    assert_eq!(service.search(&runner, query).file_names(), ["zebra.md"]);
    assert!(service.get(SOURCES, &runner).problem(403).ends_with("sources:read"));

    let (_, log) = service.stop("TERM");
    let line =
        format!("refused {SOURCES}: 403: token {id} does not cover the scopes sources:read\n");
    assert!(log.contains(&line), "{log}");
}

#[test]
fn a_token_sees_nothing_of_another_project() {
    let place = Place::new();
    let other = place.data.with_file_name("other");
    std::fs::create_dir_all(&other).unwrap();
    std::fs::write(other.join("secret.md"), "A zebra in another project.").unwrap();
    let service = place.start_with(&["--project", &format!("other={}", other.display())]);
    let scopes = ["sources:read", "flows:run"];
    let query = r#"{"query": "zebra giraffe"}"#;

    let (of_other, _) = service.create("other", &scopes);
    let list = service.get(SOURCES, &of_other);
    assert_eq!(list.file_names(), ["secret.md"]);
    assert_eq!(list.json()[0]["project_id"], "other");
    assert_eq!(service.search(&of_other, query).file_names(), ["secret.md"]);
    let ids = service.get(SOURCES, &service.token()).json();
    let first = ids[0]["file_id"].as_str().unwrap();
    let picked = service.get(&format!("{SOURCES}?file_ids={first}"), &of_other);
    assert_eq!(picked.file_names(), [""; 0]);

    let of_demo = service.search(&service.token(), query).file_names();
    assert_eq!(of_demo.len(), 2);
    assert!(!of_demo.contains(&"secret.md".to_owned()));

    let (of_none, _) = service.create("a project without a folder", &scopes);
    assert_eq!(service.get(SOURCES, &of_none).file_names(), [""; 0]);
    assert_eq!(service.search(&of_none, query).file_names(), [""; 0]);
}

#[test]
fn what_is_no_token_is_refused_and_the_operator_knows_why() {
    let place = Place::new();
    let service = place.start();
    let token = service.token();
    let changed = if token.ends_with('0') { '1' } else { '0' };
    let garbled = format!("{}{changed}", &token[..token.len() - 1]);
    let bearer = |token: &str| service.get(SOURCES, token).problem(401);
    assert_eq!(bearer(&garbled), "The access token is invalid");
    assert_eq!(bearer("x"), "The access token is invalid");
    assert_eq!(bearer(&"x".repeat(5000)), "The access token is invalid");
    service.curl(SOURCES, &[], b"").problem(401);
    service.curl(SOURCES, &["-u", &format!("admin:{token}")], b"").problem(401);
    service.curl(&format!("{SOURCES}?access_token={token}"), &[], b"").problem(400);
    service.curl("/flows/search", &["-X", "POST"], b"").problem(401);

    let (_, log) = service.stop("TERM");
    assert!(log.contains(&format!("refused {SOURCES}: 401: malformed token")), "{log}");
    assert!(log.contains("refused /flows/{flow}: 401: no credentials"), "{log}");
    assert!(!log.contains(&token[22..]) && !log.contains(&garbled[22..]), "{log}");
}
