//! YAML into a tree in which every key and value knows its line and column.
//!
//! Guarantees, whatever the bytes are: work and memory linear in the (capped) size, no recursion
//! while reading, a tree at most [`MAX_DEPTH`] deep. What a configuration does not need and
//! attackers like is refused: anchors and aliases (one could stand for a billion nodes), tags,
//! a second document, a key twice in one mapping.

use std::collections::HashSet;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError};

use crate::diagnostics::Diagnostics;

/// The largest file that is read.
pub(crate) const MAX_BYTES: usize = 1 << 20;
/// The most mappings and lists within one another.
pub(crate) const MAX_DEPTH: usize = 32;
/// The most keys and values in one file.
pub(crate) const MAX_NODES: usize = 50_000;

/// A place in the file: line from 1, column in characters from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) line: u32,
    pub(crate) column: u32,
}

/// From the first character to the one after the last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Span {
    pub(crate) start: Place,
    pub(crate) end: Place,
}

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) span: Span,
    pub(crate) value: Value,
}

#[derive(Debug)]
pub(crate) enum Value {
    /// Nothing, `~` or `null`.
    Null,
    /// `plain` is without quotes: only such a text can be a number or a boolean.
    Scalar {
        text: String,
        plain: bool,
    },
    List(Vec<Node>),
    Map(Vec<Entry>),
    /// Something refused and already reported.
    Refused,
}

#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) key: Node,
    pub(crate) value: Node,
}

impl Node {
    /// The text of a scalar.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }
}

/// The tree of the one document in `text`. `None` when its shape could not be made out;
/// then a problem says why. What is wrong within the shape is reported and left out.
pub(crate) fn read(text: &str, diagnostics: &mut Diagnostics) -> Option<Node> {
    let mut builder = Builder::default();
    let mut parser = Parser::new_from_str(text);
    loop {
        match parser.next_event()? {
            Ok((Event::StreamEnd, _)) => break,
            Ok((event, span)) => {
                let span = convert(span);
                if let Err(refusal) = builder.event(event, span, diagnostics) {
                    diagnostics
                        .error(span, "", refusal.message())
                        .hint_opt(refusal.hint());
                    return None;
                }
            }
            Err(error) => {
                malformed(&error, diagnostics);
                return None;
            }
        }
    }
    if builder.root.is_none() && !diagnostics.has_errors() {
        diagnostics
            .error(Span::default(), "", "the file has no content")
            .hint("`syncd config example` prints a file to start from");
    }
    builder.root
}

/// Why reading stops before the end.
enum Refusal {
    Depth,
    Nodes,
    Documents,
}

impl Refusal {
    fn message(&self) -> String {
        match self {
            Self::Depth => format!("more than {MAX_DEPTH} mappings and lists within one another"),
            Self::Nodes => format!("more than {MAX_NODES} keys and values in one file"),
            Self::Documents => "a second YAML document".to_owned(),
        }
    }

    fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Documents => Some("a configuration is one document: remove the `---` and what follows"),
            Self::Depth | Self::Nodes => None,
        }
    }
}

#[derive(Default)]
struct Builder {
    root: Option<Node>,
    open: Vec<Open>,
    nodes: usize,
    documents: usize,
}

/// A mapping or list whose end was not seen yet.
enum Open {
    List(Span, Vec<Node>),
    Map {
        span: Span,
        entries: Vec<Entry>,
        names: HashSet<String>,
        key: Option<Node>,
    },
}

impl Builder {
    fn event(&mut self, event: Event<'_>, span: Span, diagnostics: &mut Diagnostics) -> Result<(), Refusal> {
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(Refusal::Documents);
                }
            }
            Event::Alias(_) => {
                refuse_alias(span, diagnostics);
                self.close(
                    Node {
                        span,
                        value: Value::Refused,
                    },
                    diagnostics,
                )?;
            }
            Event::Scalar(text, style, anchor, tag) => {
                let value = if refuse_marks(anchor, tag.is_some(), span, diagnostics) {
                    Value::Refused
                } else {
                    scalar(text.into_owned(), style)
                };
                self.close(Node { span, value }, diagnostics)?;
            }
            Event::SequenceStart(anchor, tag) => {
                refuse_marks(anchor, tag.is_some(), span, diagnostics);
                self.open(Open::List(span, Vec::new()))?;
            }
            Event::MappingStart(anchor, tag) => {
                refuse_marks(anchor, tag.is_some(), span, diagnostics);
                self.open(Open::Map {
                    span,
                    entries: Vec::new(),
                    names: HashSet::new(),
                    key: None,
                })?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(diagnostics)?,
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
        }
        Ok(())
    }

    fn end(&mut self, diagnostics: &mut Diagnostics) -> Result<(), Refusal> {
        let (span, value) = match self.open.pop() {
            Some(Open::List(span, items)) => (span, Value::List(items)),
            Some(Open::Map { span, entries, .. }) => (span, Value::Map(entries)),
            None => return Ok(()),
        };
        self.close(Node { span, value }, diagnostics)
    }

    fn open(&mut self, open: Open) -> Result<(), Refusal> {
        if self.open.len() == MAX_DEPTH {
            return Err(Refusal::Depth);
        }
        self.open.push(open);
        Ok(())
    }

    /// Puts a finished node where it belongs.
    fn close(&mut self, node: Node, diagnostics: &mut Diagnostics) -> Result<(), Refusal> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(Refusal::Nodes);
        }
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::List(_, items)) => items.push(node),
            Some(Open::Map {
                entries, names, key, ..
            }) => match key.take() {
                None => *key = Some(node),
                Some(key) => {
                    let key = accept_key(key, names, diagnostics);
                    entries.push(Entry { key, value: node });
                }
            },
        }
        Ok(())
    }
}

/// The key, refused unless it is a text that was not there before.
fn accept_key(key: Node, names: &mut HashSet<String>, diagnostics: &mut Diagnostics) -> Node {
    match &key.value {
        Value::Scalar { text, .. } if names.insert(text.clone()) => return key,
        Value::Scalar { text, .. } => {
            let name = crate::mask::key(text);
            if name == text {
                diagnostics.show(key.span);
            }
            diagnostics
                .error(key.span, "", format!("the key `{name}` is there twice"))
                .hint("a key may stand only once in a mapping");
        }
        Value::Refused => {}
        Value::Null | Value::List(_) | Value::Map(_) => {
            diagnostics.error(key.span, "", "a key must be a text");
        }
    }
    Node {
        span: key.span,
        value: Value::Refused,
    }
}

fn scalar(text: String, style: ScalarStyle) -> Value {
    let plain = style == ScalarStyle::Plain;
    match text.as_str() {
        "" | "~" | "null" | "Null" | "NULL" if plain => Value::Null,
        _ => Value::Scalar { text, plain },
    }
}

/// Reports an anchor or a tag; whether there was one.
fn refuse_marks(anchor: usize, tag: bool, span: Span, diagnostics: &mut Diagnostics) -> bool {
    if anchor != 0 {
        let hint = "write the value out; a text that begins with & must be in quotes";
        diagnostics.error_once_a_line(span, "a YAML anchor (`&name`) is not accepted", hint);
    } else if tag {
        let hint = "leave it out; a text that begins with ! must be in quotes";
        diagnostics.error_once_a_line(span, "a YAML tag (`!name`) is not accepted", hint);
    }
    anchor != 0 || tag
}

fn refuse_alias(span: Span, diagnostics: &mut Diagnostics) {
    let hint = "write the value out; a text that begins with * must be in quotes";
    diagnostics.error_once_a_line(span, "a YAML alias (`*name`) is not accepted", hint);
}

/// The parser's own words carry nothing of the file but a single character at most.
fn malformed(error: &ScanError, diagnostics: &mut Diagnostics) {
    let start = place(error.marker());
    let span = Span {
        start,
        end: Place {
            column: start.column + 1,
            ..start
        },
    };
    match error.info() {
        "while parsing node, found unknown anchor" => refuse_alias(span, diagnostics),
        "recursion limit exceeded" => {
            diagnostics.error(span, "", Refusal::Depth.message());
        }
        info => {
            let (words, hint) = syntax_words(info);
            diagnostics
                .error(span, "", format!("the YAML is not well formed: {words}"))
                .hint_opt(hint);
        }
    }
}

/// The parser's words, said plainer where people meet them, and what to do.
fn syntax_words(info: &str) -> (&str, Option<&'static str>) {
    let rest = info.rsplit_once(", ").map_or(info, |(_, rest)| rest);
    match info {
        _ if info.starts_with("unexpected character") || info.contains("alphabetic or numeric") => (
            "a text cannot begin with this character",
            Some("put the text in quotes"),
        ),
        _ if info.contains("tab") => ("a tab", Some("indent with spaces")),
        "while scanning a quoted scalar, found unexpected end of stream" => {
            ("a quote is opened and never closed", None)
        }
        "mapping values are not allowed in this context" | "simple key expected" => (
            "a `:` where none can be",
            Some("look at the indentation; a text with `: ` in it must be in quotes"),
        ),
        "while parsing a flow mapping, did not find expected ',' or '}'" => ("`,` or `}` is missing", None),
        "while parsing a flow sequence, expected ',' or ']'" => ("`,` or `]` is missing", None),
        "while parsing a block mapping, did not find expected key" => (
            "this is no key of the mapping around it",
            Some("look at the indentation"),
        ),
        "while parsing a block collection, did not find expected '-' indicator" => (
            "this is no item of the list around it",
            Some("look at the indentation"),
        ),
        "simple key expect ':'" => ("a `:` is missing in front of this", None),
        "invalid indentation in quoted scalar" | "invalid indentation" => {
            ("a quote that is never closed, or wrong indentation", None)
        }
        _ => (rest, None),
    }
}

fn convert(span: saphyr_parser::Span) -> Span {
    Span {
        start: place(&span.start),
        end: place(&span.end),
    }
}

fn place(marker: &saphyr_parser::Marker) -> Place {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Place {
        line: number(marker.line()),
        column: number(marker.col()),
    }
}
