//! Whatever a place holds, no error says any of it.

use std::{error::Error, fmt::Write};

use api_tokens::client::{TokenSource, TokenSourceError};
use proptest::prelude::*;

use crate::{Files, load, text};

/// Everything that can be printed of an error.
fn printed(error: &TokenSourceError) -> String {
    let mut printed = format!("{error}\n{error:?}\n{error:#?}");
    let mut source = error.source();
    while let Some(error) = source {
        write!(printed, "\n{error}\n{error:?}").unwrap();
        source = error.source();
    }
    printed
}

/// Something secret, and how it stands in a place where a token is expected.
fn any_value() -> impl Strategy<Value = (String, String)> {
    let secret = prop_oneof![
        "[0-9A-Za-z]{12,90}",
        "[!-~]{12,40}",
        // A token, or a part of one.
        (any::<u64>(), 0..60_usize)
            .prop_map(|(seed, cut)| text(seed)[10..72 - cut.min(50)].to_owned()),
    ];
    let around = prop::sample::select(vec![
        ("", ""),
        ("acme_live_", ""),
        ("acme_test_", ""),
        ("Bearer ", ""),
        ("Bearer acme_live_", ""),
        ("\"acme_live_", "\""),
        ("'", "'"),
        ("${", "}"),
        ("$", ""),
        ("%", "%"),
        ("acme_live_", " # comment"),
        ("acme_live_", "\nacme_live_"),
        ("acme_live_", "\u{e9}"),
        ("ACME_API_TOKEN=", "\""),
        ("ACME_API_TOKEN='", "\n"),
        ("ACME_API_TOKEN=acme_live_", ""),
        ("ACME_API_TOKEN=x y", ""),
        ("ACME_API_TOKEN=1\nACME_API_TOKEN=acme_live_", ""),
    ]);
    (secret, around).prop_map(|(secret, (before, after))| {
        let value = format!("{before}{secret}{after}");
        (secret, value)
    })
}

proptest! {
    #[test]
    fn no_error_holds_a_piece_of_a_value((secret, value) in any_value(), cuts_text: bool) {
        let files = Files::new();
        let mut content = value.into_bytes();
        if cuts_text {
            content.push(0xff);
        }
        let path = files.write("a", &content);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        for source in [
            TokenSource::file(&path),
            TokenSource::dotenv(&path, "ACME_API_TOKEN"),
            TokenSource::file(files.path("missing")).or(TokenSource::file(&path)),
        ] {
            let Err(error) = runtime.block_on(load(source)) else { continue };
            let printed = printed(&error);
            for piece in secret.as_bytes().windows(6) {
                let piece = String::from_utf8_lossy(piece);
                prop_assert!(!printed.contains(&*piece), "{piece:?} in {printed}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn no_error_of_a_command_holds_a_piece_of_its_output((secret, value) in any_value(), fails: bool) {
        let files = Files::new();
        let path = files.write("a", &value);
        let end = if fails { "exit 1" } else { "exit 0" };
        // Nor of its arguments.
        let source = TokenSource::command("sh", ["-c", &format!("cat \"$1\"; {end}"), "sh", path.to_str().unwrap(), &secret]);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        if let Err(error) = runtime.block_on(load(source)) {
            let printed = printed(&error);
            for piece in secret.as_bytes().windows(6) {
                let piece = String::from_utf8_lossy(piece);
                prop_assert!(!printed.contains(&*piece), "{piece:?} in {printed}");
            }
        }
    }
}
