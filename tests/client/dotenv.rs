//! Tokens in `.env` files.

use api_tokens::client::TokenSource;
use proptest::prelude::*;

use crate::{EXPECTED, Files, assert_holds, load, text};

fn source(files: &Files, content: impl AsRef<[u8]>) -> TokenSource {
    TokenSource::dotenv(files.write(".env", content), "ACME_API_TOKEN")
}

#[tokio::test]
async fn a_variable_is_found_however_it_is_written() {
    let files = Files::new();
    let token = text(1);
    for content in [
        format!("ACME_API_TOKEN={token}"),
        format!("# of the API\nOTHER=1\n\nexport ACME_API_TOKEN='{token}'\nMORE=2\n"),
        format!("ACME_API_TOKEN=\"{token}\" # of the API\r\n"),
        format!("\u{feff}ACME_API_TOKEN={token}\r\nOTHER=1\r\n"),
        format!("ACME_API_TOKEN_OLD=x\nACME_API_TOKEN={token}\n"),
        format!("TOKEN_OF_TEST={token}\nACME_API_TOKEN=${{TOKEN_OF_TEST}}\n").replace("_OF_", "OF"),
    ] {
        assert_holds(load(source(&files, &content)).await, 1);
    }
    assert!(std::env::var_os("ACME_API_TOKEN").is_none(), "the environment is left alone");
}

#[tokio::test]
async fn without_the_file_or_the_variable_there_is_nothing() {
    let files = Files::new();
    let path = files.path(".env");
    let variable = format!("variable ACME_API_TOKEN in file {}", path.display());
    let error = load(TokenSource::dotenv(&path, "ACME_API_TOKEN")).await.unwrap_err();
    let why = "is not set, since the file does not exist";
    assert_eq!(error.to_string(), format!("{variable} {why}: {EXPECTED}"));
    assert!(error.is_absent());

    let error = load(source(&files, "OTHER=1\n#ACME_API_TOKEN=2\n")).await.unwrap_err();
    assert_eq!(error.to_string(), format!("{variable} is not set: {EXPECTED}"));
    assert!(error.is_absent());
}

#[tokio::test]
async fn what_is_wrong_in_the_file_is_told() {
    let files = Files::new();
    for (content, problem) in [
        ("ACME_API_TOKEN=\n".to_owned(), format!("is empty: {EXPECTED}")),
        ("ACME_API_TOKEN=${NOT_SET_ANYWHERE}\n".to_owned(), format!("is empty: {EXPECTED}")),
        (
            format!("ACME_API_TOKEN={}\nOTHER=1\nACME_API_TOKEN={}\n", text(1), text(2)),
            "is set twice: remove the one that does not count".to_owned(),
        ),
        (
            format!("OTHER='an open quote\nACME_API_TOKEN={}\n", text(1)),
            "cannot be read: the file has a line that is not of the form NAME=value".to_owned(),
        ),
        (
            text(1),
            "cannot be read: the file has a line that is not of the form NAME=value".to_owned(),
        ),
    ] {
        let error = load(source(&files, &content)).await.unwrap_err();
        let path = files.path(".env");
        let name = format!("variable ACME_API_TOKEN in file {}", path.display());
        assert_eq!(error.to_string(), format!("{name} {problem}"));
        assert!(!error.is_absent());
    }
}

proptest! {
    #[test]
    fn no_content_makes_it_panic(content in "([A-Z ]{0,3}|[=#\"'\\\\$ {}\n\r\t]|ACME_API_TOKEN=|\\PC){0,30}") {
        let files = Files::new();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let error = runtime.block_on(load(source(&files, &content))).unwrap_err();
        prop_assert!(!error.to_string().contains("broken off"), "{error}");
    }
}

/// Each line is twice as long as the one before, of a file that is short.
#[tokio::test]
async fn what_grows_within_the_file_has_a_limit() {
    let files = Files::new();
    for doublings in [20, 31, 40, 1000] {
        let lines = (1..=doublings).map(|number| {
            let before = number - 1;
            format!("A{number}=${{A{before}}}${{A{before}}}\n")
        });
        let content: String = ["A0=0123456789\n".to_owned()].into_iter().chain(lines).collect();
        let content = format!("{content}ACME_API_TOKEN={}\n", text(1));
        let error = load(source(&files, content)).await.unwrap_err().to_string();
        let expected = if doublings <= 31 {
            "has more than 64 KiB: expected a token and nothing else"
        } else {
            "cannot be read: the file has more than 64 variables within its values"
        };
        assert!(error.ends_with(expected), "{error}");
    }
}
