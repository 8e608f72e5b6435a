//! What people do on the page, again and again.

use crate::{
    browser::Browser,
    support::{Place, Service},
};

pub(crate) const LIST: &str = "/management/projects/demo/tokens";
pub(crate) const SOURCES: &str = "/api/public/v1/sources";

/// A browser, beside a service.
pub(crate) struct Visit {
    pub(crate) browser: Browser,
    pub(crate) service: Service,
    _place: Place,
}

impl Visit {
    /// Of somebody who has signed in.
    #[track_caller]
    pub(crate) fn signed_in(browser: Browser) -> Self {
        let visit = Self::begin(browser);
        visit.open(LIST);
        visit.sign_in();
        visit
    }

    pub(crate) fn begin(browser: Browser) -> Self {
        let place = Place::new();
        let folder = place.sources.to_str().unwrap();
        let service = place.start_with(&["--project", &format!("empty={folder}")]);
        Self { browser, service, _place: place }
    }

    #[track_caller]
    pub(crate) fn open(&self, path: &str) {
        self.browser.open(&format!("{}{path}", self.service.base()));
    }

    #[track_caller]
    pub(crate) fn sign_in(&self) {
        self.browser.write("#password", &self.service.password());
        self.browser.follow("form button");
    }

    /// Where the browser is, from the root of the service.
    #[track_caller]
    pub(crate) fn path(&self) -> String {
        let url = self.browser.url();
        let path = url.strip_prefix(self.service.base());
        path.unwrap_or_else(|| panic!("it is elsewhere: {url}")).to_owned()
    }

    /// Creates a token that can list the sources, and returns it as it is shown.
    #[track_caller]
    pub(crate) fn create(&self, name: &str) -> String {
        self.open(&format!("{LIST}/new"));
        self.browser.write("#name", name);
        self.browser.click("input[value='sources:read']");
        self.browser.choose("#lifetime", "30");
        self.browser.follow("dialog button.primary");
        self.shown()
    }

    /// The token that is shown now.
    #[track_caller]
    pub(crate) fn shown(&self) -> String {
        let token = self.browser.text("#plaintext");
        assert!(token.starts_with("demo_"), "no token is shown");
        token
    }

    /// Whether the API takes the token.
    #[track_caller]
    pub(crate) fn is_accepted(&self, token: &str) -> bool {
        match self.service.get(SOURCES, token).status {
            200 => true,
            401 => false,
            status => panic!("{status}"),
        }
    }
}

/// The public part of a token.
pub(crate) fn id(token: &str) -> &str {
    token.split('_').nth(1).expect("an id")
}

/// Its secret part.
pub(crate) fn secret(token: &str) -> &str {
    token.split('_').nth(2).expect("a secret")
}
