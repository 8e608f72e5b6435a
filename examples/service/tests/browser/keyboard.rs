//! The page by keyboard alone.

use fantoccini::key::Key;
use serde_json::Value;

use crate::{
    browser::Browser,
    steps::{LIST, Visit, id},
};

#[test]
fn a_token_is_created_by_keyboard_alone() {
    let Some(browser) = Browser::start() else { return };
    let visit = Visit::begin(browser);
    let browser = &visit.browser;
    visit.open(LIST);
    has_focus(browser, "password");
    browser.type_text(&visit.service.password());
    browser.leave("sign in", || browser.press_key(Key::Enter));

    tab_to(browser, "create");
    browser.leave("create", || browser.press_key(Key::Enter));
    has_focus(browser, "name");
    browser.type_text("By keyboard");
    tab_to(browser, "sources:read");
    browser.type_text(" ");
    tab_to(browser, "lifetime");
    browser.type_text("3");
    tab_to(browser, "Create token");
    browser.leave("create", || browser.press_key(Key::Enter));

    has_focus(browser, "plaintext");
    let token = visit.shown();
    browser.press_key(Key::Tab);
    browser.press_key(Key::Enter);
    browser.until("copied", || browser.text("#said") == "Copied");
    assert!(focus(browser).starts_with("Copy"), "where it was");
    tab_to(browser, "Cursor .cursor/mcp.json");
    is_in_sight(browser);
    browser.press_key(Key::Enter);
    tab_to(browser, "mcp-cursor");
    is_in_sight(browser);
    browser.press_key(Key::Tab);
    browser.run("document.getElementById('said').textContent = ''");
    browser.press_key(Key::Enter);
    browser.until("copied", || browser.text("#said") == "Copied");
    tab_to(browser, "Done");
    browser.leave("done", || browser.press_key(Key::Enter));
    assert_eq!(visit.path(), LIST);
    let expires = browser.text(&format!("tr:has([id='id-{}']) [data-label=Expires]", id(&token)));
    assert!(expires.contains("in 30 days"), "{expires}");
    assert!(visit.is_accepted(&token));
}

#[test]
fn a_dialog_takes_the_focus_and_keeps_it_and_escape_closes_it() {
    let Some(browser) = Browser::start() else { return };
    let visit = Visit::signed_in(browser);
    let browser = &visit.browser;
    let token = visit.create("Here");
    let list = format!("{LIST}?status=all&sort=name");
    for (dialog, first) in [
        ("new", "name"),
        (id(&token), "title"),
        (&format!("{}/rotate", id(&token)), "overlap"),
        (&format!("{}/revoke", id(&token)), "Cancel"),
    ] {
        visit.open(&format!("{LIST}/{dialog}?status=all&sort=name"));
        has_focus(browser, first);
        keeps_the_focus(browser);
        browser.leave("escape", || browser.press_key(Key::Escape));
        assert_eq!((visit.path(), browser.count("dialog")), (list.clone(), 0), "{dialog}");
        assert_eq!(browser.count("[inert]"), 0);
    }

    // What is shown once would be gone for good.
    let token = visit.create("Stays");
    keeps_the_focus(browser);
    browser.press_key(Key::Escape);
    assert_eq!(visit.shown(), token);
}

/// What has the focus: its id, what it is for, or what is on it.
#[track_caller]
fn focus(browser: &Browser) -> String {
    let script = "const element = document.activeElement;
        return element.id || element.value || element.ariaLabel || element.innerText";
    browser.run(script).as_str().unwrap().trim().to_owned()
}

/// Waits for it: a browser gives the focus when it first draws a page.
#[track_caller]
fn has_focus(browser: &Browser, what: &str) {
    browser.until(what, || focus(browser) == what);
}

/// What has the focus is not behind anything: at its bottom, it is what is on the screen.
#[track_caller]
fn is_in_sight(browser: &Browser) {
    let script = "const element = document.activeElement;
        const {left, bottom} = element.getBoundingClientRect();
        return element.contains(document.elementFromPoint(left + 5, bottom - 5))";
    browser.until("in sight", || browser.run(script) == true);
}

#[track_caller]
fn tab_to(browser: &Browser, what: &str) {
    let mut seen = Vec::new();
    while seen.len() < 30 {
        browser.press_key(Key::Tab);
        let now = focus(browser);
        if now == what {
            return;
        }
        seen.push(now);
    }
    panic!("{what} is not among {seen:#?}");
}

/// Once around, and back. In between the browser itself may have the focus, which is `body` then.
#[track_caller]
fn keeps_the_focus(browser: &Browser) {
    let place = "const element = document.activeElement;
        return [element.closest('dialog') ? 'dialog' : element.localName, element.outerHTML]";
    for keys in [&[Key::Tab.into()][..], &[Key::Shift.into(), Key::Tab.into()]] {
        let mut places: Vec<Value> = Vec::new();
        let is_around = |places: &[Value]| {
            places.split_last().is_some_and(|(last, before)| before.contains(last))
        };
        while !is_around(&places) {
            browser.press(keys);
            let place = browser.run(place);
            assert!(place[0] == "dialog" || place[0] == "body", "{place:#}");
            places.push(place);
        }
        assert!(places.len() > 3, "{places:#?}");
    }
}
