//! A JSON value as YAML: blocks for people, every doubtful text in quotes.

use serde_json::Value;

/// One document.
pub(crate) fn write(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Object(map) if !map.is_empty() => block(value, 0, &mut out),
        Value::Array(list) if !list.is_empty() => block(value, 0, &mut out),
        other => {
            out.push_str(&scalar(other));
            out.push('\n');
        }
    }
    out
}

fn block(value: &Value, depth: usize, out: &mut String) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                out.push_str(&format!("{indent}{}:", text(key)));
                below(value, depth + 1, out);
            }
        }
        Value::Array(list) => {
            for value in list {
                let mut item = String::new();
                if is_block(value) {
                    block(value, depth + 1, &mut item);
                    // The first line of the item stands behind its dash.
                    out.push_str(&format!("{indent}- {}", item.trim_start()));
                } else {
                    out.push_str(&format!("{indent}- {}\n", scalar(value)));
                }
            }
        }
        other => out.push_str(&scalar(other)),
    }
}

fn below(value: &Value, depth: usize, out: &mut String) {
    if is_block(value) {
        out.push('\n');
        block(value, depth, out);
    } else {
        out.push_str(&format!(" {}\n", scalar(value)));
    }
}

fn is_block(value: &Value) -> bool {
    match value {
        Value::Object(map) => !map.is_empty(),
        Value::Array(list) => !list.is_empty(),
        _ => false,
    }
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(string) => text(string),
        // Empty lists and maps, numbers, truth and null are the same in both languages.
        other => other.to_string(),
    }
}

/// Plain only where no YAML reader, old or new, could take it for anything else.
fn text(string: &str) -> String {
    let plain = string.chars().next().is_some_and(|c| c.is_ascii_alphabetic())
        && string
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_-./".contains(c))
        && !matches!(
            string.to_ascii_lowercase().as_str(),
            "y" | "n" | "yes" | "no" | "on" | "off" | "true" | "false" | "null"
        );
    if plain {
        return string.to_owned();
    }
    // A JSON string is a double-quoted YAML string, but for characters YAML wants escaped.
    let mut quoted = String::new();
    for c in Value::from(string).to_string().chars() {
        if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}') {
            quoted.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            quoted.push(c);
        }
    }
    quoted
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn blocks_and_quotes() {
        let value = json!({
            "name": "mirror",
            "digest": "sha256:abc",
            "on": true,
            "none": null,
            "empty": [],
            "list": [{"a": 1, "b": [1, 2]}, "no", "x y", "\u{7f}\n"],
        });
        let expected = r#"digest: "sha256:abc"
empty: []
list:
  - a: 1
    b:
      - 1
      - 2
  - "no"
  - "x y"
  - "\u007f\n"
name: mirror
none: null
"on": true
"#;
        assert_eq!(super::write(&value), expected);
    }
}
