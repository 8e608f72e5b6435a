//! Tests of the pages in a real browser: headless Chromium, driven by its own chromedriver.
#![cfg(unix)]

mod accessibility;
mod browser;
mod driver;
mod hostile;
mod journey;
mod keyboard;
mod leaving;
mod once;
mod phone;
mod screenshots;
mod states;
mod steps;
mod weight;

#[expect(dead_code, reason = "the tests without a browser use the rest")]
#[path = "../service/support.rs"]
mod support;
#[path = "../../../../tests/util/mod.rs"]
mod util;
