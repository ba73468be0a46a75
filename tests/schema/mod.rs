//! Just enough of JSON Schema (2020-12) to hold reports against `docs/report.schema.json`.
//!
//! A keyword that is not known here fails, so that the schema cannot come to say more than is checked. Patterns are left to
//! the tests, which know what hashes and run lengths are.

use serde_json::Value;

/// What is wrong with a value, each with its place in it.
pub fn faults(root: &Value, value: &Value) -> Vec<String> {
    let mut out = Vec::new();
    check(root, root, value, "$", &mut out);
    out
}

fn check(root: &Value, schema: &Value, value: &Value, at: &str, out: &mut Vec<String>) {
    let Some(schema) = schema.as_object() else {
        if schema == &Value::Bool(false) {
            out.push(format!("{at}: not allowed"));
        }
        return;
    };
    let of = |keyword: &str| schema.get(keyword);
    let mut fault = |ok: bool, what: &str| {
        if !ok {
            out.push(format!("{at}: {what}: {value}"));
        }
    };
    for (keyword, rule) in schema {
        match keyword.as_str() {
            "type" => {
                let all: Vec<&str> =
                    rule.as_array().map_or_else(|| vec![rule.as_str().unwrap()], |a| a.iter().map(|t| t.as_str().unwrap()).collect());
                fault(all.iter().any(|t| is(value, t)), keyword);
            }
            "enum" => fault(rule.as_array().unwrap().contains(value), keyword),
            "const" => fault(rule == value, keyword),
            "minimum" => fault(value.as_f64().is_none_or(|v| v >= rule.as_f64().unwrap()), keyword),
            "maximum" => fault(value.as_f64().is_none_or(|v| v <= rule.as_f64().unwrap()), keyword),
            "minItems" => fault(value.as_array().is_none_or(|v| v.len() as u64 >= rule.as_u64().unwrap()), keyword),
            "maxItems" => fault(value.as_array().is_none_or(|v| v.len() as u64 <= rule.as_u64().unwrap()), keyword),
            "uniqueItems" => fault(value.as_array().is_none_or(|v| (1..v.len()).all(|i| !v[..i].contains(&v[i]))), keyword),
            "required" => {
                let names = rule.as_array().unwrap().iter().map(|n| n.as_str().unwrap());
                names.for_each(|n| fault(!value.is_object() || value.get(n).is_some(), n));
            }
            // Looked at below, where there is something to go into.
            "$ref" | "properties" | "additionalProperties" | "prefixItems" | "items" | "allOf" | "if" | "then" | "else" => {}
            "$schema" | "$defs" | "title" | "description" | "pattern" => {}
            other => panic!("this test does not know the keyword {other}"),
        }
    }
    if let Some(to) = of("$ref") {
        let to = root.pointer(to.as_str().unwrap().trim_start_matches('#')).expect("a reference to nowhere");
        check(root, to, value, at, out);
    }
    if let Some(object) = value.as_object() {
        for (name, v) in object {
            let at = format!("{at}.{name}");
            match (of("properties").and_then(|p| p.get(name)), of("additionalProperties")) {
                (Some(s), _) | (None, Some(s)) => check(root, s, v, &at, out),
                (None, None) => {}
            }
        }
    }
    if let Some(array) = value.as_array() {
        let first = of("prefixItems").and_then(Value::as_array).map_or(&[][..], |a| a);
        for (i, v) in array.iter().enumerate() {
            if let Some(s) = first.get(i).or(of("items")) {
                check(root, s, v, &format!("{at}[{i}]"), out);
            }
        }
    }
    for s in of("allOf").and_then(Value::as_array).into_iter().flatten() {
        check(root, s, value, at, out);
    }
    if let Some(condition) = of("if") {
        let mut found = Vec::new();
        check(root, condition, value, at, &mut found);
        if let Some(s) = of(if found.is_empty() { "then" } else { "else" }) {
            check(root, s, value, at, out);
        }
    }
}

fn is(value: &Value, kind: &str) -> bool {
    match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.as_f64().is_some_and(|v| v.fract() == 0.0),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("there is no type {other}"),
    }
}
