//! Scopes: which texts are one, what covers what, and the laws that attenuation rests on.

use api_tokens::{Scope, ScopeError, Scopes};
use proptest::prelude::*;

#[track_caller]
fn scope(text: &str) -> Scope {
    text.parse().unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

#[track_caller]
fn scopes(text: &str) -> Scopes {
    text.parse().unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

// One scope: which texts are one.

const LENGTH: &str = "a scope must have 1 to 128 bytes";
const CHARACTER: &str =
    "a scope must consist of printable ASCII without space, double quote and backslash";
const WILDCARD: &str = "a * in a scope must be its end, alone or after a colon";
const COUNT: &str = "a token can have at most 64 scopes";

#[track_caller]
fn assert_no_scope(text: &str, message: &str) {
    assert_eq!(text.parse::<Scope>().unwrap_err().to_string(), message, "{text:?}");
    assert_eq!(Scope::try_from(text.to_owned()).unwrap_err().to_string(), message, "{text:?}");
    let json = serde_json::to_string(text).unwrap();
    assert!(serde_json::from_str::<Scope>(&json).is_err(), "{json}");
}

#[test]
fn scopes_are_taken_to_the_letter() {
    for text in [
        "read",
        "sources:read",
        "Sources:Read",
        "a:b:c",
        ":",
        "::",
        "a:",
        "*",
        ":*",
        "a:*",
        "a::*",
        "https://example.com/auth/drive.readonly",
        "!#$%&'()+,-./0:;<=>?@A[]^_`a{|}~",
    ] {
        let scope = scope(text);
        assert_eq!(scope.as_str(), text);
        assert_eq!(scope.to_string(), text);
        assert_eq!(String::from(scope.clone()), text);
        let json = serde_json::to_string(&scope).unwrap();
        assert_eq!(serde_json::from_str::<Scope>(&json).unwrap(), scope);
    }
}

/// RFC 6749 §3.3: `scope-token = 1*( %x21 / %x23-5B / %x5D-7E )`.
#[test]
fn every_character_is_one_of_rfc_6749_or_refused() {
    for character in '\0'..='\u{ff}' {
        let text = format!("a{character}b");
        match character {
            '*' => assert_no_scope(&text, WILDCARD),
            '\x21' | '\x23'..='\x5b' | '\x5d'..='\x7e' => assert_eq!(scope(&text).as_str(), text),
            _ => assert_no_scope(&text, CHARACTER),
        }
    }
}

#[test]
fn length_is_bounded() {
    assert_no_scope("", LENGTH);
    assert_eq!(scope(&"a".repeat(128)).as_str().len(), Scope::MAX_LEN);
    assert_no_scope(&"a".repeat(129), LENGTH);
    assert_no_scope(&"é".repeat(65), LENGTH);
    assert_no_scope(&"a".repeat(1_000_000), LENGTH);
}

#[test]
fn a_star_that_is_no_wildcard_is_refused() {
    for text in ["a*", "*a", "**", "a:**", "a:*:b", "*:a", "*:*", "a:b*", "a*:b", "a:*b", "-*"] {
        assert_no_scope(text, WILDCARD);
    }
}

// One scope: what covers what.

#[test]
fn coverage_of_one_scope() {
    for (held, covered, not_covered) in [
        ("a", &["a"][..], &["b", "A", "aa", "a:", "a:b", "a:*", "*"][..]),
        ("a:b", &["a:b"], &["a", "a:", "a:bb", "a:b:c", "a:*", "a:b:*", "*", "b:a"]),
        ("a:*", &["a:", "a:b", "a:b:c", "a:*", "a:b:*"], &["a", "ab", "ab:c", "A:b", "b:a:b", "*"]),
        ("a:b:*", &["a:b:c", "a:b:*", "a:b:"], &["a:b", "a:*", "a:bc", "a:c:b", "*"]),
        (":*", &[":", ":a", ":*"], &["a", "a:b", "*"]),
        ("*", &["*", "a", "a:b", "a:*", ":", ":*"], &[]),
    ] {
        for required in covered {
            assert!(scope(held).covers(&scope(required)), "{held} {required}");
        }
        for required in not_covered {
            assert!(!scope(held).covers(&scope(required)), "{held} {required}");
        }
    }
}

// Sets.

#[test]
fn sets_are_sorted_and_without_duplicates() {
    for text in ["b a:* a", "a:* a b", "a b a:*", "  a b a:* ", "a a b b a:* a:*"] {
        let scopes = scopes(text);
        assert_eq!(scopes.to_string(), "a a:* b", "{text:?}");
        assert_eq!(scopes.iter().map(Scope::as_str).collect::<Vec<_>>(), ["a", "a:*", "b"]);
        assert_eq!(serde_json::to_string(&scopes).unwrap(), r#"["a","a:*","b"]"#);
    }
}

#[test]
fn json_is_read_in_any_order() {
    assert_eq!(serde_json::from_str::<Scopes>(r#"["b","a","b"]"#).unwrap(), scopes("a b"));
    for json in [r#"["a",""]"#, r#"["a b"]"#, r#"["a*"]"#, r#""a b""#, "null", "[1]"] {
        assert!(serde_json::from_str::<Scopes>(json).is_err(), "{json}");
    }
}

#[test]
fn the_empty_set() {
    for text in ["", " ", "     "] {
        assert_eq!(scopes(text), Scopes::default());
    }
    assert!(Scopes::default().is_empty());
    assert!(!scopes("a").is_empty());
    assert_eq!(Scopes::default().to_string(), "");
    assert_eq!(serde_json::to_string(&Scopes::default()).unwrap(), "[]");
}

#[test]
fn only_single_spaces_separate() {
    for text in ["a\tb", "a\nb", "a\u{a0}b", "a \"b", "a\\ b"] {
        assert_eq!(text.parse::<Scopes>().unwrap_err().to_string(), CHARACTER, "{text:?}");
    }
    assert_eq!(scopes("a,b").iter().count(), 1, "a comma is a character like others");
    assert_eq!("a b*".parse::<Scopes>().unwrap_err().to_string(), WILDCARD);
}

/// `a0 a1 a2 …`
fn numbered(count: usize) -> String {
    (0..count).map(|i| format!("a{i}")).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_set_has_at_most_64_scopes() {
    assert_eq!(scopes(&numbered(64)).iter().count(), Scopes::MAX_COUNT);
    assert_eq!(numbered(65).parse::<Scopes>().unwrap_err().to_string(), COUNT);

    let list: Vec<Scope> = numbered(65).split(' ').map(scope).collect();
    assert!(Scopes::new(list[..64].to_vec()).is_ok());
    assert_eq!(Scopes::new(list.clone()).unwrap_err().to_string(), COUNT);
    let json = serde_json::to_string(&list).unwrap();
    assert!(serde_json::from_str::<Scopes>(&json).unwrap_err().to_string().contains(COUNT));
}

#[test]
fn duplicates_do_not_count() {
    let text = format!("{} a0 a0 a63", numbered(64));
    assert_eq!(scopes(&text), scopes(&numbered(64)));
}

#[test]
fn endless_scopes_are_refused_in_the_end() {
    let endless = (0_u64..).map(|i| scope(&format!("a{i}")));
    assert_eq!(Scopes::new(endless).unwrap_err().to_string(), COUNT);
}

#[test]
fn an_error_says_that_it_is_about_the_scopes() {
    let error: api_tokens::FieldError = "a*".parse::<Scope>().unwrap_err().into();
    assert_eq!(error.field(), "scopes");
    assert_eq!(error.to_string(), format!("scopes are not valid: {WILDCARD}"));
}

#[test]
fn coverage_of_sets() {
    for (held, covered, not_covered) in [
        ("", &[""][..], &["a", "*", "a b"][..]),
        ("a", &["", "a"], &["b", "a b", "a:b", "*"]),
        ("a b", &["", "a", "b", "a b"], &["c", "a c", "a b c", "a:b"]),
        ("a:* b", &["", "a:x", "a:* b", "a:x a:y b"], &["a", "b:x", "a:x b:x", "*"]),
        ("*", &["", "a", "*", "a:* b:* *"], &[]),
    ] {
        for required in covered {
            assert!(scopes(held).covers(&scopes(required)), "{held:?} {required:?}");
        }
        for required in not_covered {
            assert!(!scopes(held).covers(&scopes(required)), "{held:?} {required:?}");
        }
    }
}

/// Wildcards are not added up: that all actions there are today are held does not make the
/// wildcard held, which will cover tomorrow's too.
#[test]
fn single_scopes_never_cover_a_wildcard() {
    assert!(!scopes(&numbered(64)).covers(&scopes("*")));
    assert!(!scopes("a:read a:write a:").covers(&scopes("a:*")));
}

// Laws, over scopes from an alphabet so small that they often meet.

/// Two or three letters and colons, and sometimes a wildcard.
fn any_scope() -> impl Strategy<Value = Scope> {
    prop_oneof![
        8 => "[ab:]{1,4}",
        4 => "([ab:]{0,3}:)?\\*",
        1 => "[!#-)+-\\[\\]-~]{1,128}",
    ]
    .prop_map(|text| scope(&text))
}

fn any_scopes() -> impl Strategy<Value = Vec<Scope>> {
    prop::collection::vec(any_scope(), 0..5)
}

fn set<'a>(scopes: impl IntoIterator<Item = &'a Scope>) -> Scopes {
    Scopes::new(scopes.into_iter().cloned()).unwrap()
}

/// The rule again, character by character.
fn covers_slowly(held: &str, required: &str) -> bool {
    let mut required = required.chars();
    for character in held.chars() {
        if character == '*' {
            return true;
        }
        if required.next() != Some(character) {
            return false;
        }
    }
    required.next().is_none()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn coverage_agrees_with_the_rule(held in any_scope(), required in any_scope()) {
        let expected = covers_slowly(held.as_str(), required.as_str());
        prop_assert_eq!(held.covers(&required), expected);
        prop_assert_eq!(set([&held]).covers(&set([&required])), expected);
    }

    #[test]
    fn coverage_is_reflexive(scopes in any_scopes()) {
        for scope in &scopes {
            prop_assert!(scope.covers(scope));
        }
        prop_assert!(set(&scopes).covers(&set(&scopes)));
    }

    #[test]
    fn scopes_that_cover_each_other_are_equal(a in any_scope(), b in any_scope()) {
        prop_assert_eq!(a.covers(&b) && b.covers(&a), a == b);
    }

    #[test]
    fn the_star_is_above_everything(scopes in any_scopes()) {
        let star = scope("*");
        for scope in &scopes {
            prop_assert!(star.covers(scope));
            prop_assert_eq!(scope.covers(&star), *scope == star);
        }
        prop_assert!(set([&star]).covers(&set(&scopes)));
        prop_assert_eq!(set(&scopes).covers(&set([&star])), scopes.contains(&star));
    }

    #[test]
    fn the_empty_set_is_below_everything(scopes in any_scopes()) {
        prop_assert!(set(&scopes).covers(&Scopes::default()));
        prop_assert_eq!(Scopes::default().covers(&set(&scopes)), scopes.is_empty());
    }

    /// Sets that cover each other may differ in spelling, but never in what they let through.
    #[test]
    fn sets_that_cover_each_other_cover_the_same(
        scopes in any_scopes(),
        picks in prop::collection::vec(any::<prop::sample::Index>(), 0..3),
        required in any_scopes(),
    ) {
        let a = set(&scopes);
        // Adding what is covered anyway makes such a set.
        let narrower = picks.iter().filter(|_| !scopes.is_empty()).map(|pick| {
            let chosen = pick.get(&scopes).as_str();
            scope(&chosen.strip_suffix('*').map_or(chosen.to_owned(), |start| format!("{start}a")))
        });
        let b = Scopes::new(scopes.iter().cloned().chain(narrower)).unwrap();
        prop_assert!(a.covers(&b) && b.covers(&a));
        prop_assert_eq!(a.covers(&set(&required)), b.covers(&set(&required)));
    }

    #[test]
    fn a_union_covers_what_its_parts_cover(
        a in any_scopes(),
        b in any_scopes(),
        required in any_scopes(),
    ) {
        let union = set(a.iter().chain(&b));
        let (a, b, required) = (set(&a), set(&b), set(&required));
        prop_assert!(union.covers(&a) && union.covers(&b));
        if a.covers(&required) || b.covers(&required) {
            prop_assert!(union.covers(&required));
        }
    }

    #[test]
    fn a_union_is_covered_when_its_parts_are(held in any_scopes(), a in any_scopes(), b in any_scopes()) {
        let held = set(&held);
        let parts = held.covers(&set(&a)) && held.covers(&set(&b));
        prop_assert_eq!(held.covers(&set(a.iter().chain(&b))), parts);
    }

    #[test]
    fn order_and_duplicates_do_not_matter(scopes in any_scopes(), seed in any::<u64>()) {
        use rand::{SeedableRng, rngs::ChaCha20Rng, seq::SliceRandom};

        let mut shuffled = [&scopes[..], &scopes[..]].concat();
        shuffled.shuffle(&mut ChaCha20Rng::seed_from_u64(seed));
        prop_assert_eq!(set(&shuffled), set(&scopes));
        prop_assert_eq!(set(&shuffled).to_string(), set(&scopes).to_string());
    }

    #[test]
    fn text_and_json_round_trip(list in any_scopes()) {
        let set = set(&list);
        prop_assert_eq!(&set.to_string().parse::<Scopes>().unwrap(), &set);
        let json = serde_json::to_string(&set).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Scopes>(&json).unwrap(), &set);
        prop_assert_eq!(Scopes::new(Vec::<Scope>::from(set.clone())), Ok::<_, ScopeError>(set));
    }
}

/// Transitivity by exhaustion: every triple of the scopes that can be written in up to five
/// characters, where random ones would seldom line up.
#[test]
fn coverage_is_transitive() {
    let mut all = vec![String::new()];
    for len in 1..=5 {
        let longest: Vec<String> = all.iter().filter(|s| s.len() + 1 == len).cloned().collect();
        for start in longest {
            all.extend(["a", "b", ":", "*"].map(|end| format!("{start}{end}")));
        }
    }
    let all: Vec<Scope> = all.iter().filter_map(|text| text.parse().ok()).collect();
    let mut chains = 0_u32;
    for a in &all {
        for b in all.iter().filter(|b| a.covers(b)) {
            for c in all.iter().filter(|c| b.covers(c)) {
                assert!(a.covers(c), "{a} {b} {c}");
                chains += u32::from(a != b && b != c);
            }
        }
    }
    assert!(chains > 500, "{chains}");
}

proptest! {
    /// A chain of attenuations never gains anything: sets drawn so that each covers the next.
    #[test]
    fn coverage_of_sets_is_transitive(
        top in any_scopes(),
        first in prop::collection::vec((any::<prop::sample::Index>(), "[ab:]{1,2}"), 0..5),
        second in prop::collection::vec((any::<prop::sample::Index>(), "[ab:]{1,2}"), 0..5),
    ) {
        let narrower = |from: &[Scope], picks: Vec<(prop::sample::Index, String)>| -> Vec<Scope> {
            let narrow = |(pick, end): (prop::sample::Index, String)| {
                let chosen = pick.get(from).as_str();
                let narrowed = chosen.strip_suffix('*').map(|start| format!("{start}{end}:*"));
                narrowed.and_then(|text| text.parse().ok()).unwrap_or(scope(chosen))
            };
            if from.is_empty() { vec![] } else { picks.into_iter().map(narrow).collect() }
        };
        let middle = narrower(&top, first);
        let bottom = narrower(&middle, second);
        let (top, middle, bottom) = (set(&top), set(&middle), set(&bottom));
        prop_assert!(top.covers(&middle));
        prop_assert!(middle.covers(&bottom));
        prop_assert!(top.covers(&bottom));
    }
}
