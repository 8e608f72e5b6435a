//! What axe-core finds that keeps people out.

use std::{fs, path::Path, process::Command};

use serde_json::Value;

use crate::{
    browser::{Browser, Look},
    states::look_at_each,
    util::{or_skip, say},
};

const AXE: &str = "axe-core@4.14.1";

const RUN: &str = "
    const done = arguments[arguments.length - 1];
    axe.run().then(done, (error) => done({error: String(error)}));
";

#[test]
fn axe_finds_nothing_serious_in_any_state() {
    let Some(axe) = or_skip("axe-core", axe()) else { return };
    let Some(browser) = Browser::start() else { return };
    let (mut passed, mut serious) = (0, Vec::new());
    look_at_each(browser, |browser, state| {
        browser.run(&axe);
        for look in [Look::Dark, Look::Light] {
            browser.look(look);
            let found = browser.run_and_wait(RUN);
            let rules = found["passes"].as_array().unwrap_or_else(|| panic!("{found}"));
            passed += rules.len();
            for violation in found["violations"].as_array().unwrap() {
                let line = format!("{state}, {look:?}: {}", described(violation));
                say(&format!("axe: {line}"));
                if matches!(violation["impact"].as_str(), Some("serious" | "critical")) {
                    serious.push(line);
                }
            }
        }
    });
    say(&format!("axe: {passed} rules passed"));
    assert!(serious.is_empty(), "{serious:#?}");
}

/// One line for a violation, and one for each element.
fn described(violation: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let nodes = violation["nodes"].as_array().unwrap().iter();
    let lines =
        nodes.map(|node| format!("{}: {}", text(&node["html"]), text(&node["failureSummary"])));
    let first = format!("{} ({})", text(&violation["help"]), text(&violation["impact"]));
    [first].into_iter().chain(lines).collect::<Vec<_>>().join("\n    ")
}

/// Its text, from the registry or from the last time.
fn axe() -> Result<String, String> {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(AXE);
    let script = directory.join("node_modules/axe-core/axe.min.js");
    if !script.exists() {
        fs::create_dir_all(&directory).map_err(|error| error.to_string())?;
        fs::write(directory.join("package.json"), "{}").map_err(|error| error.to_string())?;
        let options = ["install", "--no-audit", "--no-fund", "--ignore-scripts", AXE];
        let output = Command::new("npm").current_dir(&directory).args(options).output();
        let output = output.map_err(|error| format!("npm: {error}"))?;
        if !output.status.success() {
            return Err(format!("npm: {}", String::from_utf8_lossy(&output.stderr)));
        }
    }
    fs::read_to_string(&script).map_err(|error| error.to_string())
}
