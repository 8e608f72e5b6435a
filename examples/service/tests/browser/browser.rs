//! A browser, as somebody uses it who waits for what they want to see.

use std::time::{Duration, Instant};

use axum::http::Method;
use base64::{Engine, engine::general_purpose::STANDARD};
use fantoccini::{
    Client, Locator,
    actions::{InputSource, KeyAction, KeyActions},
    elements::Element,
    error::{CmdError, ErrorStatus},
    key::Key,
    wait::Wait,
    wd::WebDriverCompatibleCommand,
};
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};
use url::{ParseError, Url};

use crate::{
    driver::{Driver, Options},
    util::or_skip,
};

/// What takes longer does not happen.
const PATIENCE: Duration = Duration::from_secs(20);
/// So often somebody looks who waits.
const PERIOD: Duration = Duration::from_millis(20);

pub(crate) struct Browser {
    client: Client,
    /// Runs whenever something is awaited.
    runtime: Runtime,
    _driver: Driver,
}

impl Browser {
    #[track_caller]
    pub(crate) fn start() -> Option<Self> {
        Self::start_with(&Options::default())
    }

    #[track_caller]
    pub(crate) fn without_scripts() -> Option<Self> {
        let browser =
            Self::start_with(&Options { is_without_scripts: true, ..Options::default() })?;
        // They are off, before anything is concluded from that.
        browser.open("data:text/html,<title>off</title><script>document.title='on'</script>");
        assert_eq!(browser.run("return document.title"), "off");
        Some(browser)
    }

    #[track_caller]
    pub(crate) fn start_with(options: &Options) -> Option<Self> {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let started = Driver::start().and_then(|driver| {
            let client = runtime.block_on(driver.connect(options))?;
            Ok((driver, client))
        });
        let (driver, client) = or_skip("Chromium", started)?;
        Some(Self { client, runtime, _driver: driver })
    }

    #[track_caller]
    fn done<T>(&self, what: &str, command: impl Future<Output = Result<T, CmdError>>) -> T {
        self.runtime.block_on(command).unwrap_or_else(|error| panic!("{what}: {error}"))
    }

    #[track_caller]
    pub(crate) fn open(&self, url: &str) {
        self.done(url, self.client.goto(url));
    }

    #[track_caller]
    pub(crate) fn url(&self) -> String {
        self.done("the URL", self.client.current_url()).into()
    }

    #[track_caller]
    pub(crate) fn source(&self) -> String {
        self.done("the source", self.client.source())
    }

    fn wait(&self) -> Wait<'_> {
        self.client.wait().at_most(PATIENCE).every(PERIOD)
    }

    /// Waits until the element is there.
    #[track_caller]
    pub(crate) fn see(&self, css: &str) -> Element {
        self.done(css, self.wait().for_element(Locator::Css(css)))
    }

    /// How many there are now.
    #[track_caller]
    pub(crate) fn count(&self, css: &str) -> usize {
        self.done(css, self.client.find_all(Locator::Css(css))).len()
    }

    #[track_caller]
    pub(crate) fn text(&self, css: &str) -> String {
        let element = self.see(css);
        self.done(css, element.text())
    }

    #[track_caller]
    pub(crate) fn value(&self, css: &str) -> String {
        let element = self.see(css);
        self.done(css, element.prop("value")).unwrap_or_default()
    }

    #[track_caller]
    pub(crate) fn is_displayed(&self, css: &str) -> bool {
        let element = self.see(css);
        self.done(css, element.is_displayed())
    }

    #[track_caller]
    pub(crate) fn write(&self, css: &str, text: &str) {
        let element = self.see(css);
        self.done(css, element.clear());
        self.done(css, element.send_keys(text));
    }

    #[track_caller]
    pub(crate) fn choose(&self, css: &str, value: &str) {
        let element = self.see(css);
        self.done(css, element.select_by_value(value));
    }

    #[track_caller]
    pub(crate) fn click(&self, css: &str) {
        let element = self.see(css);
        // The driver does not when it is behind something, as people do.
        let place = format!("document.querySelector({})", json!(css));
        self.run(&format!("{place}.scrollIntoView({{block: 'nearest'}})"));
        self.done(css, element.click());
    }

    /// Clicks on what leads to another document, and waits for that.
    #[track_caller]
    pub(crate) fn follow(&self, css: &str) {
        self.leave(css, || self.click(css));
    }

    /// Does what leads to another document, and waits for that.
    #[track_caller]
    pub(crate) fn leave(&self, what: &str, act: impl FnOnce()) {
        // An element is one of its document.
        let document = || self.see("html").element_id();
        let before = document();
        act();
        self.until(what, || document() != before);
    }

    #[track_caller]
    pub(crate) fn until(&self, what: &str, mut is_so: impl FnMut() -> bool) {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            if is_so() {
                return;
            }
            self.runtime.block_on(async { tokio::time::sleep(PERIOD).await });
        }
        panic!("{what}: never");
    }

    #[track_caller]
    pub(crate) fn back(&self) {
        self.done("back", self.client.back());
    }

    #[track_caller]
    pub(crate) fn reload(&self) {
        self.done("reload", self.client.refresh());
    }

    /// Presses these keys at once, on whatever has the focus.
    #[track_caller]
    pub(crate) fn press(&self, keys: &[char]) {
        let key = |keys: KeyActions, value: &char| keys.then(KeyAction::Down { value: *value });
        let down = keys.iter().fold(KeyActions::new("keyboard".to_owned()), key);
        let up = |keys: KeyActions, value: &char| keys.then(KeyAction::Up { value: *value });
        let all = keys.iter().rev().fold(down, up);
        self.done("keys", self.client.perform_actions(all));
    }

    #[track_caller]
    pub(crate) fn press_key(&self, key: Key) {
        self.press(&[key.into()]);
    }

    #[track_caller]
    pub(crate) fn type_text(&self, text: &str) {
        for character in text.chars() {
            self.press(&[character]);
        }
    }

    /// The result of a script, which runs even where those of the page do not.
    #[track_caller]
    pub(crate) fn run(&self, script: &str) -> Value {
        self.done(script, self.client.execute(script, Vec::new()))
    }

    /// The same of a script that calls its last argument with its result.
    #[track_caller]
    pub(crate) fn run_and_wait(&self, script: &str) -> Value {
        self.done(script, self.client.execute_async(script, Vec::new()))
    }

    /// A command to Chromium itself, as its developer tools send it.
    #[track_caller]
    pub(crate) fn devtools(&self, command: &str, parameters: &Value) -> Value {
        let body = json!({"cmd": command, "params": parameters});
        self.done(command, self.client.issue_cmd(Own { path: "goog/cdp/execute", body }))
    }

    /// What was written to a log since it was last read.
    #[track_caller]
    fn log(&self, kind: &str) -> Vec<Value> {
        let body = json!({"type": kind});
        let log = self.done(kind, self.client.issue_cmd(Own { path: "se/log", body }));
        log.as_array().unwrap().clone()
    }

    /// The messages on the console.
    #[track_caller]
    pub(crate) fn console(&self) -> Vec<String> {
        let text = |entry: &Value| entry["message"].as_str().unwrap().to_owned();
        self.log("browser").iter().map(text).collect()
    }

    /// Every request over HTTP since this was last asked, with its headers: the members of
    /// `request` in `Network.requestWillBeSent`.
    #[track_caller]
    pub(crate) fn requests(&self) -> Vec<Value> {
        let request = |entry: &Value| {
            let event: Value = serde_json::from_str(entry["message"].as_str()?).ok()?;
            let is_request = event["message"]["method"] == "Network.requestWillBeSent";
            is_request.then(|| event["message"]["params"]["request"].clone())
        };
        let is_http = |request: &Value| request["url"].as_str().unwrap().starts_with("http");
        self.log("performance").iter().filter_map(request).filter(is_http).collect()
    }

    /// Whether the browser asks a question and waits for an answer.
    #[track_caller]
    pub(crate) fn asks(&self) -> bool {
        match self.runtime.block_on(self.client.get_alert_text()) {
            Ok(_) => true,
            Err(CmdError::Standard(error)) if error.error == ErrorStatus::NoSuchAlert => false,
            Err(error) => panic!("{error}"),
        }
    }

    #[track_caller]
    pub(crate) fn say_no(&self) {
        self.done("no", self.client.dismiss_alert());
    }

    #[track_caller]
    pub(crate) fn say_yes(&self) {
        self.done("yes", self.client.accept_alert());
    }

    /// The whole page, or what is on the screen if that is a dialog, as PNG.
    #[track_caller]
    pub(crate) fn screenshot(&self) -> Vec<u8> {
        if self.count("dialog") > 0 {
            return self.done("a screenshot", self.client.screenshot());
        }
        let size = self.devtools("Page.getLayoutMetrics", &json!({}))["cssContentSize"].clone();
        let clip = json!({
            "x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1,
        });
        let whole = json!({"clip": clip, "captureBeyondViewport": true});
        let picture = self.devtools("Page.captureScreenshot", &whole);
        STANDARD.decode(picture["data"].as_str().unwrap()).unwrap()
    }
}

/// How a page is looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Look {
    Light,
    Dark,
    /// On a screen of 390 by 844 pixels.
    Phone,
}

impl Browser {
    #[track_caller]
    pub(crate) fn look(&self, look: Look) {
        let scheme = if matches!(look, Look::Dark) { "dark" } else { "light" };
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.devtools("Emulation.setEmulatedMedia", &features);
        if matches!(look, Look::Phone) {
            let screen =
                json!({"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": true});
            self.devtools("Emulation.setDeviceMetricsOverride", &screen);
        } else {
            self.devtools("Emulation.clearDeviceMetricsOverride", &json!({}));
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Chromium does not end with chromedriver, but with the session.
        let end = self.client.clone().close();
        let _gone = self.runtime.block_on(async { tokio::time::timeout(PATIENCE, end).await });
    }
}

/// A command of chromedriver's own.
#[derive(Debug)]
struct Own {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for Own {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.body.to_string()))
    }
}
