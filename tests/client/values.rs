//! What is accepted for a token, and what is said of everything else.

use api_tokens::client::TokenSource;

use crate::{EXPECTED, Files, assert_holds, load, text};

#[tokio::test]
async fn white_space_and_a_byte_order_mark_around_it_do_not_matter() {
    let files = Files::new();
    for content in [
        text(1),
        format!("{}\n", text(1)),
        format!("{}\r\n", text(1)),
        format!(" \t{}  \n\n", text(1)),
        format!("\u{feff}{}\r\n", text(1)),
    ] {
        let source = TokenSource::file(files.write("token", &content));
        assert_holds(load(source).await, 1);
    }
}

#[tokio::test]
async fn what_is_no_token_is_refused_with_what_to_do() {
    let token = text(1);
    let other = token.replace("acme_live", "acme_test");
    let changed = token.replacen(&token[30..31], if &token[30..31] == "a" { "b" } else { "a" }, 1);
    // What comes after the prefix, moved by one.
    let moved = format!("acme_live_{}{}", &token[11..], &token[10..11]);
    let placeholder =
        "is a placeholder: whatever starts this program did not put the token in its place";
    let quotes = "stands in quotes: remove them";
    let scheme = "begins with `Bearer`: remove it, it is added when the token is sent";
    let prefix = "is not a token of this service: expected one that begins with acme_live_";
    let spaced = "has white space within: expected one token and nothing else";
    let alphabet = "has a character that no token has: they consist of 0-9, A-Z, a-z and _";
    let misspelt = "is misspelt: its checksum tells that a character is wrong; copy it again";
    let cut = "has 71 characters and a token has 72: a part is missing; copy it again";
    let longer = "has 144 characters and a token has 72: something comes after it; copy it again";
    for (content, problem) in [
        ("", format!("is empty: {EXPECTED}").as_str()),
        (" \r\n\t", &format!("is empty: {EXPECTED}")),
        ("\u{feff}\n", &format!("is empty: {EXPECTED}")),
        ("${ACME_API_TOKEN}", placeholder),
        ("$ACME_API_TOKEN", placeholder),
        ("$(op read op://Private/Acme/token)", placeholder),
        ("%ACME_API_TOKEN%", placeholder),
        ("{{ .Values.token }}", placeholder),
        ("PASTE-YOUR-TOKEN", placeholder),
        (&format!("\"{token}\""), quotes),
        (&format!("'{token}'"), quotes),
        (&format!("{token}\""), quotes),
        (&format!("Bearer {token}"), scheme),
        (&format!("bearer  {token}"), scheme),
        (&other, prefix),
        ("acme_live", prefix),
        ("acme_livex", prefix),
        ("xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx", prefix),
        ("pässwörd", prefix),
        (&format!("TOKEN={token}"), prefix),
        (&format!("{token}\n{token}"), spaced),
        (&format!("{token} # the token"), spaced),
        (&format!("{}-{}", &token[..30], &token[31..]), alphabet),
        (&format!("{token};"), alphabet),
        (&token.replacen(&token[30..31], "é", 1), alphabet),
        (&token[..71], cut),
        (&format!("{token}{token}"), longer),
        (&changed, misspelt),
        (&moved, misspelt),
        (&format!("acme_live_{}", "_".repeat(62)), misspelt),
    ] {
        let files = Files::new();
        let path = files.write("token", content);
        let error = load(TokenSource::file(&path)).await.unwrap_err();
        assert_eq!(error.to_string(), format!("file {} {problem}", path.display()));
        assert!(error.is_malformed() && !error.is_absent());
    }
}

#[tokio::test]
async fn bytes_that_are_no_text_are_refused() {
    let files = Files::new();
    let utf_16: Vec<u8> = text(1).encode_utf16().flat_map(u16::to_le_bytes).collect();
    for content in [[b"\xff\xfe", &utf_16[..]].concat(), [text(1).as_bytes(), b"\xff"].concat()] {
        let path = files.write("token", content);
        let error = load(TokenSource::file(&path)).await.unwrap_err();
        let problem = "is not text in UTF-8: was it saved in another encoding?";
        assert_eq!(error.to_string(), format!("file {} {problem}", path.display()));
        assert!(error.is_malformed());
    }
}
