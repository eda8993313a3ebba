//! The errors inside a text. One event can join several: one for each credential that kubelet
//! tried (`[e1, e2]`), one for each mirror that CRI-O tried (`(Mirrors also failed: […]): last`).

use super::fold::Folded;

/// Where a piece comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// The registry of the reference, as far as the text says.
    Upstream,
    /// A mirror that was tried first.
    Mirror,
}

/// One error of the text.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    pub(super) text: Folded,
    pub(super) role: Role,
}

/// Codes of gRPC that only wrap: the words after them decide.
const EMPTY_CODES: [&str; 10] = [
    "unknown",
    "2",
    "internal",
    "13",
    "notfound",
    "5",
    "failedprecondition",
    "9",
    "invalidargument",
    "permissiondenied",
];

/// Splits, and puts the piece that decides first.
pub(super) fn pieces(text: &Folded) -> Vec<Piece> {
    let text = without_codes(text);
    if let Some(found) = mirrors(&text) {
        return found;
    }
    let mut parts = aggregate(&text);
    // kubelet's last try of some providers is anonymous, and its refusal means nothing.
    if parts.len() > 1 && parts.iter().any(|part| !anonymous_refusal(&part.lower)) {
        parts.retain(|part| !anonymous_refusal(&part.lower));
    }
    let one = |text| Piece {
        text,
        role: Role::Upstream,
    };
    parts.into_iter().map(one).collect()
}

/// Takes out `rpc error: code = Unknown desc = `.
fn without_codes(text: &Folded) -> Folded {
    let mut out = String::with_capacity(text.shown.len());
    let mut from = 0;
    while let Some(at) = text
        .lower
        .get(from..)
        .and_then(|rest| rest.find("rpc error: code = "))
    {
        let start = from + at;
        let code_at = start + "rpc error: code = ".len();
        let rest = text.lower.get(code_at..).unwrap_or_default();
        let end = rest.find(" desc = ").filter(|end| {
            let code = rest.get(..*end).unwrap_or_default();
            EMPTY_CODES.contains(&code)
        });
        let next = match end {
            Some(end) => {
                out.push_str(text.shown.get(from..start).unwrap_or_default());
                code_at + end + " desc = ".len()
            }
            None => {
                out.push_str(text.shown.get(from..code_at).unwrap_or_default());
                code_at
            }
        };
        from = next;
    }
    out.push_str(text.shown.get(from..).unwrap_or_default());
    Folded::of(out)
}

fn anonymous_refusal(lower: &str) -> bool {
    lower.contains("failed to fetch anonymous token")
        && ["401 unauthorized", "403 forbidden", "unauthorized", "denied"]
            .iter()
            .any(|words| lower.contains(words))
}

/// `[e1, e2]`: each element starts as a pull error starts.
fn aggregate(text: &Folded) -> Vec<Folded> {
    const STARTS: [&str; 6] = [
        ", failed to pull and unpack image ",
        ", failed to pull image ",
        ", rpc error: ",
        ", error response from daemon: ",
        ", initializing source ",
        ", unable to pull image ",
    ];
    let Some(open) = text
        .lower
        .find(": [")
        .or(text.lower.starts_with('[').then_some(0))
    else {
        return vec![text.clone()];
    };
    let mut cuts = vec![0];
    for start in STARTS {
        let found = text.lower.match_indices(start).map(|(at, _)| at);
        cuts.extend(found.filter(|at| *at > open).take(16));
    }
    cuts.sort_unstable();
    let ends = cuts.iter().skip(1).copied().chain([text.shown.len()]);
    cuts.iter()
        .zip(ends)
        .filter_map(|(from, to)| text.shown.get(*from..to))
        .map(|part| Folded::of(part.trim_start_matches(", ").to_owned()))
        .collect()
}

/// containers/image: the mirrors' errors in brackets, the upstream's after them; without a word
/// after them the last in brackets is the upstream's.
fn mirrors(text: &Folded) -> Option<Vec<Piece>> {
    let marker = "(mirrors also failed:";
    let start = text.lower.find(marker)? + marker.len();
    let rest = text.lower.get(start..)?;
    let ends = ["])", "] )"].map(|end| rest.find(end).map(|at| start + at + end.len()));
    let end = ends.into_iter().flatten().min();
    let inside = text.shown.get(start..end.unwrap_or(text.shown.len()))?;
    let mut found: Vec<Piece> = inside
        .split('[')
        .skip(1)
        .map(|part| part.trim_end_matches([')', ' ']).trim_end_matches(']'))
        .take(16)
        .map(|part| Piece {
            text: Folded::of(part.to_owned()),
            role: Role::Mirror,
        })
        .collect();
    let after = end.and_then(|end| text.shown.get(end..)).unwrap_or_default();
    let after = after.trim_start_matches([':', ' ']);
    if after.is_empty() {
        if let Some(last) = found.last_mut() {
            last.role = Role::Upstream;
        }
    } else {
        found.push(Piece {
            text: Folded::of(after.to_owned()),
            role: Role::Upstream,
        });
    }
    found.reverse();
    Some(found)
}
