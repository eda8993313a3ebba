//! A diagnosis as text: the answer first, then what was looked at, then what to do.

use crate::report::{Cause, Check, CheckStatus, DiagnoseReport, Fix};

/// The report as lines of at most `width` columns. Commands are broken with a backslash, so that
/// they can still be pasted.
#[must_use]
pub fn text(report: &DiagnoseReport, width: usize) -> String {
    let width = width.max(40);
    let verdict = &report.verdict;
    let mut lines = Vec::new();
    if let Some(pod) = &report.pod {
        let node = pod
            .node
            .as_ref()
            .map_or_else(String::new, |node| format!(", on {node}"));
        let of = format!(
            "pod {}/{}, container {}{node}:",
            pod.namespace, pod.name, pod.container
        );
        wrap(&mut lines, "", "", &of, width);
    }
    let head = match verdict.cause {
        Cause::None if report.pod.is_some() => format!("{}: nothing is wrong", report.image),
        Cause::None => format!("{}: nothing is wrong, as seen from here", report.image),
        cause => format!("{}: {cause} ({})", report.image, verdict.confidence.as_str()),
    };
    wrap(&mut lines, "", "", &head, width);
    wrap(&mut lines, "", "", &verdict.summary, width);
    if !report.alternatives.is_empty() {
        let others: Vec<&str> = report.alternatives.iter().map(|a| a.cause.as_str()).collect();
        let also = format!("It may also be {}.", others.join(" or "));
        wrap(&mut lines, "", "", &also, width);
    }
    lines.push(String::new());
    let widest = report
        .checks
        .iter()
        .map(|check| check.id.len())
        .max()
        .unwrap_or(0);
    for check in &report.checks {
        line_of(&mut lines, check, widest, width);
    }
    if !report.fixes.is_empty() {
        lines.push(String::new());
        lines.push("What to do:".to_owned());
        for (n, fix) in report.fixes.iter().enumerate() {
            fix_of(&mut lines, n + 1, fix, width);
        }
    }
    let mut out = lines.join("\n");
    out.push('\n');
    out
}

fn line_of(lines: &mut Vec<String>, check: &Check, widest: usize, width: usize) {
    let word = match check.status {
        CheckStatus::Fail => "FAIL",
        other => other.as_str(),
    };
    let head = format!("  {word}  {:widest$}  ", check.id);
    let rest = " ".repeat(head.chars().count());
    wrap(lines, &head, &rest, &shortened(&check.detail), width);
    if check.status == CheckStatus::Warn && !check.hint.is_empty() {
        wrap(lines, &rest, &rest, &check.hint, width);
    }
}

/// With each digest cut to its first twelve digits: whole ones are in the JSON form.
fn shortened(detail: &str) -> String {
    let words = detail.split(' ').map(|word| {
        let bare = word.trim_end_matches([',', '.', ':', ';']);
        match bare.strip_prefix("sha256:") {
            Some(hex) if hex.len() == 64 => format!(
                "sha256:{}…{}",
                hex.get(..12).unwrap_or_default(),
                word.get(bare.len()..).unwrap_or_default()
            ),
            _ => word.to_owned(),
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

fn fix_of(lines: &mut Vec<String>, n: usize, fix: &Fix, width: usize) {
    let head = format!("{n:>3}. ");
    let rest = " ".repeat(head.len());
    let words = if fix.destructive {
        format!("DESTRUCTIVE: {}", fix.text)
    } else {
        fix.text.clone()
    };
    wrap(lines, &head, &rest, &words, width);
    if let Some(command) = &fix.command {
        broken(lines, &rest, command, width);
    }
}

/// A command over several lines, each but the last ending in ` \`.
fn broken(lines: &mut Vec<String>, indent: &str, command: &str, width: usize) {
    let mut pieces = Vec::new();
    wrap(
        &mut pieces,
        &format!("{indent}$ "),
        &format!("{indent}    "),
        command,
        width - 2,
    );
    let last = pieces.len().saturating_sub(1);
    for (n, piece) in pieces.into_iter().enumerate() {
        lines.push(if n < last { format!("{piece} \\") } else { piece });
    }
}

/// Breaks `text` at blanks; a word longer than a line stands alone on its own.
pub(super) fn wrap(lines: &mut Vec<String>, first: &str, rest: &str, text: &str, width: usize) {
    let mut line = first.to_owned();
    let mut empty = true;
    for word in text.split_whitespace() {
        let needed = line.chars().count() + usize::from(!empty) + word.chars().count();
        if !empty && needed > width {
            lines.push(std::mem::replace(&mut line, rest.to_owned()));
            empty = true;
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(word);
        empty = false;
    }
    lines.push(line.trim_end().to_owned());
}

#[cfg(test)]
mod tests {
    use super::{broken, wrap};

    #[test]
    fn breaks_at_blanks_and_keeps_long_words() {
        let mut lines = Vec::new();
        wrap(&mut lines, "- ", "  ", "one two three fourfivesixseven eight", 10);
        assert_eq!(lines, ["- one two", "  three", "  fourfivesixseven", "  eight"]);
        wrap(&mut lines, "x  ", "", "", 10);
        assert_eq!(lines.last().map(String::as_str), Some("x"));
    }

    #[test]
    fn a_broken_command_can_be_pasted() {
        let mut lines = Vec::new();
        broken(&mut lines, "  ", "curl --first one --second two", 20);
        assert_eq!(
            lines,
            ["  $ curl --first \\", "      one --second \\", "      two"]
        );
    }
}
