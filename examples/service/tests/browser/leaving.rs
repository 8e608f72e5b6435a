//! Whoever leaves without a copy is asked whether they want to.

use fantoccini::key::Key;

use crate::{
    browser::Browser,
    driver::Options,
    steps::{LIST, Visit},
};

const DONE: &str = "dialog .buttons .primary";

fn visit() -> Option<Visit> {
    let options = Options { keeps_questions: true, ..Options::default() };
    Some(Visit::signed_in(Browser::start_with(&options)?))
}

#[test]
fn leaving_without_a_copy_is_asked_about() {
    let Some(visit) = visit() else { return };
    let browser = &visit.browser;
    let token = visit.create("Not copied");
    browser.click(DONE);
    browser.until("asks", || browser.asks());
    browser.say_no();
    assert_eq!(visit.shown(), token, "it is still there");

    browser.click(DONE);
    browser.until("asks", || browser.asks());
    browser.say_yes();
    browser.until("left", || browser.count("dialog") == 0);
    assert_eq!(visit.path(), LIST);
}

#[test]
fn what_is_copied_must_have_the_token() {
    let Some(visit) = visit() else { return };
    let browser = &visit.browser;
    for button in ["mcp-claude-code", "mcp-cursor", "mcp-vs-code"] {
        visit.create(button);
        open_client(browser, button);
        browser.click(&format!("[data-copy={button}]"));
        browser.until("copied", || browser.text("#said") == "Copied");
        browser.click(DONE);
        browser.until("asks", || browser.asks());
        browser.say_yes();
        browser.until("left", || browser.count("dialog") == 0);
    }
}

fn open_client(browser: &Browser, id: &str) {
    browser.click(&format!("details:has(#{id}) summary"));
}

#[test]
fn leaving_with_a_copy_is_not_asked_about() {
    let Some(visit) = visit() else { return };
    let browser = &visit.browser;
    for button in ["plaintext", "env", "curl", "mcp-claude-desktop"] {
        visit.create(button);
        if button == "mcp-claude-desktop" {
            open_client(browser, button);
        }
        browser.click(&format!("[data-copy={button}]"));
        browser.until("copied", || browser.text("#said") == "Copied");
        browser.follow(DONE);
        assert_eq!(browser.count("dialog"), 0, "{button}");
    }

    visit.create("By keyboard");
    browser.press(&[Key::Control.into(), 'c']);
    browser.follow(DONE);

    let token = visit.create("By hand");
    browser.click("#plaintext");
    browser.press(&[Key::Control.into(), 'c']);
    browser.follow(DONE);
    browser.click("input[name=search]");
    browser.press(&[Key::Control.into(), 'v']);
    assert_eq!(browser.value("input[name=search]"), token);

    // Nor is a page without a token.
    visit.open(&format!("{LIST}/new"));
    browser.write("#name", "Something");
    browser.follow("[data-cancel]");
    assert_eq!(visit.path(), LIST);
}
