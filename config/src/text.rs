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

/// How many characters must be inserted, deleted, replaced or swapped with a neighbour to make `b`
/// of `a` (optimal string alignment). Costs the product of their lengths: for names, not for texts.
#[must_use]
pub fn edit_distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, cb) in b.iter().enumerate() {
            let replace = last[j] + usize::from(ca != cb);
            let mut best = replace.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *ca == b[j - 1] && a[i - 1] == *cb {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::{clean, clean_to, edit_distance};

    #[test]
    fn counts_edits_and_swaps() {
        for (a, b, distance) in [
            ("", "", 0),
            ("", "ab", 2),
            ("ab", "", 2),
            ("latest", "latest", 0),
            ("latst", "latest", 1),
            ("lastet", "latest", 2),
            ("1.27", "1.72", 1),
            ("schedul", "schedule", 1),
            ("é", "e", 1),
            ("abc", "xyz", 3),
        ] {
            assert_eq!(edit_distance(a, b), distance, "{a} {b}");
            assert_eq!(edit_distance(b, a), distance, "{b} {a}");
        }
    }

    #[test]
    fn escapes_and_cuts() {
        assert_eq!(clean("a\u{1b}[31mred\n"), "a\\u{1b}[31mred");
        assert_eq!(clean("one\ntwo\tthree"), "one two three");
        assert_eq!(clean("x\u{202e}y"), "x\\u{202e}y");
        assert_eq!(clean_to("abcdef", 3), "abc…");
        assert_eq!(clean(&"é".repeat(300)).chars().count(), 257);
    }
}
