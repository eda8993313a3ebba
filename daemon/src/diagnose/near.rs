//! Names close to a misspelt one.

/// Tags close to `wanted`, the closest first: at most three.
pub(crate) fn near<'a>(wanted: &str, names: &'a [String]) -> Vec<&'a str> {
    let limit = match wanted.chars().count() {
        0..=2 => 1,
        3..=5 => 2,
        _ => 3,
    };
    let mut found: Vec<(usize, &str)> = names
        .iter()
        .map(|name| (distance(wanted, name, limit), name.as_str()))
        .filter(|(distance, _)| *distance <= limit)
        .collect();
    found.sort_unstable();
    found.into_iter().take(3).map(|(_, name)| name).collect()
}

/// The number of characters to insert, delete, replace or swap with a neighbour (optimal string
/// alignment), or `limit + 1` when it is more than `limit`.
fn distance(a: &str, b: &str, limit: usize) -> usize {
    let a: Vec<char> = a.chars().map(|c| c.to_ascii_lowercase()).collect();
    let b: Vec<char> = b.chars().map(|c| c.to_ascii_lowercase()).collect();
    if a.len().abs_diff(b.len()) > limit {
        return limit + 1;
    }
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
    last.last().copied().unwrap_or(limit + 1)
}

#[cfg(test)]
mod tests {
    use super::near;

    #[test]
    fn finds_the_closest_first() {
        let names: Vec<String> = ["1", "1.27", "1.72", "1.27.1", "stable", "latest", "v1.27"]
            .map(str::to_owned)
            .to_vec();
        for (wanted, expected) in [
            ("1.27", vec!["1.27", "1.72", "v1.27"]),
            ("2", vec!["1"]),
            ("latst", vec!["latest"]),
            ("lastet", vec!["latest"]),
            ("STABLE", vec!["stable"]),
            ("nothing-like-it", vec![]),
            ("", vec!["1"]),
        ] {
            assert_eq!(near(wanted, &names), expected, "{wanted}");
        }
    }
}
