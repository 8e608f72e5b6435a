//! A token is shown once: whatever somebody does afterwards, it is not on the screen again.

use serde_json::json;

use crate::{
    browser::Browser,
    steps::{LIST, Visit, id, secret},
};

#[test]
fn nothing_brings_a_token_back() {
    let Some(browser) = Browser::start() else { return };
    let shown = after_everything(&Visit::signed_in(browser));
    assert!(!shown.is_after_reload, "to reload is to see the list");
}

#[test]
fn nothing_brings_a_token_back_without_javascript() {
    let Some(browser) = Browser::without_scripts() else { return };
    let shown = after_everything(&Visit::signed_in(browser));
    // Chromium asks whether to send the form again. chromedriver has it say yes.
    assert!(shown.is_after_reload, "the form is sent again");
}

struct Shown {
    /// Whether there is a token after a reload: another one.
    is_after_reload: bool,
}

/// Every way back to where a token was shown.
fn after_everything(visit: &Visit) -> Shown {
    let browser = &visit.browser;
    let mut once = Once { visit, tokens: Vec::new() };

    once.show("Done, and back");
    browser.follow("dialog .buttons .primary");
    once.is_gone("after Done");
    browser.back();
    once.is_gone("after Done and Back");
    browser.back();
    once.is_gone("after Back again");

    once.show("Elsewhere, and back");
    visit.open("/");
    browser.back();
    once.is_gone("after a visit elsewhere");
    visit.open(LIST);
    once.is_gone("on the list");

    once.show("Reloaded");
    browser.leave("reload", || browser.reload());
    once.is_gone("after a reload");
    let is_after_reload = browser.count("#plaintext") > 0;
    if is_after_reload {
        let again = visit.shown();
        assert!(visit.is_accepted(&again));
        assert!(!once.tokens.contains(&again), "a new one");
        assert!(!visit.is_accepted(once.tokens.last().unwrap()), "in place of the first one");
        once.tokens.push(again);
    }
    visit.open(LIST);
    once.is_gone("on the list");
    once.is_nowhere_in_addresses();
    Shown { is_after_reload }
}

struct Once<'a> {
    visit: &'a Visit,
    tokens: Vec<String>,
}

impl Once<'_> {
    #[track_caller]
    fn show(&mut self, name: &str) {
        let token = self.visit.create(name);
        assert!(self.visit.browser.source().contains(secret(&token)), "it would be found");
        self.visit.path();
        self.tokens.push(token);
    }

    #[track_caller]
    fn is_gone(&self, when: &str) {
        let browser = &self.visit.browser;
        let script =
            "return document.documentElement.innerText + location + JSON.stringify(history.state)";
        let seen = browser.source() + browser.run(script).as_str().unwrap_or_default();
        self.is_not_in(&seen, when);
        let history = browser.devtools("Page.getNavigationHistory", &json!({}));
        self.is_not_in(&history.to_string(), when);
    }

    /// Neither in a URL that the browser asked for, nor in one that it told as the referrer.
    #[track_caller]
    fn is_nowhere_in_addresses(&self) {
        let base = self.visit.service.base();
        let requests = self.visit.browser.requests();
        assert!(requests.len() > 20, "{requests:#?}");
        for request in requests {
            let url = request["url"].as_str().unwrap();
            assert!(url.starts_with(base), "elsewhere: {url}");
            self.is_not_in(&format!("{url}{}", request["headers"]), "in a request");
        }
    }

    #[track_caller]
    fn is_not_in(&self, text: &str, when: &str) {
        for token in &self.tokens {
            assert!(!text.contains(secret(token)), "{when}: {text}");
        }
    }
}

/// To go back to the form and to send it again is to want another token.
#[test]
fn a_form_that_made_its_token_makes_another() {
    let Some(browser) = Browser::start() else { return };
    let visit = Visit::signed_in(browser);
    let browser = &visit.browser;
    let first = visit.create("First");
    browser.click("[data-copy=plaintext]");
    browser.until("copied", || browser.text("#said") == "Copied");
    browser.follow("dialog .buttons .primary");
    browser.back();
    assert_eq!(visit.path(), format!("{LIST}/new"));
    browser.until("a form as new", || browser.value("#name").is_empty());
    browser.write("#name", "Second");
    browser.click("input[value='sources:read']");
    browser.follow("dialog button.primary");
    let second = visit.shown();
    assert!(visit.is_accepted(&first) && visit.is_accepted(&second));
}

/// What a browser keeps for its button Back, if it keeps the page at all.
#[test]
fn a_page_that_is_left_has_no_token_any_more() {
    let Some(browser) = Browser::start() else { return };
    let visit = Visit::signed_in(browser);
    let token = visit.create("Left");
    let left = "dispatchEvent(new PageTransitionEvent('pagehide', {persisted: true}));
        return document.documentElement.outerHTML";
    let html = visit.browser.run(left);
    let html = html.as_str().unwrap();
    assert!(html.contains("API Tokens") && !html.contains(secret(&token)), "{html}");
}

#[test]
fn no_token_gets_into_the_log() {
    let Some(browser) = Browser::start() else { return };
    let visit = Visit::signed_in(browser);
    let token = visit.create("Not logged");
    assert!(visit.is_accepted(&token));
    visit.open(LIST);
    // Somebody wants to know which one theirs is.
    visit.browser.write("input[name=search]", &token);
    visit.browser.follow(".filter button");
    assert_eq!(visit.browser.count("tbody tr"), 1);
    assert_eq!(visit.path(), format!("{LIST}?search={}", id(&token)));
    visit.open(&format!("{LIST}/{}/revoke", id(&token)));
    visit.browser.follow("dialog .danger");
    assert!(!visit.is_accepted(&token));
    let (_, log) = visit.service.stop("TERM");
    assert!(log.contains("is revoked") && !log.contains(secret(&token)), "{log}");
}
