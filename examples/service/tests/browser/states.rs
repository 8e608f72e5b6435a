//! Every state of the pages, for whoever looks at each of them.

use serde_json::{Value, json};

use crate::{
    browser::Browser,
    steps::{LIST, Visit, id},
};

/// Leads from state to state, and calls `look` in each with its name.
pub(crate) fn look_at_each(browser: Browser, mut look: impl FnMut(&Browser, &str)) {
    let visit = Visit::begin(browser);
    let tokens = Tokens::make(&visit);
    let at = |path: &str| visit.open(path);
    let follow = |css: &str| visit.browser.follow(css);
    let mut look = |name: &str| look(&visit.browser, name);

    at(LIST);
    look("sign-in");
    visit.browser.write("#password", "wrong");
    follow("form button");
    look("sign-in-refused");
    visit.sign_in();
    look("list-in-use");
    at("/");
    look("home");
    at("/management/projects/empty/tokens");
    look("list-empty");
    at(&format!("{LIST}?search=nothing"));
    look("list-nothing-found");
    at(&format!("{LIST}?status=all"));
    look("list");

    at(&format!("{LIST}/new"));
    look("create");
    visit.browser.choose("#lifetime", "day");
    look("create-another-day");
    visit.browser.write("#name", "Without scopes");
    visit.browser.choose("#lifetime", "30");
    follow("dialog button.primary");
    look("create-refused");
    visit.browser.click("input[value='sources:read']");
    follow("dialog button.primary");
    look("shown");
    for client in ["claude-desktop", "vs-code"] {
        visit.browser.click(&format!("details:has(#mcp-{client}) summary"));
    }
    look("shown-clients");

    at(&format!("{LIST}/{}", tokens.used));
    look("token");
    follow("form[action*='/disable'] button");
    look("token-disabled");
    at(&format!("{LIST}/{}", tokens.rotating));
    look("token-rotating");
    at(&format!("{LIST}/{}/rotation/finish", tokens.rotating));
    look("finish");
    at(&format!("{LIST}/{}/rotation/cancel", tokens.rotating));
    look("undo");
    at(&format!("{LIST}/{}/rotate", tokens.unused));
    look("rotate");
    follow("dialog button.primary");
    look("rotated");
    at(&format!("{LIST}/{}", tokens.longest));
    look("token-longest");
    at(&format!("{LIST}/{}/revoke", tokens.longest));
    look("delete-longest");
    at(&format!("{LIST}/{}/revoke", tokens.used));
    look("delete");
    follow("dialog button.danger");
    look("deleted");
    at(&format!("{LIST}/{}", tokens.used));
    look("token-deleted");
    at(&format!("{LIST}/aaaaaaaaaaaaaaaa"));
    look("not-found");
}

/// Tokens of every status.
struct Tokens {
    used: String,
    unused: String,
    rotating: String,
    longest: String,
}

impl Tokens {
    fn make(visit: &Visit) -> Self {
        let make = |body: &Value| {
            let answer = visit.service.manage("POST", "", body);
            assert_eq!(answer.status, 201, "{answer:?}");
            answer.json()["token"].as_str().unwrap().to_owned()
        };
        let named = |name: &str| make(&json!({"name": name, "scopes": ["sources:read"]}));
        let change = |method: &str, token: &str, path: &str, body: &Value| {
            let answer = visit.service.manage(method, &format!("/{}{path}", id(token)), body);
            assert!(answer.status < 300, "{answer:?}");
        };
        let expired = make(
            &json!({"name": "Expired", "scopes": ["sources:read"], "expires_at": in_seconds(1)}),
        );
        make(&json!({"name": "Not yet valid", "not_before": in_seconds(86_400)}));
        make(&json!({"name": "Ends soon", "expires_at": in_seconds(2 * 86_400)}));
        // As long as they can be, and without a place to break a line.
        let scopes = [&"s".repeat(128), "sources:read", "flows:run", "tokens:read", "tokens:write"];
        let longest = make(&json!({"name": "N".repeat(100), "scopes": scopes}));
        change("DELETE", &named("Revoked"), "", &Value::Null);
        change("POST", &named("Rotated at once"), "/rotate", &Value::Null);
        let rotating = named("Rotating");
        change("POST", &rotating, "/rotate", &json!({"overlap_seconds": 86_400}));
        let (used, unused) = (named("Used"), named("Unused"));
        assert!(visit.is_accepted(&used) && visit.is_accepted(&rotating));
        visit.browser.until("expired", || !visit.is_accepted(&expired));
        let id = |token: String| id(&token).to_owned();
        Self { used: id(used), unused: id(unused), rotating: id(rotating), longest: id(longest) }
    }
}

fn in_seconds(seconds: i64) -> String {
    let now = api_tokens::Clock::now(&api_tokens::SystemClock);
    (now + jiff::SignedDuration::from_secs(seconds)).to_string()
}
