//! Finding and replacing tokens, against slow and obvious ways of doing the same.
//!
//! Random bytes have no token in them. So bytes above 127 stand for fragments: tokens and parts of
//! tokens, written in every way; all others for themselves.

use std::{io::Write, sync::LazyLock};

use api_tokens::{
    Prefix,
    leak::{Encoding, Finder, Redactor},
    prefix,
};

use super::{seal, token_slowly};

/// One begins another, and one occurs within another.
const PREFIXES: [Prefix; 4] =
    [prefix!("acme"), prefix!("acme_live"), prefix!("live"), prefix!("a")];

static FINDER: LazyLock<Finder> = LazyLock::new(|| Finder::new(PREFIXES).with_all_encodings());

static FRAGMENTS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let mut fragments: Vec<Vec<u8>> = Vec::new();
    for (number, prefix) in PREFIXES.iter().enumerate() {
        let mut text =
            format!("{prefix}_Ky9Pf34qY6Nb3wWD_25RQ4F5ZR3qa7yEeeby3abP3E2Zs8IQ9Y7aJZq{number}")
                .into_bytes();
        text.extend(seal(&text));
        assert!(token_slowly(prefix, &text).is_ok());
        let all = |write: fn(u8) -> Vec<u8>| text.iter().copied().flat_map(write).collect();
        fragments.push(text.clone());
        fragments.push(text[..50].to_vec());
        fragments.push(text[20..].to_vec());
        fragments.push(all(|byte| vec![byte, 0]));
        fragments.push(all(|byte| vec![0, byte]));
        fragments.push(all(|byte| format!("%{byte:02x}").into_bytes()));
        fragments.push(all(|byte| if byte == b'_' { b"%5F".to_vec() } else { vec![byte] }));
        fragments.push(all(|byte| format!("\\u00{byte:02X}").into_bytes()));
        fragments.push(all(|byte| if byte == b'_' { br"\u005f".to_vec() } else { vec![byte] }));
        fragments.push(all(|byte| format!("{byte:02x}").into_bytes()));
        fragments.push(all(|byte| format!("{byte:02X}").into_bytes()));
        for before in [&b""[..], b"x", b"xy"] {
            let encoded = base64(&[before, &text, b"\xff?"].concat());
            fragments.push(wrapped(&encoded, 10 + 7 * number, "\n"));
            fragments.push(wrapped(&encoded, 24, "\r\n \t"));
            fragments.push(encoded);
        }
    }
    let breaks = ["\n", "\r\n", "\n                ", "\n                 "];
    fragments.extend(breaks.map(|text| text.as_bytes().to_vec()));
    fragments
});

fn base64(bytes: &[u8]) -> Vec<u8> {
    let letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".as_bytes();
    let group = |group: &[u8]| {
        let number =
            group.iter().chain(&[0, 0]).take(3).fold(0, |sum, byte| sum << 8 | usize::from(*byte));
        (0..=group.len())
            .map(move |place| letters[number >> (18 - 6 * place) & 63])
            .collect::<Vec<_>>()
    };
    bytes.chunks(3).flat_map(group).collect()
}

fn wrapped(text: &[u8], width: usize, separator: &str) -> Vec<u8> {
    text.chunks(width).collect::<Vec<_>>().join(separator.as_bytes())
}

fn text_of(data: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    for byte in data {
        match byte.checked_sub(128) {
            Some(number) => text.extend(&FRAGMENTS[usize::from(number) % FRAGMENTS.len()]),
            None => text.push(*byte),
        }
    }
    text
}

/// The first byte says from which number on the pieces get their lengths in which the text comes.
fn split(data: &[u8]) -> (u8, Vec<u8>) {
    /// The slow ways are slow: more bytes of data only make them slower.
    const MAX: usize = 24;
    let (first, rest) = data.split_first().unwrap_or((&0, &[]));
    (*first, text_of(&rest[..rest.len().min(MAX)]))
}

/// Pieces of 1 to 128 bytes, of which every third is 1 to 4 bytes long.
fn pieces(seed: u8, mut text: &[u8]) -> Vec<&[u8]> {
    let mut pieces = Vec::new();
    let mut number = u32::from(seed);
    while !text.is_empty() {
        number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let len = (number >> 24) as usize % if number >> 16 & 255 < 85 { 4 } else { 128 } + 1;
        let (piece, rest) = text.split_at(len.min(text.len()));
        pieces.push(piece);
        text = rest;
    }
    pieces
}

type Place = (u64, u64, String, String, String, u64, u64);

/// Finds the same as trying every way of writing at every place; in one piece or in several.
pub fn finder(data: &[u8]) {
    let (seed, text) = split(data);
    let told = |found: api_tokens::leak::Found| -> Place {
        let (start, end) = (found.range.start, found.range.end);
        let (prefix, id) = (found.prefix.to_string(), found.id.to_string());
        (start, end, found.encoding.to_string(), prefix, id, found.line, found.column)
    };
    let sorted = |mut found: Vec<Place>| {
        found.sort();
        found
    };
    let expected = in_one_order(sorted(find_slowly(&text)));
    let found: Vec<Place> = FINDER.find(&text).into_iter().map(told).collect();
    assert!(found.is_sorted_by_key(|place| place.0));
    assert_eq!(sorted(found), expected);

    let mut scan = FINDER.scan();
    let scanned = pieces(seed, &text).into_iter().flat_map(|piece| scan.push(piece)).map(told);
    assert_eq!(in_one_order(sorted(scanned.collect())), expected);

    for encoding in Encoding::ALL {
        let found = Finder::new(PREFIXES).with_encoding(encoding).find(&text);
        let own =
            |place: &&Place| [Encoding::Plain, encoding].iter().any(|own| own.as_str() == place.2);
        let own: Vec<Place> = expected.iter().filter(own).cloned().collect();
        assert_eq!(sorted(found.into_iter().map(told).collect()), own);
    }
}

/// UTF-16 that can be read in both byte orders is one token, at the even place.
fn in_one_order(mut places: Vec<Place>) -> Vec<Place> {
    places.dedup_by(|later, earlier| {
        let is_same = later.0 == earlier.0 + 1
            && (&later.2, &later.3, &later.4) == (&earlier.2, &earlier.3, &earlier.4)
            && later.2 == "utf16";
        if is_same && earlier.0 % 2 == 1 {
            std::mem::swap(later, earlier);
        }
        is_same
    });
    places
}

fn find_slowly(text: &[u8]) -> Vec<Place> {
    let mut found = Vec::new();
    for start in 0..text.len() {
        let rest = &text[start..];
        let readings = [
            ("plain", plain(rest)),
            ("utf16", utf16(rest, 0)),
            ("utf16", utf16(rest, 1)),
            ("percent", escaped(rest, b"%", 3)),
            ("json", escaped(rest, br"\u00", 6)),
            ("base64", of_base64(rest, 0)),
            ("base64", of_base64(rest, 4)),
            ("base64", of_base64(rest, 2)),
            ("hex", of_hex(rest, "0123456789abcdef")),
            ("hex", of_hex(rest, "0123456789ABCDEF")),
        ];
        for (name, characters) in readings {
            for prefix in PREFIXES {
                let Some(characters) = characters.get(..prefix.as_str().len() + 63) else {
                    continue;
                };
                let token: Vec<u8> = characters.iter().map(|character| character.0).collect();
                let end = start + characters.last().unwrap().1;
                let is_plain = text[start..end] == token;
                let Ok(id) = token_slowly(&prefix, &token) else { continue };
                if is_plain && name != "plain" {
                    continue;
                }
                let before = &text[..start];
                let line = before.split(|byte| *byte == b'\n').count();
                let column = before.split(|byte| *byte == b'\n').next_back().unwrap();
                let column =
                    column.iter().filter(|byte| !matches!(byte, 0 | 0x80..0xc0)).count() + 1;
                found.push((
                    start as u64,
                    end as u64,
                    name.to_owned(),
                    prefix.to_string(),
                    id,
                    line as u64,
                    column as u64,
                ));
            }
        }
    }
    found
}

/// Characters, and where each ends.
type Characters = Vec<(u8, usize)>;

/// Longer is no token.
const ENOUGH: usize = 87;

fn plain(text: &[u8]) -> Characters {
    text.iter().take(ENOUGH).enumerate().map(|(at, byte)| (*byte, at + 1)).collect()
}

fn utf16(text: &[u8], zero: usize) -> Characters {
    let pairs = text.chunks_exact(2).take(ENOUGH).enumerate();
    let pairs = pairs.take_while(|(_, pair)| pair[1 - zero] == 0);
    pairs.map(|(at, pair)| (pair[zero], 2 * at + 2)).collect()
}

fn escaped(text: &[u8], begin: &[u8], len: usize) -> Characters {
    let mut characters = Vec::new();
    let mut at = 0;
    while at < text.len() && characters.len() < ENOUGH {
        let escape = text[at..].get(..len).filter(|escape| escape.starts_with(begin));
        let digits = escape.and_then(|escape| std::str::from_utf8(&escape[begin.len()..]).ok());
        let digits = digits.filter(|digits| digits.chars().all(|digit| digit.is_ascii_hexdigit()));
        if let Some(digits) = digits {
            at += len;
            characters.push((u8::from_str_radix(digits, 16).unwrap(), at));
        } else {
            at += 1;
            characters.push((text[at - 1], at));
        }
    }
    characters
}

fn of_hex(text: &[u8], digits: &str) -> Characters {
    let mut characters = Vec::new();
    for (at, pair) in text.chunks_exact(2).take(ENOUGH).enumerate() {
        let digit = |digit: u8| digits.bytes().position(|other| other == digit);
        let (Some(high), Some(low)) = (digit(pair[0]), digit(pair[1])) else { break };
        characters.push((u8::try_from(16 * high + low).unwrap(), 2 * at + 2));
    }
    characters
}

/// Of the first character, so many bits are the token's; 0 for all.
fn of_base64(text: &[u8], own: usize) -> Characters {
    let mut bits: Vec<(bool, usize)> = Vec::new();
    let (mut at, mut since_break, mut breaks) = (0, 0, 0);
    while bits.len() < 8 * ENOUGH {
        let rest = &text[at..];
        let after = rest.strip_prefix(b"\r\n").or(rest.strip_prefix(b"\n"));
        if let Some(after) = after
            && since_break > 0
            && (breaks == 0 || since_break >= 16)
        {
            let blank = after.iter().take_while(|byte| b" \t".contains(byte)).count();
            at = text.len() - after.len() + blank.min(16);
            breaks += 1;
            since_break = 0;
        }
        let number = match text.get(at).map(|byte| char::from(*byte)) {
            Some('-') => 62,
            Some('_') => 63,
            Some(other) => match ('A'..='Z')
                .chain('a'..='z')
                .chain('0'..='9')
                .chain(['+', '/'])
                .position(|letter| letter == other)
            {
                Some(number) => number,
                None => break,
            },
            None => break,
        };
        at += 1;
        since_break += 1;
        bits.extend((0..6).rev().map(|bit| (number >> bit & 1 == 1, at)));
    }
    let shared = if own == 0 { 0 } else { 6 - own };
    let bits = bits.get(shared..).unwrap_or_default();
    let byte = |bits: &[(bool, usize)]| {
        let number = bits.iter().fold(0_u8, |number, bit| number << 1 | u8::from(bit.0));
        (number, bits[7].1)
    };
    bits.chunks_exact(8).map(byte).collect()
}

/// However a text is cut into pieces, it comes out the same, and no token is in it.
pub fn redactor(data: &[u8]) {
    let (seed, text) = split(data);
    let finder = Finder::new(PREFIXES);
    let whole = redacted(&finder, &[&text], false);
    let pieces = pieces(seed, &text);
    assert_eq!(redacted(&finder, &pieces, false), whole);
    // A flush may let a beginning out, but no token.
    for text in [&whole, &redacted(&finder, &pieces, true)] {
        assert!(finder.find(text).is_empty());
    }
    // What is not replaced is there, and in its place.
    let mut rest = &text[..];
    for part in whole.split_inclusive(|byte| *byte == b']') {
        let at = part.windows(7).rposition(|window| window == b"[token ");
        let kept = &part[..at.filter(|at| part.len() - at == 24).unwrap_or(part.len())];
        if !kept.is_empty() {
            let at = rest.windows(kept.len()).position(|window| window == kept);
            rest = &rest[at.expect("what is kept is in the text") + kept.len()..];
        }
    }
}

fn redacted(finder: &Finder, pieces: &[&[u8]], flush: bool) -> Vec<u8> {
    let mut redactor = Redactor::new(finder, Vec::new());
    for piece in pieces {
        redactor.write_all(piece).unwrap();
        if flush {
            redactor.flush().unwrap();
        }
    }
    redactor.finish().unwrap()
}
