//! Replaces tokens by their ids in what is written, however it is cut.

use std::io::{self, Write};

use api_tokens::{
    Prefix, Token,
    leak::{Finder, Redactor},
    prefix,
};
use proptest::prelude::*;
use rand::{SeedableRng, rngs::ChaCha20Rng};

const TOKEN: &str = "acme_live_Ky9Pf34qY6Nb3wWD_25RQ4F5ZR3qa7yEeeby3abP3E2Zs8IQ9Y7aJZqh1H1ztQ";
const REPLACED: &str = "[token Ky9Pf34qY6Nb3wWD]";
const PREFIXES: [Prefix; 2] = [prefix!("acme"), prefix!("acme_live")];

fn redacted(pieces: &[&[u8]], flush: bool) -> String {
    let mut redactor = Redactor::new(&Finder::new(PREFIXES), Vec::new());
    for piece in pieces {
        redactor.write_all(piece).unwrap();
        if flush {
            redactor.flush().unwrap();
        }
    }
    String::from_utf8(redactor.finish().unwrap()).unwrap()
}

#[test]
fn in_one_piece() {
    for (text, expected) in [
        (String::new(), String::new()),
        ("nothing here, acme_live and acme_".into(), "nothing here, acme_live and acme_".into()),
        (format!("a {TOKEN} b {TOKEN}"), format!("a {REPLACED} b {REPLACED}")),
        (format!("{TOKEN}{TOKEN}"), format!("{REPLACED}{REPLACED}")),
        (format!("acme_{TOKEN}9"), format!("acme_{REPLACED}9")),
        (format!(r#"{{"token":"{TOKEN}"}}"#), format!(r#"{{"token":"{REPLACED}"}}"#)),
        // Cut off, or with a wrong character: what is there would do.
        (TOKEN[..71].to_owned(), REPLACED.to_owned()),
        (format!("{} …", &TOKEN[..60]), format!("{REPLACED} …")),
        (TOKEN.replace("ZR3", "ZR4"), REPLACED.to_owned()),
        // The next one begins where it was cut off.
        (format!("{}{TOKEN}", &TOKEN[..50]), format!("{REPLACED}{REPLACED}")),
        (format!("{}{TOKEN}", &TOKEN[..68]), format!("{REPLACED}{REPLACED}")),
        // Too little of the secret to be one.
        (format!("{} …", &TOKEN[..46]), format!("{} …", &TOKEN[..46])),
        (format!("{} …", &TOKEN[..47]), format!("{REPLACED} …")),
    ] {
        assert_eq!(redacted(&[text.as_bytes()], false), expected, "{text}");
    }
}

#[test]
fn in_two_pieces_cut_anywhere() {
    let text = format!("acme acme_live {TOKEN}{TOKEN} acme_{TOKEN}.");
    let expected = format!("acme acme_live {REPLACED}{REPLACED} acme_{REPLACED}.");
    for cut in 0..=text.len() {
        let (first, second) = text.as_bytes().split_at(cut);
        assert_eq!(redacted(&[first, second], false), expected, "{cut}");
    }
    let bytes: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
    assert_eq!(redacted(&bytes, false), expected);
}

/// A flush shows at most the 19 characters of a secret that are let pass anyway.
#[test]
fn flushed_in_the_middle() {
    for cut in 0..=TOKEN.len() {
        let (first, second) = TOKEN.as_bytes().split_at(cut);
        let text = redacted(&[first, second], true);
        assert_eq!(text, flushed_at(cut), "{cut}");
    }
}

/// What becomes of the token if it is flushed after so many characters.
fn flushed_at(cut: usize) -> String {
    match &TOKEN[..cut] {
        shown if cut < 47 => format!("{shown}{REPLACED}"),
        // Which could have been the beginning of the next one.
        long if long.ends_with('a') => format!("{REPLACED}a"),
        _ => REPLACED.to_owned(),
    }
}

#[test]
fn at_the_end_where_the_next_may_begin() {
    let finder = Finder::new([prefix!("acme_live")]);
    for cut in [50, 67, 68] {
        for next in 0..TOKEN.len() {
            for flush in [true, false] {
                let mut redactor = Redactor::new(&finder, Vec::new());
                write!(redactor, "{}{}", &TOKEN[..cut], &TOKEN[..next]).unwrap();
                if flush {
                    redactor.flush().unwrap();
                }
                redactor.write_all(&TOKEN.as_bytes()[next..]).unwrap();
                let text = String::from_utf8(redactor.finish().unwrap()).unwrap();
                let second = if flush { flushed_at(next) } else { REPLACED.to_owned() };
                assert_eq!(text, format!("{REPLACED}{second}"), "{cut}, {next}, {flush}");
            }
        }
    }
}

/// What a program does that takes an error for "not written".
#[test]
fn a_piece_that_is_written_again_after_an_error() {
    /// Fails once, after so many times.
    struct Busy(Vec<u8>, usize);
    impl Write for Busy {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let fails = self.1 == 0;
            self.1 = self.1.wrapping_sub(1);
            if fails { Err(io::ErrorKind::WouldBlock.into()) } else { self.0.write(bytes) }
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let text = format!("x {TOKEN} y");
    for (cut, fails, flush) in (0..=text.len())
        .flat_map(|cut| (0..6).map(move |fails| (cut, fails)))
        .flat_map(|(cut, fails)| [true, false].map(|flush| (cut, fails, flush)))
    {
        let mut redactor = Redactor::new(&Finder::new(PREFIXES), Busy(Vec::new(), fails));
        for piece in [&text[..cut], &text[cut..]] {
            while redactor.write(piece.as_bytes()).is_err() {}
            while flush && redactor.flush().is_err() {}
        }
        while redactor.flush().is_err() {}
        let written = String::from_utf8(redactor.finish().unwrap().0).unwrap();
        assert!(written.contains(REPLACED), "{cut}, {fails}, {flush}: {written}");
        assert!(!written.contains(&TOKEN[46..66]), "{cut}, {fails}, {flush}: {written}");
    }
}

#[test]
fn with_the_longest_prefix() {
    let longest = prefix!("a23456789_123456789_1234");
    let token = Token::generate(&longest, &mut ChaCha20Rng::seed_from_u64(1)).unwrap();
    let (finder, text, id) = (Finder::new([longest]), token.expose_secret(), token.id());
    for len in 70..=87 {
        let text = format!("{}{text}", &text[..len]);
        for cut in 0..text.len() {
            let mut redactor = Redactor::new(&finder, Vec::new());
            for piece in [&text[..cut], &text[cut..]] {
                redactor.write_all(piece.as_bytes()).unwrap();
            }
            let written = String::from_utf8(redactor.finish().unwrap()).unwrap();
            assert_eq!(written, format!("[token {id}][token {id}]"), "{len}, {cut}");
        }
    }
}

#[test]
fn dropping_it_writes_what_is_held_back() {
    for (text, expected) in [("x acme_live_Ky9P", "x acme_live_Ky9P"), (&TOKEN[..70], REPLACED)] {
        let mut written = Vec::new();
        let mut redactor = Redactor::new(&Finder::new(PREFIXES), &mut written);
        redactor.write_all(text.as_bytes()).unwrap();
        drop(redactor);
        assert_eq!(String::from_utf8(written).unwrap(), expected);
    }
}

#[test]
fn errors_of_the_writer_are_told() {
    #[derive(Debug)]
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut redactor = Redactor::new(&Finder::new(PREFIXES), Full);
    assert_eq!(redactor.write(b"text").unwrap_err().kind(), io::ErrorKind::StorageFull);
    assert!(redactor.write(b"acme_").is_ok());
    assert_eq!(redactor.finish().unwrap_err().kind(), io::ErrorKind::StorageFull);
}

/// Events of tracing, formatted by tracing-subscriber.
#[test]
fn a_writer_for_tracing() {
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);
    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    let (log, finder) = (Log::default(), Finder::new(PREFIXES));
    let to = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || Redactor::new(&finder, to.clone()))
        .finish();
    tracing::subscriber::with_default(subscriber, || {
        tracing::info!(header = format!("Bearer {TOKEN}"), "calls {TOKEN}");
        tracing::info!("goes on");
    });
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains(&format!("calls {REPLACED} header=\"Bearer {REPLACED}\"\n")), "{log}");
    assert!(log.ends_with("goes on\n"), "{log}");
    assert!(!log.contains("25RQ4F5ZR3qa7"), "{log}");
}

proptest! {
    /// However a text is cut, it comes out as in one piece; without flushes.
    #[test]
    fn any_text_cut_anywhere(
        parts in prop::collection::vec(prop_oneof![
            Just(TOKEN.to_owned()),
            (0..TOKEN.len()).prop_map(|len| TOKEN[..len].to_owned()),
            (0..TOKEN.len()).prop_map(|from| TOKEN[from..].to_owned()),
            "[a-z_ ]{0,9}",
        ], 0..8),
        cuts in prop::collection::vec(1_usize..100, 1..20),
    ) {
        let text = parts.concat();
        let mut pieces = Vec::new();
        let mut rest = text.as_bytes();
        for cut in cuts.iter().cycle() {
            if rest.is_empty() { break }
            let (piece, after) = rest.split_at(rest.len().min(*cut));
            pieces.push(piece);
            rest = after;
        }
        let whole = redacted(&[text.as_bytes()], false);
        prop_assert_eq!(redacted(&pieces, false), &whole[..]);
        prop_assert!(!whole.contains(&TOKEN[..47]), "{}", whole);
    }

    /// With flushes at any place, too, not more of a secret comes out than does not matter.
    #[test]
    fn any_text_flushed_anywhere(lens in prop::collection::vec(40..=72_usize, 1..4), cuts in prop::collection::vec(1_usize..100, 1..20)) {
        let text: Vec<&str> = lens.iter().map(|len| &TOKEN[..*len]).collect();
        let text = text.join(" ");
        let mut pieces = Vec::new();
        let mut rest = text.as_bytes();
        for cut in cuts.iter().cycle() {
            if rest.is_empty() { break }
            let (piece, after) = rest.split_at(rest.len().min(*cut));
            pieces.push(piece);
            rest = after;
        }
        let flushed = redacted(&pieces, true);
        prop_assert!(!flushed.contains(&TOKEN[..47]), "{}", flushed);
        prop_assert!(!flushed.contains(&TOKEN[46..66]), "{}", flushed);
    }
}
