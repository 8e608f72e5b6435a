//! Where tokens are found and where they are not, as `docs/leaked-tokens.md` tells it in a table.

use std::{fmt::Write as _, io::Write as _};

use api_tokens::{Prefix, Token, leak::Finder, prefix};
use base64::{Engine, engine::general_purpose::STANDARD, engine::general_purpose::URL_SAFE_NO_PAD};
use flate2::{Compression, write::GzEncoder};
use rand::{RngExt, SeedableRng, rngs::ChaCha20Rng};

const LIVE: Prefix = prefix!("acme_live");

/// Tokens that are planted in each context.
const PLANTED: usize = 100;

const GUIDE: &str = include_str!("../docs/leaked-tokens.md");

/// What becomes of a token in some context.
enum Context {
    /// It stands in the text that this writes.
    Token(fn(&str) -> Vec<u8>),
    /// This encodes a text that has it somewhere: at any alignment, and anywhere in a line.
    Text(fn(&str) -> Vec<u8>),
}

const CONTEXTS: [(&str, Context); 40] = [
    ("source code, a literal", Context::Token(|token| format!("let token = \"{token}\";").into())),
    (
        "source code, glued to other text",
        Context::Token(|token| format!("f\"Bearer{token}{{more}}\"").into()),
    ),
    ("a comment", Context::Token(|token| format!("/*{token}*/").into())),
    (
        "minified JavaScript",
        Context::Token(|token| format!("var a=1,t=`{token}`;function b(){{}}").into()),
    ),
    ("JSON", Context::Token(|token| format!("{{\"token\":\"{token}\"}}").into())),
    (
        "JSON, after an escaped line break",
        Context::Token(|token| format!("{{\"text\":\"one\\n{token}\\n\"}}").into()),
    ),
    ("YAML", Context::Token(|token| format!("env:\n  - name: TOKEN\n    value: {token}\n").into())),
    ("TOML, INI", Context::Token(|token| format!("[api]\ntoken='{token}'\n").into())),
    ("`.env`", Context::Token(|token| format!("export API_TOKEN={token}\n").into())),
    (
        "a shell's history",
        Context::Token(|token| {
            format!(": 1700000000:0;curl -H 'Authorization: Bearer {token}'").into()
        }),
    ),
    (
        "a URL's query",
        Context::Token(|token| format!("https://example.com/?token={token}&x=1").into()),
    ),
    ("a form, after `%3D`", Context::Token(|token| format!("state=token%3D{token}%26x").into())),
    (
        "a diff",
        Context::Token(|token| format!("@@ -1 +1 @@\n-token = x\n+token = {token}\n").into()),
    ),
    ("Markdown", Context::Token(|token| format!("use `{token}`, or **{token}**").into())),
    (
        "HTML, XML",
        Context::Token(|token| format!("<input value=\"{token}\"/><b>{token}</b>").into()),
    ),
    ("CSV", Context::Token(|token| format!("1;{token};2\n").into())),
    (
        "a log",
        Context::Token(|token| format!("2026-11-26 INFO header=Bearer_{token}\tdone").into()),
    ),
    (
        "a binary file, SQLite",
        Context::Token(|token| [&b"\x00\x06\x17\x91"[..], token.as_bytes(), b"\xff\x00"].concat()),
    ),
    (
        "Windows' line ends, a byte order mark",
        Context::Token(|token| format!("\u{feff}TOKEN={token}\r\n").into()),
    ),
    ("UTF-16, little-endian", Context::Text(|text| utf16(text, u16::to_le_bytes))),
    ("UTF-16, big-endian", Context::Text(|text| utf16(text, u16::to_be_bytes))),
    ("percent-encoding, `%5F` for `_`", Context::Token(|token| token.replace('_', "%5F").into())),
    (
        "percent-encoding of everything",
        Context::Token(|token| each(token, |byte| format!("%{byte:02X}"))),
    ),
    (
        "JSON's escapes, `\\u005f` for `_`",
        Context::Token(|token| token.replace('_', "\\u005f").into()),
    ),
    (
        "base64, a secret of Kubernetes",
        Context::Text(|text| format!("  token: {}\n", STANDARD.encode(text)).into()),
    ),
    (
        "base64, `Authorization: Basic`",
        Context::Text(|text| format!("Basic {}", STANDARD.encode(format!("me:{text}"))).into()),
    ),
    (
        "base64 for URLs, the claims of a JWT",
        Context::Text(|text| {
            let claims = format!("{{\"sub\":\"me\",\"token\":\"{text}\"}}");
            format!("eyJhbGciOiJFUzI1NiJ9.{}.c2ln", URL_SAFE_NO_PAD.encode(claims)).into()
        }),
    ),
    (
        "base64 in lines of 76 characters, mail",
        Context::Text(|text| lines(&STANDARD.encode(text), 76, "\r\n").into()),
    ),
    (
        "base64 in indented lines of 64 characters",
        Context::Text(|text| lines(&STANDARD.encode(text), 64, "\n    ").into()),
    ),
    ("hexadecimal digits", Context::Text(|text| each(text, |byte| format!("{byte:02x}")))),
    (
        "hexadecimal digits in lines, `xxd -p`",
        Context::Text(|text| lines(&hex(text), 60, "\n").into()),
    ),
    ("a hex dump with spaces", Context::Text(|text| each(text, |byte| format!("{byte:02x} ")))),
    (
        "compressed, gzip",
        Context::Text(|text| {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
            // Enough that it is compressed: a few bytes are stored as they are.
            encoder.write_all(format!("token = {text}\n").repeat(9).as_bytes()).unwrap();
            encoder.finish().unwrap()
        }),
    ),
    (
        "split over two literals",
        Context::Token(|token| format!("\"{}\" + \"{}\"", &token[..30], &token[30..]).into()),
    ),
    ("a wrapped line", Context::Text(|text| lines(text, 40, "\n").into())),
    ("quoted-printable, a wrapped line", Context::Text(|text| lines(text, 40, "=\r\n").into())),
    ("reversed", Context::Text(|text| text.chars().rev().collect::<String>().into())),
    (
        "base64 of UTF-16, PowerShell's `-EncodedCommand`",
        Context::Text(|text| STANDARD.encode(utf16(text, u16::to_le_bytes)).into()),
    ),
    ("base64 of base64", Context::Text(|text| STANDARD.encode(STANDARD.encode(text)).into())),
    ("HTML's `&#95;` for `_`", Context::Token(|token| token.replace('_', "&#95;").into())),
];

fn utf16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(bytes).collect()
}

fn each(text: &str, write: fn(u8) -> String) -> Vec<u8> {
    text.bytes().map(write).collect::<String>().into()
}

fn hex(text: &str) -> String {
    String::from_utf8(each(text, |byte| format!("{byte:02x}"))).unwrap()
}

fn lines(text: &str, width: usize, separator: &str) -> String {
    let lines = text.as_bytes().chunks(width).map(|line| std::str::from_utf8(line).unwrap());
    lines.collect::<Vec<_>>().join(separator)
}

/// How many of the tokens are found in this context.
fn found(finder: &Finder, context: &Context) -> usize {
    let mut rng = ChaCha20Rng::seed_from_u64(7);
    let mut found = 0;
    for _ in 0..PLANTED {
        let token = Token::generate(&LIVE, &mut rng).unwrap();
        let secret = token.expose_secret();
        let mut around = || "the quick brown fox ".repeat(9)[..rng.random_range(0..180)].to_owned();
        let text = match context {
            Context::Token(write) => write(secret),
            Context::Text(encode) => encode(&format!("{}{secret}{}", around(), around())),
        };
        found += usize::from(finder.find(&text).iter().any(|found| found.id == token.id()));
    }
    found
}

#[test]
fn the_table_in_the_guide() {
    let plain = Finder::new([LIVE]);
    let all = plain.clone().with_all_encodings();
    let mut table = String::from("| where the token is | plain | all encodings |\n|---|---|---|\n");
    for (name, context) in CONTEXTS {
        let [plain, all] = [&plain, &all].map(|finder| found(finder, &context));
        writeln!(table, "| {name} | {} | {} |", percentage(plain), percentage(all)).unwrap();
    }
    assert!(GUIDE.contains(&table), "the table in docs/leaked-tokens.md should be:\n\n{table}");
}

fn percentage(found: usize) -> String {
    match 100 * found / PLANTED {
        0 => "–".to_owned(),
        percentage => format!("{percentage} %"),
    }
}
