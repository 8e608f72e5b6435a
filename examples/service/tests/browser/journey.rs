//! The whole life of a token, by mouse and keyboard.

use fantoccini::key::Key;

use crate::{
    browser::Browser,
    steps::{LIST, Visit, id},
};

#[test]
fn a_token_lives_from_create_to_delete() {
    let Some(browser) = Browser::start() else { return };
    Journey { visit: Visit::begin(browser), has_scripts: true }.go();
}

#[test]
fn a_token_lives_without_javascript_too() {
    let Some(browser) = Browser::without_scripts() else { return };
    Journey { visit: Visit::begin(browser), has_scripts: false }.go();
}

struct Journey {
    visit: Visit,
    has_scripts: bool,
}

impl Journey {
    fn go(&self) {
        self.sign_in_and_come_back();
        let old = self.create();
        assert!(self.visit.is_accepted(&old));
        self.shows_last_use(&old);

        let new = self.rotate(&old);
        assert!(self.visit.is_accepted(&old) && self.visit.is_accepted(&new));
        self.shows_progress(&old, &new);
        self.finish(&old);
        assert!(!self.visit.is_accepted(&old) && self.visit.is_accepted(&new));

        self.delete(&new);
        assert!(!self.visit.is_accepted(&new));
        self.is_among_the_revoked(&new);
    }

    fn sign_in_and_come_back(&self) {
        let Visit { browser, service, .. } = &self.visit;
        let line = service.greeting.lines().find_map(|line| line.strip_prefix("API Tokens page: "));
        browser.open(line.expect("printed"));
        let form = "/sign-in?return_to=%2Fmanagement%2Fprojects%2Fdemo%2Ftokens";
        assert_eq!(self.visit.path(), form);
        self.visit.sign_in();
        assert_eq!(self.visit.path(), LIST);
        assert!(browser.text("table").contains("First token"));
    }

    fn create(&self) -> String {
        let browser = &self.visit.browser;
        browser.follow("#create");
        browser.write("#name", "Production REST API");
        browser.click("input[value='sources:read']");
        browser.click("input[value='flows:run']");
        browser.choose("#lifetime", "30");
        browser.follow("dialog button.primary");
        assert_eq!(browser.text("h2"), "Your new token “Production REST API”");
        self.shows_what_an_assistant_needs();
        self.take()
    }

    fn shows_what_an_assistant_needs(&self) {
        let browser = &self.visit.browser;
        assert!(!browser.is_displayed("#mcp-claude-code"), "only who wants it opens it");
        browser.click("details:has(#mcp-claude-code) summary");
        let configuration = browser.text("#mcp-claude-code");
        // Its file may get into a repository.
        assert!(configuration.contains("Bearer ${GRAPHOR_API_KEY}"), "{configuration}");
        assert!(!configuration.contains(&self.visit.shown()), "{configuration}");
    }

    /// Takes the token that is shown to somewhere else: by the button, as people do, or from the
    /// page itself.
    fn take(&self) -> String {
        let browser = &self.visit.browser;
        let shown = self.visit.shown();
        if !self.has_scripts {
            assert!(!browser.is_displayed("[data-copy=plaintext]"), "it does nothing");
            browser.follow(".buttons .primary");
            return shown;
        }
        browser.click("[data-copy=plaintext]");
        browser.until("copied", || browser.count("[data-copy=plaintext].copied") == 1);
        browser.follow(".buttons .primary");
        browser.click("input[name=search]");
        browser.press(&[Key::Control.into(), 'v']);
        let pasted = browser.value("input[name=search]");
        assert_eq!(pasted, shown, "what is copied is what is shown");
        pasted
    }

    fn row(token: &str) -> String {
        format!("tr:has([id='id-{}'])", id(token))
    }

    fn shows_last_use(&self, token: &str) {
        let browser = &self.visit.browser;
        self.visit.open(LIST);
        let last_used = browser.text(&format!("{} [data-label='Last used']", Self::row(token)));
        assert!(last_used.contains("just now"), "{last_used}");
        let expires = browser.text(&format!("{} [data-label='Expires']", Self::row(token)));
        assert!(expires.contains("in 30 days"), "{expires}");
    }

    fn rotate(&self, token: &str) -> String {
        let browser = &self.visit.browser;
        browser.follow(&format!("{} [title=Rotate]", Self::row(token)));
        assert_eq!(browser.text("h2"), "Rotate “Production REST API”?");
        assert_eq!(browser.value("#overlap"), "24");
        browser.follow("dialog button.primary");
        assert_eq!(browser.text("h2"), "The new token of “Production REST API”");
        assert!(browser.text("dialog").contains("The old token is accepted beside it until"));
        self.take()
    }

    fn shows_progress(&self, old: &str, new: &str) {
        let browser = &self.visit.browser;
        self.visit.open(LIST);
        let status = browser.text(&format!("{} [data-label=Status]", Self::row(old)));
        assert!(status.contains("Replaced; ends in 1 day at the latest"), "{status}");
        browser.follow(&format!("{} .name a", Self::row(old)));
        // A second use within about a second is not noted.
        let page = self.visit.path();
        browser.until("the use after the rotation is noted", || {
            assert!(self.visit.is_accepted(old));
            self.visit.open(&page);
            browser.text(".rotation").contains("The old token was used after")
        });
        let progress = browser.text(".rotation");
        for line in [
            &format!("Replaced by {}", id(new)),
            "The new token is used, last just now",
            "The old token was used after the new one was made, last just now from 127.0.0.1",
            "The old token is accepted beside it, which ends in 1 day",
        ] {
            assert!(progress.contains(line), "{line}: {progress}");
        }
    }

    fn finish(&self, old: &str) {
        let browser = &self.visit.browser;
        browser.follow("[href*='/rotation/finish']");
        let question = browser.text("dialog");
        assert!(question.starts_with("End the old token of “Production REST API” now?"));
        assert!(question.contains("Last used: just now from 127.0.0.1 by curl/"), "{question}");
        browser.follow("dialog button.danger");
        assert_eq!(self.visit.path(), format!("{LIST}/{}", id(old)));
        assert!(browser.text("dialog").contains("Rotated out"));
        assert!(browser.text(".rotation").contains("The old token is not accepted any more"));
    }

    fn delete(&self, token: &str) {
        let browser = &self.visit.browser;
        self.visit.open(LIST);
        browser.follow(&format!("{} [title=Delete]", Self::row(token)));
        let question = browser.text("dialog");
        assert!(question.starts_with("Delete “Production REST API”?"), "{question}");
        assert!(question.contains("Last used: just now from 127.0.0.1 by curl/"), "{question}");
        browser.write("#reason", "the end of the journey");
        browser.follow("dialog button.danger");
        assert_eq!(self.visit.path(), format!("{LIST}?revoked={}", id(token)));
        let notice = browser.text(".notice");
        assert!(notice.starts_with("“Production REST API” is revoked."), "{notice}");
        assert_eq!(browser.count(&Self::row(token)), 0, "it is not in use any more");
    }

    fn is_among_the_revoked(&self, token: &str) {
        let browser = &self.visit.browser;
        browser.choose("select[name=status]", "revoked");
        browser.follow(".filter button");
        assert_eq!(self.visit.path(), format!("{LIST}?status=revoked"));
        let status = browser.text(&format!("{} [data-label=Status]", Self::row(token)));
        assert!(status.contains("Revoked"), "{status}");
        browser.follow(&format!("{} .name a", Self::row(token)));
        assert!(browser.text("dl").contains("just now"));
        assert!(browser.text("dl").contains("by admin: the end of the journey"));
    }
}
