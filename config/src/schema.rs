//! The key table as a JSON Schema, for editors, and as the reference page of the documentation.

use serde_json::{Map, Value, json};

use crate::keys::{Key, Kind, Need, ROOT, SECTIONS, Section, Text};

/// The JSON Schema (draft 2020-12) of a configuration file.
#[must_use]
pub fn schema() -> Value {
    let mut root = section(&ROOT);
    root.insert(
        "$schema".to_owned(),
        json!("https://json-schema.org/draft/2020-12/schema"),
    );
    root.insert("title".to_owned(), json!("syncd configuration"));
    Value::Object(root)
}

fn section(section: &Section) -> Map<String, Value> {
    let properties: Map<String, Value> = section
        .keys
        .iter()
        .map(|key| (key.name.to_owned(), property(key)))
        .collect();
    let required: Vec<&str> = section
        .keys
        .iter()
        .filter(|key| key.need == Need::Required)
        .map(|key| key.name)
        .collect();
    let mut object = Map::new();
    object.insert("type".to_owned(), json!("object"));
    object.insert("description".to_owned(), json!(section.doc));
    object.insert("properties".to_owned(), Value::Object(properties));
    if !required.is_empty() {
        object.insert("required".to_owned(), json!(required));
    }
    if !section.one_of.is_empty() {
        let one_of: Vec<Value> = section
            .one_of
            .iter()
            .map(|name| json!({"required": [name]}))
            .collect();
        object.insert("oneOf".to_owned(), json!(one_of));
    }
    object.insert("additionalProperties".to_owned(), json!(false));
    object
}

fn property(key: &Key) -> Value {
    let mut object = kind(key.kind);
    object.insert("description".to_owned(), json!(key.doc));
    if let Kind::Text(_) = key.kind {
        object.insert("examples".to_owned(), json!([key.example()]));
    }
    if let Need::Default(default) = key.need
        && let Some(value) = default_value(key.kind, default)
    {
        object.insert("default".to_owned(), value);
    }
    Value::Object(object)
}

/// The default as the type of the key; `None` when it is told in words ("the host").
fn default_value(kind: Kind, default: &str) -> Option<Value> {
    match kind {
        Kind::Bool | Kind::Integer { .. } => serde_json::from_str(default).ok(),
        _ if default.contains(' ') => None,
        _ => Some(json!(default)),
    }
}

fn kind(kind_of: Kind) -> Map<String, Value> {
    let value = match kind_of {
        Kind::Section(inner) => return section(inner),
        Kind::List(item) => json!({"type": "array", "items": Value::Object(kind(*item))}),
        Kind::Map(name, value) => json!({
            "type": "object",
            "minProperties": 1,
            "additionalProperties": {"type": "string"},
            "examples": [{name.example(): value.example()}],
        }),
        Kind::Either(text, inner) => {
            json!({"anyOf": [Value::Object(kind(Kind::Text(text))), Value::Object(section(inner))]})
        }
        Kind::Text(text) => json!({"type": "string", "minLength": 1, "examples": [text.example()]}),
        Kind::Choice([only]) => json!({"const": only}),
        Kind::Choice(words) => json!({"enum": words}),
        Kind::Bool => json!({"type": "boolean"}),
        Kind::Integer { min, max } => json!({"type": "integer", "minimum": min, "maximum": max}),
    };
    match value {
        Value::Object(object) => object,
        _ => Map::new(),
    }
}

/// The reference page: every key with its type, its default and what it means, in Markdown.
#[must_use]
pub fn reference_page() -> String {
    let mut page = String::from(
        "# Configuration keys\n\n\
         Made from the program's own table of keys. Unknown keys are refused.\n",
    );
    for section in SECTIONS {
        let title = match section.title {
            "" => "Top level".to_owned(),
            title => format!("`{title}`"),
        };
        write_section(&mut page, &title, section);
    }
    page
}

fn write_section(page: &mut String, title: &str, section: &Section) {
    page.push_str(&format!("\n## {title}\n\n{}\n\n", section.doc));
    page.push_str("| key | value | default | meaning |\n| --- | --- | --- | --- |\n");
    for key in section.keys {
        let default = match key.need {
            Need::Required => "required".to_owned(),
            Need::Optional => "–".to_owned(),
            Need::Default(default) if default.contains(' ') => default.to_owned(),
            Need::Default(default) => format!("`{default}`"),
        };
        let (name, value) = (key.name, key_text(key).replace('|', "\\|"));
        page.push_str(&format!("| `{name}` | {value} | {default} | {} |\n", key.doc));
    }
}

/// The kind of a key's value in words; without an example where the default is one.
fn key_text(key: &Key) -> String {
    match (key.kind, key.need) {
        (Kind::Text(text), Need::Default(default)) if !default.contains(' ') => text.what().to_owned(),
        (Kind::Text(text), _) => format!("{}, such as `{}`", text.what(), key.example()),
        (kind, _) => value_text(kind),
    }
}

/// The kind of value in words.
fn value_text(kind: Kind) -> String {
    match kind {
        Kind::Section(section) => format!("mapping, see `{}`", section.title),
        Kind::List(item) => format!("list of: {}", value_text(*item)),
        Kind::Map(name, value) => format!("mapping, such as `{{{}: {}}}`", name.example(), value.example()),
        Kind::Either(text, section) => format!("{}; or a mapping, see `{}`", described(text), section.title),
        Kind::Text(text) => described(text),
        Kind::Choice(words) => words
            .iter()
            .map(|word| format!("`{word}`"))
            .collect::<Vec<_>>()
            .join(", "),
        Kind::Bool => "`true`, `false`".to_owned(),
        Kind::Integer { min, max } => format!("{min} to {max}"),
    }
}

fn described(text: Text) -> String {
    format!("{}, such as `{}`", text.what(), text.example())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use serde_json::{Map, Value, json};

    use super::schema;
    use crate::decode;
    use crate::diagnostics::Diagnostics;
    use crate::keys::SECTIONS;

    /// The keys that the walker asked for, and what it complained about.
    fn walk(document: &Value) -> (BTreeSet<(&'static str, &'static str)>, Vec<String>) {
        let text = document.to_string();
        let mut diagnostics = Diagnostics::default();
        let tree = crate::tree::read(&text, &mut diagnostics).unwrap();
        let walked = decode::walk(&tree, Path::new(""), diagnostics);
        let (problems, _) = walked.diagnostics.finish("generated", &text, Some(&tree));
        let problems = problems.map_or_else(Vec::new, |p| p.0.iter().map(ToString::to_string).collect());
        assert_eq!(walked.config.is_some(), problems.is_empty(), "{text}");
        (walked.asked, problems)
    }

    /// A document in which every key of the schema has a value.
    fn full(schema: &Value) -> Value {
        if let Some(value) = schema.get("default").or(schema.get("const")) {
            return value.clone();
        }
        if let Some(Value::Array(values)) = schema.get("enum").or(schema.get("examples")) {
            return values[0].clone();
        }
        match schema["type"].as_str().unwrap() {
            "object" => schema["properties"]
                .as_object()
                .unwrap()
                .iter()
                .map(|(k, v)| (k.clone(), full(v)))
                .collect(),
            "array" => match (schema["items"].get("anyOf"), schema["items"].get("oneOf")) {
                (Some(Value::Array(kinds)), _) => kinds.iter().map(full).collect(),
                (_, Some(Value::Array(kinds))) => one_each(&full(&schema["items"]), kinds),
                _ => json!([full(&schema["items"])]),
            },
            "boolean" => json!(false),
            other => panic!("no value for {other}"),
        }
    }

    /// A mapping once for each of the keys that exclude one another.
    fn one_each(value: &Value, kinds: &[Value]) -> Value {
        let name = |kind: &Value| kind["required"][0].as_str().unwrap().to_owned();
        let only = |kept: &Value| {
            let mut value = value.clone();
            let object = value.as_object_mut().unwrap();
            object.retain(|key, _| *key == name(kept) || !kinds.iter().any(|kind| *key == name(kind)));
            value
        };
        kinds.iter().map(only).collect()
    }

    type Visit<'v> = &'v mut dyn FnMut(&Value, &Map<String, Value>, &str);

    /// Calls `visit` with the schema and the value of every mapping with known keys within a value,
    /// and its path.
    fn mappings(schema: &Value, value: &Value, path: &str, visit: Visit<'_>) {
        match value {
            Value::Object(_) if schema["additionalProperties"].is_object() => {}
            Value::Object(object) => {
                let kinds = schema.get("anyOf").and_then(Value::as_array);
                let schema = kinds
                    .and_then(|k| k.iter().find(|k| k["type"] == "object"))
                    .unwrap_or(schema);
                visit(schema, object, path);
                for (name, value) in object {
                    mappings(
                        &schema["properties"][name],
                        value,
                        &format!("{path}/{name}"),
                        visit,
                    );
                }
            }
            Value::Array(items) => {
                for (i, item) in items.iter().enumerate() {
                    mappings(&schema["items"], item, &format!("{path}/{i}"), visit);
                }
            }
            _ => {}
        }
    }

    /// The full document with one change in the mapping at `path`.
    fn changed(document: &Value, path: &str, change: impl FnOnce(&mut Map<String, Value>)) -> Value {
        let mut document = document.clone();
        change(document.pointer_mut(path).unwrap().as_object_mut().unwrap());
        document
    }

    #[test]
    fn the_walker_asks_for_exactly_the_keys_of_the_table() {
        let (asked, problems) = walk(&full(&schema()));
        assert_eq!(problems, Vec::<String>::new());
        let table: BTreeSet<_> = SECTIONS
            .iter()
            .flat_map(|s| s.keys.iter().map(|k| (s.title, k.name)))
            .collect();
        assert_eq!(asked, table);
    }

    #[test]
    fn the_walker_agrees_with_the_schema_about_every_key() {
        let schema = schema();
        let document = full(&schema);
        let mut checked = BTreeSet::new();
        mappings(&schema, &document, "", &mut |schema, object, path| {
            let required: Vec<&str> = match schema.get("required") {
                Some(names) => names
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|n| n.as_str().unwrap())
                    .collect(),
                None => Vec::new(),
            };
            for name in object.keys() {
                let (_, problems) = walk(&changed(&document, path, |o| drop(o.remove(name))));
                if required.contains(&name.as_str()) {
                    assert!(
                        problems
                            .iter()
                            .any(|p| p.contains(&format!("`{name}` is missing"))),
                        "{path} {name}"
                    );
                } else if !NEEDED_BY_ANOTHER.contains(&name.as_str()) {
                    assert_eq!(problems, Vec::<String>::new(), "{path} {name}");
                }
                let nothing = changed(&document, path, |o| drop(o.insert(name.clone(), Value::Null)));
                assert!(
                    walk(&nothing).1.iter().any(|p| p.contains("has no value")),
                    "{path} {name}"
                );
                for value in wrong(&schema["properties"][name]) {
                    let text = value.to_string();
                    let (_, problems) =
                        walk(&changed(&document, path, |o| drop(o.insert(name.clone(), value))));
                    assert!(!problems.is_empty(), "{path} {name}: {text} was taken");
                }
                for value in right(&schema["properties"][name]) {
                    let (_, problems) =
                        walk(&changed(&document, path, |o| drop(o.insert(name.clone(), value))));
                    assert_eq!(problems, Vec::<String>::new(), "{path} {name}");
                }
                checked.insert((path.replace(|c: char| c.is_ascii_digit(), ""), name.clone()));
            }
            let extra = changed(&document, path, |o| drop(o.insert("zzz".to_owned(), json!(1))));
            assert!(
                walk(&extra).1.iter().any(|p| p.contains("unknown key `zzz`")),
                "{path}"
            );
            assert_eq!(schema["additionalProperties"], json!(false), "{path}");
        });
        assert_eq!(
            checked.len(),
            SECTIONS.iter().map(|s| s.keys.len()).sum::<usize>()
        );
    }

    /// Optional by the schema, and needed by another key in the full document.
    const NEEDED_BY_ANOTHER: [&str; 8] = [
        "as",
        "basic",
        "file",
        "htpasswdFile",
        "kubernetes",
        "name",
        "registries",
        "registry",
    ];

    /// Values that the schema refuses.
    fn wrong(schema: &Value) -> Vec<Value> {
        match (schema.get("type").and_then(Value::as_str), schema.get("maximum")) {
            (Some("integer"), Some(max)) => {
                vec![
                    json!(0),
                    json!(max.as_u64().unwrap() + 1),
                    json!("4"),
                    json!(-1),
                    json!(1.5),
                    json!([]),
                ]
            }
            (Some("boolean"), _) => vec![json!("true"), json!(0), json!([]), json!({})],
            (Some("array"), _) => vec![json!({}), json!("x"), json!([null]), json!([[]])],
            (Some("object"), _) => vec![json!([]), json!("x")],
            (Some("string"), _) => vec![json!(""), json!([]), json!({})],
            _ => vec![json!("other"), json!(""), json!([])],
        }
    }

    /// Values that the schema takes.
    fn right(schema: &Value) -> Vec<Value> {
        match (schema.get("enum"), schema.get("maximum")) {
            (Some(words), _) => words.as_array().unwrap().clone(),
            (_, Some(max)) => vec![schema["minimum"].clone(), max.clone()],
            _ => vec![],
        }
    }
}
