//! Finds tokens in whatever they ended up in, and never tells them.

use api_tokens::{
    Prefix, Token,
    leak::{Encoding, Finder, Fingerprint, Found},
    prefix,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use rand::{SeedableRng, rngs::ChaCha20Rng};

const LIVE: Prefix = prefix!("acme_live");
const TOKEN: &str = "acme_live_Ky9Pf34qY6Nb3wWD_25RQ4F5ZR3qa7yEeeby3abP3E2Zs8IQ9Y7aJZqh1H1ztQ";

fn finder() -> Finder {
    Finder::new([LIVE]).with_all_encodings()
}

fn places(found: &[Found]) -> Vec<(Encoding, u64, u64)> {
    found.iter().map(|found| (found.encoding, found.range.start, found.range.end)).collect()
}

#[track_caller]
fn assert_found_at(bytes: &[u8], encoding: Encoding, start: u64, end: u64) {
    assert_eq!(places(&finder().find(bytes)), [(encoding, start, end)], "{}", bytes.escape_ascii());
    // By no other switch than its own.
    for other in Encoding::ALL {
        let found = Finder::new([LIVE]).with_encoding(other).find(bytes);
        assert_eq!(!found.is_empty(), other == encoding || encoding == Encoding::Plain, "{other}");
    }
}

#[test]
fn tells_which_and_where() {
    let text = format!("one\ntwo ä {TOKEN}\n");
    let found = finder().find(text.as_bytes());
    let [found] = &found[..] else { panic!("{found:?}") };
    assert_eq!(found.prefix, LIVE);
    assert_eq!(found.id.as_str(), "Ky9Pf34qY6Nb3wWD");
    assert_eq!((found.line, found.column), (2, 7));
    assert_eq!(found.range, 11..83);
    assert_eq!(
        found.fingerprint.to_string(),
        "72aa0ca8d70b5d31c49f61c3d46b195ae87dbfc086389a3e2a6592dab9b36ac2"
    );
    assert_eq!(found.fingerprint.to_string().parse(), Ok(found.fingerprint));
    assert!(found.token().is_none());
}

#[test]
fn the_token_is_kept_only_if_asked_for() {
    let found = finder().keep_tokens().find(TOKEN.as_bytes());
    assert_eq!(found[0].token().map(Token::expose_secret), Some(TOKEN));
    for found in [&found, &finder().find(TOKEN.as_bytes())] {
        let text = format!("{found:?}");
        assert!(text.contains("Ky9Pf34qY6Nb3wWD"), "{text}");
        assert!(!text.contains("25RQ4F5ZR3qa7"), "{text}");
    }
}

#[test]
fn no_border_is_needed() {
    for (before, after) in
        [("", ""), ("x", "y"), ("_", "_"), ("\\n", "\\n"), ("%3D", "%3D"), ("9", "9")]
    {
        let text = format!("{before}{TOKEN}{after}");
        let start = before.len() as u64;
        assert_found_at(text.as_bytes(), Encoding::Plain, start, start + 72);
    }
}

#[test]
fn one_wrong_character_is_not_found() {
    for at in 0..TOKEN.len() {
        let mut bytes = TOKEN.as_bytes().to_vec();
        bytes[at] = if bytes[at] == b'x' { b'y' } else { b'x' };
        assert_eq!(places(&finder().find(&bytes)), []);
    }
    assert_eq!(places(&finder().find(&TOKEN.as_bytes()[..71])), []);
}

#[test]
fn utf16_of_both_orders_at_both_alignments() {
    let little: Vec<u8> = TOKEN.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = TOKEN.encode_utf16().flat_map(u16::to_be_bytes).collect();
    for before in [&b""[..], b"x", b"\xff\xfe", b"abc"] {
        let start = before.len() as u64;
        assert_found_at(&[before, &little].concat(), Encoding::Utf16, start, start + 144);
        assert_found_at(&[before, &big].concat(), Encoding::Utf16, start, start + 144);
    }
    // Between other characters it can be read in both orders: it is the one that is aligned.
    let text = format!("T={TOKEN}\n");
    let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    for bytes in [little, big] {
        assert_found_at(&bytes, Encoding::Utf16, 4, 148);
    }
    let line: Vec<u8> = format!("a\nb={TOKEN}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    let found = finder().find(&line);
    assert_eq!((found[0].line, found[0].column), (2, 3));
}

#[test]
fn percent_encoding_of_some_or_all_characters() {
    for text in [
        TOKEN.replacen('_', "%5F", 1),
        TOKEN.replace('_', "%5f"),
        each(TOKEN, |byte| format!("%{byte:02X}")),
    ] {
        let line = format!("q=a%20{text}%20b");
        assert_found_at(line.as_bytes(), Encoding::Percent, 6, 6 + text.len() as u64);
    }
    // The last character alone.
    let text = format!("{}%51", &TOKEN[..71]);
    assert_found_at(text.as_bytes(), Encoding::Percent, 0, 74);
}

fn each(text: &str, write: fn(u8) -> String) -> String {
    text.bytes().map(write).collect()
}

#[test]
fn json_escapes_of_some_or_all_characters() {
    let all = each(TOKEN, |byte| format!("\\u00{byte:02x}"));
    let upper = each(TOKEN, |byte| format!("\\u00{byte:02X}"));
    for text in [TOKEN.replacen('_', "\\u005f", 1), TOKEN.replace('_', "\\u005F"), all, upper] {
        let line = format!("\\u0020{text}\\u0020");
        assert_found_at(line.as_bytes(), Encoding::Json, 6, 6 + text.len() as u64);
    }
}

#[test]
fn hexadecimal_digits_at_both_alignments() {
    let lower = each(TOKEN, |byte| format!("{byte:02x}"));
    for text in [lower.to_uppercase(), lower] {
        for before in ["", "0", "0x", "abc"] {
            let line = format!("{before}{text}00");
            let start = before.len() as u64;
            assert_found_at(line.as_bytes(), Encoding::Hex, start, start + 144);
        }
    }
    let lower = each(TOKEN, |byte| format!("{byte:02x}"));
    let (before, after) = lower.split_at(100);
    let mixed = format!("{before}{}", after.to_uppercase());
    assert_eq!(places(&finder().find(mixed.as_bytes())), []);
}

#[test]
fn base64_at_every_alignment() {
    for before in 0..9 {
        for after in ["", "x", "xy", "\u{ff}\u{ff}\u{ff}", "???"] {
            let text = format!("{}{TOKEN}{after}", &"user:pass\u{ff}"[..before]);
            for engine in [&STANDARD, &base64::engine::general_purpose::URL_SAFE_NO_PAD] {
                let line = format!("Basic {}", engine.encode(&text));
                let start = 6 + (before * 8 / 6) as u64;
                let end = 6 + ((before + 72) * 8).div_ceil(6) as u64;
                assert_found_at(line.as_bytes(), Encoding::Base64, start, end);
            }
        }
    }
}

/// The last character may be one of those that differ between the alphabets.
#[test]
fn base64_with_bits_of_what_follows() {
    let mut rng = ChaCha20Rng::seed_from_u64(4);
    let mut token = || Token::generate(&LIVE, &mut rng).unwrap();
    let token =
        std::iter::repeat_with(&mut token).find(|token| token.expose_secret().ends_with('o'));
    let token = token.unwrap();
    for before in ["", "x", "xy"] {
        for after in [0x20, 0x80, 0xc0, 0xe0, 0xf0_u8] {
            let text = [before.as_bytes(), token.expose_secret().as_bytes(), &[after]].concat();
            for engine in [&STANDARD, &base64::engine::general_purpose::URL_SAFE_NO_PAD] {
                assert_eq!(finder().find(engine.encode(&text).as_bytes()).len(), 1);
            }
        }
    }
}

#[test]
fn base64_in_wrapped_and_indented_lines() {
    for width in [16, 64, 76] {
        for separator in ["\n", "\r\n", "\n    ", "\n\t"] {
            for before in 0..80 {
                let text =
                    format!("{}{TOKEN}-and-more-of-the-same-text-after-it", "x".repeat(before));
                let encoded = STANDARD.encode(text);
                let lines: Vec<&str> = encoded
                    .as_bytes()
                    .chunks(width)
                    .map(|line| std::str::from_utf8(line).unwrap())
                    .collect();
                let found = finder().find(lines.join(separator).as_bytes());
                assert_eq!(found.len(), 1, "width {width}, {separator:?}, {before} before");
                assert_eq!(found[0].encoding, Encoding::Base64);
            }
        }
    }
}

#[test]
fn several_prefixes_of_which_one_begins_another() {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let prefixes = [prefix!("acme"), LIVE, prefix!("acme_live_2"), prefix!("live"), prefix!("a")];
    for encoding in Encoding::ALL {
        let finder = Finder::new(prefixes).with_encoding(encoding);
        for prefix in prefixes {
            let token = Token::generate(&prefix, &mut rng).unwrap();
            let found = finder.find(token.expose_secret().as_bytes());
            assert_eq!(found.len(), 1);
            assert_eq!((found[0].prefix, found[0].id), (prefix, token.id()));
        }
    }
}

#[test]
fn more_prefixes_than_vector_instructions_take() {
    let mut rng = ChaCha20Rng::seed_from_u64(2);
    let prefixes: Vec<Prefix> =
        (0..200).map(|number| Prefix::new(&format!("product{number}")).unwrap()).collect();
    let finder = Finder::new(prefixes.clone()).with_all_encodings();
    for prefix in prefixes {
        let token = Token::generate(&prefix, &mut rng).unwrap();
        let text = format!("{} {}", token.expose_secret(), STANDARD.encode(token.expose_secret()));
        assert_eq!(finder.find(text.as_bytes()).len(), 2, "{prefix}");
    }
}

#[test]
fn without_a_prefix_nothing_is_found() {
    assert!(Finder::new([]).with_all_encodings().find(TOKEN.as_bytes()).is_empty());
}

#[test]
fn a_fingerprint_has_64_digits_in_lower_case() {
    let good = "0123456789abcdef".repeat(4);
    assert_eq!(good.parse::<Fingerprint>().unwrap().to_string(), good);
    for bad in
        [&good[1..], &good.to_uppercase(), &good.replace('0', "g"), &good.replace("01", "+1"), ""]
    {
        assert!(bad.parse::<Fingerprint>().is_err(), "{bad}");
    }
}

#[test]
fn encodings_have_names() {
    for encoding in Encoding::ALL {
        assert_eq!(encoding.to_string().parse(), Ok(encoding));
    }
    assert!("Plain".parse::<Encoding>().is_err());
}

/// A text that comes byte by byte is remembered as long as the longest way of writing the longest
/// token needs, and longer lines within base64 are not part of it.
#[test]
fn the_longest_forms_byte_by_byte() {
    let longest = prefix!("a23456789_123456789_1234");
    let token = Token::generate(&longest, &mut ChaCha20Rng::seed_from_u64(3)).unwrap();
    let token = token.expose_secret();
    let each = |write| each(token, write).into_bytes();
    let wrapped = |before: &str, first: usize, separator: &str| {
        let encoded = STANDARD.encode(format!("{before}{token}"));
        let (line, rest) = encoded.split_at(first);
        let lines = rest.as_bytes().chunks(16).map(|line| std::str::from_utf8(line).unwrap());
        [line].into_iter().chain(lines).collect::<Vec<_>>().join(separator).into_bytes()
    };
    let indent = format!("\r\n{}", " ".repeat(16));
    let texts = [
        token.as_bytes().to_vec(),
        token.encode_utf16().flat_map(u16::to_be_bytes).collect(),
        each(|byte| format!("%{byte:02x}")),
        each(|byte| format!("\\u00{byte:02x}")),
        each(|byte| format!("{byte:02x}")),
        // Of which the last character alone is encoded.
        format!("{}%{:02x}", &token[..86], token.as_bytes()[86]).into_bytes(),
        format!("{}\\u00{:02x}", &token[..86], token.as_bytes()[86]).into_bytes(),
    ];
    // The first line ends anywhere within the prefix, and beyond it.
    let base64 =
        (3..=40).flat_map(|first| ["", "x", "xy"].map(|before| wrapped(before, first, &indent)));
    let finder = Finder::new([longest]).with_all_encodings();
    for text in texts.into_iter().chain(base64) {
        let found = finder.find(&text);
        // Also by a finder that has no longer form to wait for.
        let own = Finder::new([longest]).with_encoding(found[0].encoding);
        for finder in [&finder, &own] {
            let mut scan = finder.scan();
            let scanned: Vec<Found> = text.iter().flat_map(|byte| scan.push(&[*byte])).collect();
            assert_eq!(places(&scanned), places(&found), "{}", text.escape_ascii());
            assert_eq!((scanned[0].line, scanned[0].column), (found[0].line, found[0].column));
        }
        let [found] = &found[..] else { panic!("{found:?}") };
        let line = text[..usize::try_from(found.range.start).unwrap()]
            .split(|byte| *byte == b'\n')
            .count();
        assert_eq!(found.line, line as u64);
    }
    for separator in [format!("{indent} "), "\n\n".to_owned(), "\r".to_owned(), " ".to_owned()] {
        assert!(finder.find(&wrapped("", 20, &separator)).is_empty(), "{separator:?}");
    }
}
