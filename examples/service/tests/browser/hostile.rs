//! Names that try to be more than text.

use crate::{
    browser::Browser,
    steps::{LIST, SOURCES, Visit, id},
};

const HOSTILE: &str = r#"<img src=x onerror=alert(1)>"'--><script>alert(1)</script>"#;

#[test]
fn a_hostile_name_is_text_wherever_it_is() {
    let Some(browser) = Browser::start() else { return };
    let visit = Visit::signed_in(browser);
    let browser = &visit.browser;

    let token = visit.create(HOSTILE);
    has(&visit, "dialog h2", &format!("Your new token “{HOSTILE}”"));
    let authorization = format!("Authorization: Bearer {token}");
    visit.service.curl(SOURCES, &["-A", HOSTILE, "-H", &authorization], b"");
    browser.follow(".buttons .primary");

    let at = |path: &str| visit.open(&format!("{LIST}/{}{path}", id(&token)));
    visit.open(LIST);
    has(&visit, ".name a bdi", HOSTILE);
    let row = format!("tr:has([id='id-{}'])", id(&token));
    for (css, action) in [(".name button", "Copy the id of"), ("[title=Delete]", "Delete")] {
        let label = format!("return document.querySelector(\"{row} {css}\").ariaLabel");
        assert_eq!(browser.run(&label), format!("{action} {HOSTILE}"));
    }
    visit.open(&format!(
        "{LIST}/{}?search=%3Cimg%20src%3Dx%3E%22&status=%22%3E&after=%3C",
        id(&token)
    ));
    has(&visit, "dialog h2", HOSTILE);
    assert_eq!(browser.value("input[name=search]"), "<img src=x>\"");
    at("/rotate");
    has(&visit, "dialog h2", &format!("Rotate “{HOSTILE}”?"));
    browser.follow(".buttons .primary");
    has(&visit, "dialog h2", &format!("The new token of “{HOSTILE}”"));

    at("/revoke");
    has(&visit, "dialog h2", &format!("Delete “{HOSTILE}”?"));
    has(&visit, "dialog p:nth-of-type(2) bdi", HOSTILE);
    browser.write("#reason", HOSTILE);
    browser.follow("dialog .danger");
    has(&visit, ".notice bdi", HOSTILE);
    at("");
    has(&visit, "dd:last-of-type bdi:last-of-type", HOSTILE);

    let is_refusal = |line: &String| line.contains("Content Security Policy");
    let console = browser.console();
    assert!(!console.iter().any(is_refusal), "{console:#?}");
    // It would be there.
    browser.run("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=alert(1)>')");
    browser.until("refused", || browser.console().iter().any(is_refusal));
    assert!(!browser.asks());
}

/// Checks that the text is there as it was written, and nothing that was made from it.
#[track_caller]
fn has(visit: &Visit, css: &str, text: &str) {
    let browser = &visit.browser;
    assert_eq!(browser.text(css), text);
    assert!(!browser.asks());
    assert_eq!(browser.count("img, [onerror], script:not([src*='/assets/page.js?'])"), 0);
    assert_eq!(browser.count("script"), 1);
}

#[test]
fn a_name_that_reorders_its_line_is_refused() {
    let Some(browser) = Browser::start() else { return };
    let visit = Visit::signed_in(browser);
    let browser = &visit.browser;
    visit.open(&format!("{LIST}/new"));
    let name = "harmless \u{202e}sdrawkcab";
    browser.run(&format!("document.getElementById('name').value = '{name}'"));
    browser.click("input[value='sources:read']");
    browser.follow("dialog button.primary");
    let problem = browser.text("#problem");
    assert!(problem.contains("must not contain control or invisible characters"), "{problem}");
    assert_eq!(browser.value("#name"), name, "to be corrected");
    assert_eq!(browser.count("#plaintext"), 0);
}
