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
    object.insert("additionalProperties".to_owned(), json!(false));
    object
}

fn property(key: &Key) -> Value {
    let mut object = kind(key.kind);
    object.insert("description".to_owned(), json!(key.doc));
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
        let (name, value) = (key.name, value_text(key.kind).replace('|', "\\|"));
        page.push_str(&format!("| `{name}` | {value} | {default} | {} |\n", key.doc));
    }
}

/// The kind of value in words.
fn value_text(kind: Kind) -> String {
    match kind {
        Kind::Section(section) => format!("mapping, see `{}`", section.title),
        Kind::List(item) => format!("list of: {}", value_text(*item)),
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
