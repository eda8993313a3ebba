//! The text as it is searched: bounded, on one line, with the escapes of loggers undone.

/// The most of a text that is looked at, half of it from each end: the deciding words stand at
/// the end of a chain of errors, the image and the host at its start.
pub(super) const LOOKED_AT: usize = 64 * 1024;

/// A text in two forms of the same length: as it was written, and in lower case for the search.
#[derive(Clone, Debug)]
pub(super) struct Folded {
    pub(super) shown: String,
    pub(super) lower: String,
}

impl Folded {
    pub(super) fn of(shown: String) -> Self {
        let lower = shown.to_ascii_lowercase();
        Self { shown, lower }
    }
}

/// Cuts, undoes escapes, and makes one line of it.
pub(super) fn fold(text: &str) -> Folded {
    let mut plain = one_line(&bounded(text));
    // A log line may quote a message that quotes another one: two rounds undo what is met.
    for _ in 0..3 {
        if !plain.contains('\\') {
            break;
        }
        plain = one_line(&unescaped(&plain));
    }
    Folded::of(without_engine_status(&plain))
}

/// The head and the tail of a long text.
pub(super) fn bounded(text: &str) -> String {
    if text.len() <= LOOKED_AT {
        return text.to_owned();
    }
    let mut head = LOOKED_AT / 2;
    while !text.is_char_boundary(head) {
        head -= 1;
    }
    let mut tail = text.len() - LOOKED_AT / 2;
    while !text.is_char_boundary(tail) {
        tail += 1;
    }
    format!(
        "{}\n{}",
        text.get(..head).unwrap_or_default(),
        text.get(tail..).unwrap_or_default()
    )
}

fn one_line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
    }
    out
}

/// Undoes `\"`, `\n`, `\t`, `\\` and `\u0027`.
fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(rest.get(..at).unwrap_or_default());
        let after = rest.get(at + 1..).unwrap_or_default();
        let mut chars = after.chars();
        match chars.next() {
            Some('n' | 't' | 'r') => out.push(' '),
            Some('u') => {
                let code = after.get(1..5).and_then(|hex| u32::from_str_radix(hex, 16).ok());
                match code.and_then(char::from_u32) {
                    Some(c) => {
                        out.push(c);
                        rest = after.get(5..).unwrap_or_default();
                        continue;
                    }
                    None => out.push_str("\\u"),
                }
            }
            Some(c @ ('"' | '\'' | '\\' | '/')) => out.push(c),
            Some(c) => {
                out.push('\\');
                out.push(c);
            }
            None => {}
        }
        rest = chars.as_str();
    }
    out.push_str(rest);
    out
}

/// Statuses of the container engine's own API, which say nothing about the registry.
fn without_engine_status(text: &str) -> String {
    let mut out = text.to_owned();
    for words in [
        "(HTTP code 500) server error - ",
        "(HTTP code 404) no such image - ",
        "(HTTP code 404) unexpected - ",
        "API error (500): ",
        "API error (404): ",
        "API error (400): ",
    ] {
        if out.contains(words) {
            out = out.replace(words, "");
        }
    }
    out
}
