//! The offending line of a problem, with everything masked that is not known to be harmless.
//!
//! With a tree, a text is shown only where the walker allowed it; signs of YAML are shown, comments
//! are cut off. Without one (the file is no YAML) a value is shown only after a key of the table
//! whose values are harmless.

use std::collections::{BTreeSet, HashMap};

use crate::error::Excerpt;
use crate::keys;
use crate::mask::{self, MASK};
use crate::tree::{Node, Span, Value};

/// The longest line that is shown whole.
const WIDTH: usize = 76;
/// A longer line is not looked at as a whole.
const WINDOW: usize = 1000;
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
        let lines: Vec<&str> = text
            .split('\n')
            .map(|line| line.strip_suffix('\r').unwrap_or(line))
            .collect();
        let texts = tree.map(|tree| {
            let mut texts = HashMap::new();
            let shown: BTreeSet<Span> = shown.into_iter().filter(|s| s.start.line == s.end.line).collect();
            shown.iter().for_each(|span| add(*span, true, &mut texts));
            hide(tree, &shown, &mut texts);
            for (number, texts) in &mut texts {
                let line = line_at(&lines, *number).unwrap_or_default();
                // A block text ends in the indentation of what comes next.
                texts.retain(|text| text.from > 0 || !line.chars().take(text.to).all(char::is_whitespace));
                texts.sort_by_key(|text| text.from);
            }
            texts
        });
        Self { lines, texts }
    }

    /// `None` when the place is not on a line with something on it.
    pub(crate) fn excerpt(&self, span: Span) -> Option<Excerpt> {
        let line = line_at(&self.lines, span.start.line)?;
        if line.trim().is_empty() {
            return None;
        }
        let column = |column: u32| usize::try_from(column).unwrap_or(usize::MAX);
        let start = column(span.start.column);
        let end = if span.end.line == span.start.line {
            column(span.end.column)
        } else {
            usize::MAX
        };
        match &self.texts {
            Some(texts) => {
                let texts = texts.get(&span.start.line).map_or(&[][..], Vec::as_slice);
                let (part, from) = window(line, start);
                Some(mask_by_tree(part, from, texts).excerpt(start - from, end.saturating_sub(from)))
            }
            None if line.len() > WINDOW => None,
            None => Some(mask_by_sight(line).excerpt(start, end)),
        }
    }
}

fn line_at<'a>(lines: &[&'a str], number: u32) -> Option<&'a str> {
    let index = usize::try_from(number).ok()?.checked_sub(1)?;
    lines.get(index).copied()
}

/// The part of a long line that is looked at, and the column it begins at: the cost of an excerpt
/// does not grow with the line.
fn window(line: &str, start: usize) -> (&str, usize) {
    if line.len() <= WINDOW {
        return (line, 0);
    }
    let from = start.saturating_sub(WINDOW / 2);
    let byte = |column: usize| line.char_indices().nth(column).map_or(line.len(), |(at, _)| at);
    let part = line.get(byte(from)..).unwrap_or_default();
    let end = part.char_indices().nth(WINDOW).map_or(part.len(), |(at, _)| at);
    (part.get(..end).unwrap_or_default(), from)
}

/// Adds all texts of a tree that are not among the shown ones.
fn hide(node: &Node, shown: &BTreeSet<Span>, texts: &mut HashMap<u32, Vec<Text>>) {
    match &node.value {
        Value::Map(entries) => {
            for entry in entries {
                hide(&entry.key, shown, texts);
                hide(&entry.value, shown, texts);
            }
        }
        Value::List(items) => items.iter().for_each(|item| hide(item, shown, texts)),
        Value::Null => {}
        Value::Scalar { .. } | Value::Refused if shown.contains(&node.span) => {}
        Value::Scalar { .. } | Value::Refused => add(node.span, false, texts),
    }
}

fn add(Span { start, end }: Span, shown: bool, texts: &mut HashMap<u32, Vec<Text>>) {
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
            shown,
        });
    }
}

/// Masks a part of a line that begins at column `from`.
fn mask_by_tree(part: &str, from: usize, texts: &[Text]) -> Masked {
    let mut out = Masked::default();
    let mut previous = ' ';
    for (i, c) in (from..).zip(part.chars()) {
        // In the order of their places, and apart from each other.
        let at = texts.partition_point(|text| text.from <= i).checked_sub(1);
        match at.map(|at| (at, texts[at])).filter(|(_, text)| i < text.to) {
            Some((_, text)) if text.shown => out.show(c),
            Some((at, _)) => out.hide(at),
            None if c == '#' && previous.is_whitespace() => break,
            None if c.is_whitespace() || "-:,[]{}?|>&*!\"'".contains(c) => out.show(c),
            None => out.hide(usize::MAX),
        }
        previous = c;
    }
    out
}

/// Indentation, dashes and a key that is a word are shown; the value only after a key of the
/// table whose values are harmless.
fn mask_by_sight(line: &str) -> Masked {
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
    let one_text = !value.contains('{') && !value.contains(": ");
    let harmless = one_text && keys::is_harmless(name) && !mask::looks_secret(value);
    for c in value.chars() {
        if harmless { out.show(c) } else { out.hide(0) }
    }
    out
}

/// A line as it may be shown.
#[derive(Default)]
struct Masked {
    text: Vec<char>,
    /// The place in `text` of each character of the line.
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

    /// With a caret under the characters from `start` to `end` of the line.
    fn excerpt(mut self, start: usize, end: usize) -> Excerpt {
        let length = self
            .text
            .iter()
            .rposition(|c| !c.is_whitespace())
            .map_or(0, |i| i + 1);
        self.text.truncate(length);
        let at = |column: usize| self.map.get(column).copied().unwrap_or(length).min(length);
        let (start, end) = (at(start), at(end));
        cut(&self.text, start, end.max(start + 1))
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
