//! What the page costs whoever opens it for the first time.

use crate::{
    browser::Browser,
    steps::{LIST, Visit},
    util::say,
};

const SIZES: &str = "
    const entries = [...performance.getEntriesByType('navigation'),
        ...performance.getEntriesByType('resource')];
    return entries.map(({name, transferSize, encodedBodySize, responseStatus}) =>
        ({name, transferSize, encodedBodySize, responseStatus}));
";

#[test]
fn a_list_of_50_tokens_is_three_requests_to_the_service_itself() {
    let Some(browser) = Browser::start() else { return };
    let visit = Visit::begin(browser);
    for _ in 0..49 {
        visit.service.create("demo", &["sources:read", "flows:run"]);
    }
    visit.open("/");
    visit.sign_in();
    visit.browser.requests();
    visit.open(LIST);
    assert_eq!(visit.browser.count("tbody tr"), 50);

    let base = visit.service.base();
    let entries = visit.browser.run(SIZES);
    let entries = entries.as_array().unwrap();
    let (mut transferred, mut bodies) = (0, 0);
    for entry in entries {
        let size = |name: &str| entry[name].as_u64().unwrap();
        let name = entry["name"].as_str().unwrap().strip_prefix(base).expect("of the service");
        assert_eq!(entry["responseStatus"], 200, "{name}");
        say(&format!(
            "{name}: {} bytes, {} with headers",
            size("encodedBodySize"),
            size("transferSize")
        ));
        transferred += size("transferSize");
        bodies += size("encodedBodySize");
    }
    say(&format!("{} requests: {bodies} bytes, {transferred} with headers", entries.len()));
    assert_eq!(entries.len(), 3, "the list, its style, its script");

    // Those of the browser's own accord, too.
    let requests = visit.browser.requests();
    assert!(requests.len() >= 3, "{requests:#?}");
    for request in requests {
        assert!(request["url"].as_str().unwrap().starts_with(base), "{request:#}");
    }
}
