//! The pages on a phone.

use serde_json::json;

use crate::{
    browser::{Browser, Look},
    states::look_at_each,
};

/// What reaches beyond the screen, and what a finger does not hit, as texts.
const PROBLEMS: &str = r#"
    const problems = [];
    const width = 390;
    const isSeen = (element) => element.checkVisibility({visibilityProperty: true})
        && !element.closest(".hidden, thead, [hidden]");
    const page = document.documentElement;
    if (innerWidth !== width) problems.push(`the page is ${innerWidth} wide`);
    if (page.scrollWidth > width) problems.push(`the page scrolls to ${page.scrollWidth}`);
    for (const element of document.body.querySelectorAll("*")) {
        if (!isSeen(element)) continue;
        const box = element.getBoundingClientRect();
        const text = element.outerHTML.slice(0, 120);
        if (box.left < -0.5 || box.right > width + 0.5) {
            problems.push(`${box.left} to ${box.right}: ${text}`);
        }
        const isInline = getComputedStyle(element).display === "inline";
        if (!isInline && element.scrollWidth > element.clientWidth) {
            problems.push(`${element.scrollWidth} in ${element.clientWidth}: ${text}`);
        }
        const isTarget = element.matches("button, .button, a.icon, select, label.choice, "
            + "input:not([type=checkbox], [type=hidden])");
        if (isTarget && Math.min(box.width, box.height) < 24) {
            problems.push(`${box.width} x ${box.height}: ${text}`);
        }
    }
    return problems;
"#;

#[test]
fn everything_is_on_the_screen_of_a_phone_and_can_be_hit() {
    let Some(browser) = Browser::start() else { return };
    look_at_each(browser, |browser, state| {
        browser.look(Look::Phone);
        assert_eq!(browser.run(PROBLEMS), json!([]), "{state}");
        browser.look(Look::Light);
    });
}
