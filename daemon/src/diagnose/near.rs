//! Names close to a misspelt one.

use syncd_config::text::edit_distance;

/// Tags close to `wanted`, the closest first: at most three.
pub(crate) fn near<'a>(wanted: &str, names: &'a [String]) -> Vec<&'a str> {
    let limit = match wanted.chars().count() {
        0..=2 => 1,
        3..=5 => 2,
        _ => 3,
    };
    let length = wanted.chars().count();
    let wanted = wanted.to_ascii_lowercase();
    let mut found: Vec<(usize, &str)> = names
        .iter()
        // A registry may have very many tags: most are told apart by their length.
        .filter(|name| name.chars().count().abs_diff(length) <= limit)
        .map(|name| (edit_distance(&wanted, &name.to_ascii_lowercase()), name.as_str()))
        .filter(|(distance, _)| *distance <= limit)
        .collect();
    found.sort_unstable();
    found.into_iter().take(3).map(|(_, name)| name).collect()
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
