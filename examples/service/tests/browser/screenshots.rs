//! How the pages look is for people to judge.

use std::{fs, path::Path};

use crate::{
    browser::{Browser, Look},
    states::look_at_each,
    util::say,
};

#[test]
fn every_state_is_kept_as_a_picture() {
    let Some(browser) = Browser::start() else { return };
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("screenshots");
    let _absent = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory).unwrap();
    let mut count = 0;
    look_at_each(browser, |browser, state| {
        for look in [Look::Light, Look::Dark, Look::Phone] {
            browser.look(look);
            // What is open is what the picture is of.
            browser.run("document.querySelector('details[open]')?.scrollIntoView()");
            let name = format!("{state}-{look:?}.png").to_lowercase();
            fs::write(directory.join(name), browser.screenshot()).unwrap();
            count += 1;
        }
        browser.look(Look::Light);
    });
    say(&format!("{count} pictures: {}", directory.display()));
}
