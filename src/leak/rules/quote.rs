use core::fmt;

/// A string in double quotes that means the same in YAML, TOML and Python.
///
/// The three have the escapes `\"`, `\\`, `\uXXXX` and `\UXXXXXXXX` in common, and agree on letters and
/// digits of any script. All else is escaped: parsers of YAML fold some separators and refuse some
/// other characters.
pub(super) struct Quoted<'a>(pub(super) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        for character in self.0.chars() {
            match character {
                '"' | '\\' => write!(f, "\\{character}")?,
                ' '..='~' => write!(f, "{character}")?,
                _ if character.is_alphanumeric() => write!(f, "{character}")?,
                _ => write_code(f, u32::from(character))?,
            }
        }
        f.write_str("\"")
    }
}

fn write_code(f: &mut fmt::Formatter<'_>, code: u32) -> fmt::Result {
    if code <= 0xffff { write!(f, "\\u{code:04x}") } else { write!(f, "\\U{code:08x}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_what_would_end_or_change_the_string() {
        for (text, quoted) in [
            ("Acme API token", r#""Acme API token""#),
            (r#"a "b" \c"#, r#""a \"b\" \\c""#),
            ("'''#{}:$%", r#""'''#{}:$%""#),
            ("Größe 東", r#""Größe 東""#),
            ("\u{85}\u{fffe}\u{1f600}", r#""\u0085\ufffe\U0001f600""#),
        ] {
            assert_eq!(Quoted(text).to_string(), quoted);
        }
    }
}
