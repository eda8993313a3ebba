//! Collects problems while a file is read, and gives each its line with secrets masked.

use crate::error::{Excerpt, Problem, Problems, SHOWN, Severity};
use crate::excerpt::Lines;
use crate::tree::{Node, Span};

#[derive(Default)]
pub(crate) struct Diagnostics {
    found: Vec<Found>,
    /// Texts that may be shown; everything else is masked.
    shown: Vec<Span>,
}

/// A problem before its line is looked up.
pub(crate) struct Found {
    severity: Severity,
    span: Span,
    path: String,
    message: String,
    hint: Option<String>,
}

impl Found {
    pub(crate) fn hint(&mut self, hint: impl Into<String>) {
        self.hint = Some(hint.into());
    }

    pub(crate) fn hint_opt(&mut self, hint: Option<impl Into<String>>) {
        self.hint = hint.map(Into::into);
    }
}

impl Diagnostics {
    pub(crate) fn error(
        &mut self,
        span: Span,
        path: impl Into<String>,
        message: impl Into<String>,
    ) -> &mut Found {
        self.push(Severity::Error, span, path.into(), message.into())
    }

    /// As [`Self::error`], unless the line has just had the same one: a file made of thousands of
    /// aliases is not worth a problem each.
    pub(crate) fn error_once_a_line(&mut self, span: Span, message: &str, hint: &str) {
        let same = |found: &&Found| found.message == message;
        let last = self.found.iter().rev().take(2).find(same);
        if last.is_none_or(|found| found.span.start.line != span.start.line) {
            self.error(span, "", message).hint(hint);
        }
    }

    pub(crate) fn warn(
        &mut self,
        span: Span,
        path: impl Into<String>,
        message: impl Into<String>,
    ) -> &mut Found {
        self.push(Severity::Warning, span, path.into(), message.into())
    }

    fn push(&mut self, severity: Severity, span: Span, path: String, message: String) -> &mut Found {
        let index = self.found.len();
        self.found.push(Found {
            severity,
            span,
            path,
            message,
            hint: None,
        });
        &mut self.found[index]
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.found.iter().any(|f| f.severity == Severity::Error)
    }

    /// Whether something is wrong at a key or below it.
    pub(crate) fn has_errors_at(&self, key: &str) -> bool {
        let below = |path: &str| {
            path.strip_prefix(key)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        self.found
            .iter()
            .any(|f| f.severity == Severity::Error && below(&f.path))
    }

    /// Allows the text at `span` in excerpts.
    pub(crate) fn show(&mut self, span: Span) {
        self.shown.push(span);
    }

    /// The problems in the order of their places: errors, and warnings apart.
    pub(crate) fn finish(
        mut self,
        file: &str,
        text: &str,
        tree: Option<&Node>,
    ) -> (Option<Problems>, Vec<Problem>) {
        self.found.sort_by_key(|f| f.span);
        let lines = Lines::new(text, tree, self.shown);
        let (errors, warnings): (Vec<_>, Vec<_>) = self
            .found
            .into_iter()
            .enumerate()
            .map(|(i, found)| {
                let excerpt = if i < SHOWN {
                    lines.excerpt(found.span)
                } else {
                    None
                };
                problem(found, file, excerpt)
            })
            .partition(|p| p.severity == Severity::Error);
        ((!errors.is_empty()).then_some(Problems(errors)), warnings)
    }
}

fn problem(found: Found, file: &str, excerpt: Option<Excerpt>) -> Problem {
    Problem {
        severity: found.severity,
        file: file.to_owned(),
        line: found.span.start.line,
        column: found.span.start.column + 1,
        key_path: found.path,
        message: found.message,
        hint: found.hint,
        excerpt,
    }
}
