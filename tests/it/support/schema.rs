//! Holds JSON against a schema: as much of JSON Schema (draft 2020-12) as the schemas of this project use. What it does
//! not know fails the test, so that nothing in a schema goes unchecked.
//!
//! A schema that is open, so that readers are not surprised by what later versions add, is closed here: whatever it
//! does not name is wrong.

use serde_json::{Map, Value};

/// A schema.
#[derive(Debug)]
pub(crate) struct Schema(Value);

impl Schema {
    /// The schema in this text.
    pub(crate) fn new(text: &str) -> Schema {
        let mut schema = serde_json::from_str(text).unwrap();
        assert!(!text.contains("additionalProperties"), "it forbids what later versions may add");
        close(&mut schema);
        Schema(schema)
    }

    /// What is wrong with a value, if anything.
    pub(crate) fn check(&self, value: &Value) -> Result<(), String> {
        self.against(&self.0, value)
    }

    fn against(&self, schema: &Value, value: &Value) -> Result<(), String> {
        let rules = schema.as_object().unwrap();
        rules.iter().try_for_each(|(keyword, rule)| self.rule(rules, keyword, rule, value))
    }

    fn rule(
        &self,
        rules: &Map<String, Value>,
        keyword: &str,
        rule: &Value,
        value: &Value,
    ) -> Result<(), String> {
        let wrong = || Err(format!("{value} is not {keyword} {rule}"));
        let is_right = match keyword {
            "$schema" | "$defs" | "title" | "description" => true,
            "$ref" => {
                let name = rule.as_str().unwrap().strip_prefix("#/$defs/").unwrap();
                return self.against(&self.0["$defs"][name], value);
            }
            "type" => match rule.as_str().unwrap() {
                "object" => value.is_object(),
                "array" => value.is_array(),
                "string" => value.is_string(),
                "boolean" => value.is_boolean(),
                "integer" => value.is_i64() || value.is_u64(),
                "number" => value.is_number(),
                other => panic!("the type {other} is not known"),
            },
            "const" => value == rule,
            "enum" => rule.as_array().unwrap().contains(value),
            "minimum" => value.as_f64().is_none_or(|number| number >= rule.as_f64().unwrap()),
            "pattern" => {
                assert_eq!(rule, "^[0-7]{4}$", "the only pattern that is known");
                let text = value.as_str().unwrap_or_default();
                text.len() == 4 && text.bytes().all(|byte| (b'0'..b'8').contains(&byte))
            }
            "required" => {
                let names = rule.as_array().unwrap();
                names.iter().all(|name| value.get(name.as_str().unwrap()).is_some())
            }
            "properties" => {
                let properties = rule.as_object().unwrap();
                return value.as_object().into_iter().flatten().try_for_each(|(name, value)| {
                    properties.get(name).map_or(Ok(()), |schema| self.against(schema, value))
                });
            }
            "additionalProperties" => {
                assert_eq!(rule, &Value::Bool(false));
                let known = rules["properties"].as_object().unwrap();
                value.as_object().into_iter().flatten().all(|(name, _)| known.contains_key(name))
            }
            "items" => {
                return value.as_array().into_iter().flatten().try_for_each(|item| self.against(rule, item));
            }
            "oneOf" => {
                let checked: Vec<_> =
                    rule.as_array().unwrap().iter().map(|schema| self.against(schema, value)).collect();
                match checked.iter().filter(|checked| checked.is_ok()).count() {
                    1 => true,
                    0 => {
                        let why: Vec<String> = checked.into_iter().filter_map(Result::err).collect();
                        return Err(format!("{value} is none of these:\n{}", why.join("\n")));
                    }
                    _ => return wrong(),
                }
            }
            other => panic!("the keyword {other} is not known"),
        };
        if is_right { Ok(()) } else { wrong() }
    }
}

/// Forbids all objects what they do not name.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(rules) => {
            if rules.get("type").is_some_and(|kind| kind == "object") {
                rules.insert("additionalProperties".to_owned(), Value::Bool(false));
            }
            rules.values_mut().for_each(close);
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

#[test]
fn a_schema_is_heeded() {
    let schema = Schema::new(
        r##"{"oneOf": [{"type": "object", "required": ["a"],
            "properties": {"a": {"$ref": "#/$defs/n"}, "b": {"type": "array", "items": {"enum": ["x"]}}}},
            {"const": 7}], "$defs": {"n": {"type": "integer", "minimum": 0}}}"##,
    );
    for (text, fits) in [
        (r#"{"a": 1}"#, true),
        (r#"{"a": 1, "b": ["x", "x"]}"#, true),
        ("7", true),
        ("8", false),
        (r#"{"a": -1}"#, false),
        (r#"{"a": "1"}"#, false),
        (r#"{"b": []}"#, false),
        (r#"{"a": 1, "b": ["y"]}"#, false),
        (r#"{"a": 1, "c": 1}"#, false),
    ] {
        let checked = schema.check(&serde_json::from_str(text).unwrap());
        assert_eq!(checked.is_ok(), fits, "{text}: {checked:?}");
    }
}
