//! Text from outside, made safe to show.

/// The most characters of a remote text that are ever shown.
pub const SHOWN: usize = 256;

/// A remote text as one safe line: control characters (terminal escapes among them),
/// bidirectional overrides and line breaks are escaped, and it is cut at [`SHOWN`] characters.
#[must_use]
pub fn clean(text: &str) -> String {
    clean_to(text, SHOWN)
}

/// As [`clean`], cut at `max` characters.
#[must_use]
pub fn clean_to(text: &str, max: usize) -> String {
    let mut out = String::with_capacity(text.len().min(max) + 8);
    for (shown, c) in text.trim().chars().enumerate() {
        if shown == max {
            out.push('…');
            break;
        }
        out.extend(visible(c));
    }
    out
}

/// A character as it may be shown: white space is a space, what cannot be seen is escaped.
pub(crate) fn visible(c: char) -> impl Iterator<Item = char> {
    let escape = c.is_control() && !matches!(c, '\n' | '\r' | '\t') || is_invisible(c);
    let plain = if c.is_control() { ' ' } else { c };
    (!escape)
        .then_some(plain)
        .into_iter()
        .chain(escape.then(|| c.escape_unicode()).into_iter().flatten())
}

/// Characters that change how the rest of a line is shown without showing themselves.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

#[cfg(test)]
mod tests {
    use super::{clean, clean_to};

    #[test]
    fn escapes_and_cuts() {
        assert_eq!(clean("a\u{1b}[31mred\n"), "a\\u{1b}[31mred");
        assert_eq!(clean("one\ntwo\tthree"), "one two three");
        assert_eq!(clean("x\u{202e}y"), "x\\u{202e}y");
        assert_eq!(clean_to("abcdef", 3), "abc…");
        assert_eq!(clean(&"é".repeat(300)).chars().count(), 257);
    }
}
