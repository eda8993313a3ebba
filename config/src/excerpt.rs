//! The offending line of a problem, with everything masked that is not known to be harmless.
//!
//! With a tree, a text is shown only where the walker allowed it; signs of YAML are shown, comments
//! are cut off. Without one (the file is no YAML) a value is shown only after a key of the table
//! whose values are harmless.

use std::collections::HashMap;

use crate::error::Excerpt;
use crate::keys;
use crate::mask::{self, MASK};
use crate::tree::{Node, Span, Value};

/// The longest line that is shown whole.
const WIDTH: usize = 76;
/// Characters kept in front of the caret of a longer one.
const BEFORE: usize = 30;

pub(crate) struct Lines<'a> {
    lines: Vec<&'a str>,
    /// With a tree: for each line the parts that are texts, and whether they may be shown.
    texts: Option<HashMap<u32, Vec<Text>>>,
}

/// A part of a line, in characters.
#[derive(Clone, Copy)]
struct Text {
    from: usize,
    to: usize,
    shown: bool,
}

impl<'a> Lines<'a> {
    pub(crate) fn new(text: &'a str, tree: Option<&Node>, shown: Vec<Span>) -> Self {
        let texts = tree.map(|tree| {
            let shown = shown.into_iter().collect::<std::collections::BTreeSet<_>>();
            let mut texts = HashMap::new();
            collect(tree, &shown, &mut texts);
            texts
        });
        Self {
            lines: text
                .split('\n')
                .map(|line| line.strip_suffix('\r').unwrap_or(line))
                .collect(),
            texts,
        }
    }

    /// `None` when the place is not on a line with something on it.
    pub(crate) fn excerpt(&self, span: Span) -> Option<Excerpt> {
        let index = usize::try_from(span.start.line).ok()?.checked_sub(1)?;
        let line = self.lines.get(index)?;
        if line.trim().is_empty() {
            return None;
        }
        let (text, map) = match &self.texts {
            Some(texts) => mask_by_tree(line, texts.get(&span.start.line).map_or(&[], Vec::as_slice)),
            None => mask_by_sight(line),
        };
        let at = |column: u32| {
            let column = usize::try_from(column).unwrap_or(usize::MAX);
            map.get(column).copied().unwrap_or(text.len())
        };
        let start = at(span.start.column).min(text.len());
        let end = if span.end.line == span.start.line {
            at(span.end.column)
        } else {
            start
        };
        Some(cut(
            &text,
            start,
            end.max(start + 1).min(text.len().max(start + 1)),
        ))
    }
}

fn collect(node: &Node, shown: &std::collections::BTreeSet<Span>, texts: &mut HashMap<u32, Vec<Text>>) {
    match &node.value {
        Value::Map(entries) => {
            for entry in entries {
                collect(&entry.key, shown, texts);
                collect(&entry.value, shown, texts);
            }
        }
        Value::List(items) => items.iter().for_each(|item| collect(item, shown, texts)),
        Value::Null => {}
        Value::Scalar { .. } | Value::Refused => {
            let Span { start, end } = node.span;
            let column = |column: u32| usize::try_from(column).unwrap_or(usize::MAX);
            for line in start.line..=end.line {
                texts.entry(line).or_default().push(Text {
                    from: if line == start.line {
                        column(start.column)
                    } else {
                        0
                    },
                    to: if line == end.line {
                        column(end.column)
                    } else {
                        usize::MAX
                    },
                    shown: start.line == end.line && shown.contains(&node.span),
                });
            }
        }
    }
}

/// The masked line, and for each character of the line its place in it.
fn mask_by_tree(line: &str, texts: &[Text]) -> (Vec<char>, Vec<usize>) {
    let mut out = Masked::default();
    let mut previous = ' ';
    for (i, c) in line.chars().enumerate() {
        match texts.iter().position(|t| (t.from..t.to).contains(&i)) {
            Some(at) if texts[at].shown => out.show(c),
            Some(at) => out.hide(at),
            None if c == '#' && previous.is_whitespace() => break,
            None if c.is_whitespace() || "-:,[]{}?|>&*!\"'".contains(c) => out.show(c),
            None => out.hide(usize::MAX),
        }
        previous = c;
    }
    out.finish()
}

/// Indentation, dashes and a key that is a word are shown; the value only after a key of the
/// table whose values are harmless.
fn mask_by_sight(line: &str) -> (Vec<char>, Vec<usize>) {
    let mut out = Masked::default();
    let lead = line.len() - line.trim_start_matches([' ', '\t', '-']).len();
    let (lead, rest) = line.split_at(lead);
    lead.chars().for_each(|c| out.show(c));
    let (name, value) = match rest.split_once(':') {
        Some((name, value)) if mask::key(name) == name => (name, value),
        _ => ("", rest),
    };
    if !name.is_empty() {
        name.chars().chain([':']).for_each(|c| out.show(c));
    }
    let space = value.len() - value.trim_start().len();
    let (space, value) = value.split_at(space);
    space.chars().for_each(|c| out.show(c));
    let value = value.split(" #").next().unwrap_or_default();
    let harmless = keys::is_harmless(name) && !mask::looks_secret(value);
    for c in value.chars() {
        if harmless { out.show(c) } else { out.hide(0) }
    }
    out.finish()
}

#[derive(Default)]
struct Masked {
    text: Vec<char>,
    map: Vec<usize>,
    /// The part being hidden and where its mask starts.
    hidden: Option<(usize, usize)>,
}

impl Masked {
    fn show(&mut self, c: char) {
        self.hidden = None;
        self.map.push(self.text.len());
        self.text.extend(crate::text::visible(c));
    }

    fn hide(&mut self, part: usize) {
        let start = match self.hidden {
            Some((current, start)) if current == part => start,
            _ => {
                let start = self.text.len();
                self.text.extend(MASK.chars());
                self.hidden = Some((part, start));
                start
            }
        };
        self.map.push(start);
    }

    fn finish(mut self) -> (Vec<char>, Vec<usize>) {
        let end = self
            .text
            .iter()
            .rposition(|c| !c.is_whitespace())
            .map_or(0, |i| i + 1);
        self.text.truncate(end);
        (self.text, self.map)
    }
}

/// At most [`WIDTH`] characters around the meant part.
fn cut(text: &[char], start: usize, end: usize) -> Excerpt {
    if text.len() <= WIDTH {
        return Excerpt {
            text: text.iter().collect(),
            caret: start,
            width: end - start,
        };
    }
    let from = start.saturating_sub(BEFORE);
    let to = text.len().min(from + WIDTH);
    let mut shown: String = text[from..to].iter().collect();
    let mut caret = start - from;
    if from > 0 {
        shown.insert(0, '…');
        caret += 1;
    }
    if to < text.len() {
        shown.push('…');
    }
    Excerpt {
        text: shown,
        caret,
        width: end.min(to).saturating_sub(start).max(1),
    }
}
