//! The committed example and schema are what this release reads.
#![allow(clippy::unwrap_used)]

use std::{fs, path::PathBuf};

use holdline_config::Config;
use serde_json::Value;

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../config")
        .join(name)
}

fn environment(name: &str) -> Option<String> {
    ["TWILIO_AUTH_TOKEN", "OPENAI_API_KEY"]
        .contains(&name)
        .then(|| "example-secret-value".to_owned())
}

fn example() -> (String, Config) {
    let path = file("holdline.yaml");
    let text = fs::read_to_string(&path).unwrap();
    let config = Config::parse_with(&text, path.to_str().unwrap(), &environment);
    (text, config.unwrap_or_else(|errors| panic!("{errors}")))
}

/// What stands in the example and nowhere in the effective configuration, or the other way round,
/// would be a key that a newcomer never hears of.
#[test]
fn the_example_shows_every_key_with_its_default() {
    let (text, config) = example();
    let shown: Value = serde_yaml::from_str(&text).unwrap();
    let effective: Value = serde_yaml::from_str(&config.effective_yaml()).unwrap();
    assert_eq!(shown, effective);
}

/// What the example says is default is: without it the configuration is the same.
#[test]
fn the_example_tells_defaults() {
    let minimal = r#"
listeners:
  - name: twilio
    address: 0.0.0.0:8080
    routes:
      - path: /twilio/media
        profile: twilio
        signature:
          public_url: wss://voice.example.com/twilio/media
          auth_token: {env: TWILIO_AUTH_TOKEN}
        legs: [{name: model, upstream: openai}]
        workers: default
upstreams:
  openai:
    profile: openai-realtime
    url: wss://api.openai.com/v1/realtime?model=gpt-realtime-2.1
    api_key: {env: OPENAI_API_KEY}
workers:
  default:
    discovery: {static: {addresses: ["127.0.0.1:50051"]}}
"#;
    let minimal = Config::parse_with(minimal, "minimal.yaml", &environment);
    assert_eq!(minimal.unwrap(), example().1);
}

#[test]
fn the_schema_describes_the_example() {
    let (text, _) = example();
    let example: Value = serde_yaml::from_str(&text).unwrap();
    assert_described(&example, &Config::schema(), "");
}

/// Every key of `value` is a property of `schema` and every required one is there; defaults that
/// the schema tells are those of the example.
fn assert_described(value: &Value, schema: &Value, path: &str) {
    let branches = schema["anyOf"].as_array().or(schema["oneOf"].as_array());
    if let Some(branches) = branches {
        let fits = |branch: &&Value| {
            let constant = branch.get("const");
            constant == Some(value) || (constant.is_none() && has_required(value, branch))
        };
        let branch = branches.iter().find(fits);
        return assert_described(value, branch.unwrap_or_else(|| panic!("{path}")), path);
    }
    match value {
        Value::Object(map) => {
            assert_eq!(schema["type"], "object", "{path}");
            assert!(has_required(value, schema), "{path}");
            for (key, value) in map {
                let path = format!("{path}.{key}");
                let any = &schema["additionalProperties"];
                let property = schema["properties"].get(key);
                let property = property.or(any.is_object().then_some(any));
                let property = property.unwrap_or_else(|| panic!("{path} is not in the schema"));
                assert_described(value, property, &path);
            }
        }
        Value::Array(items) => {
            assert_eq!(schema["type"], "array", "{path}");
            for item in items {
                assert_described(item, &schema["items"], &format!("{path}[]"));
            }
        }
        Value::Bool(_) => assert_eq!(schema["type"], "boolean", "{path}"),
        Value::Number(_) => assert_eq!(schema["type"], "integer", "{path}"),
        _ => {
            let known = schema["enum"].as_array();
            let listed = known.is_some_and(|words| words.contains(value));
            let constant = schema["const"] == *value;
            assert!(listed || constant || schema["type"] == "string", "{path}");
        }
    }
}

fn has_required(value: &Value, schema: &Value) -> bool {
    let required = schema["required"].as_array().into_iter().flatten();
    required
        .filter_map(Value::as_str)
        .all(|key| value.get(key).is_some())
}

#[test]
fn the_committed_schema_is_fresh() {
    let path = file("holdline.schema.json");
    let fresh = format!(
        "{}\n",
        serde_json::to_string_pretty(&Config::schema()).unwrap()
    );
    if std::env::var_os("HOLDLINE_REGENERATE").is_some() {
        fs::write(&path, &fresh).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == fresh,
        "config/holdline.schema.json is stale: run the tests of holdline-config once with HOLDLINE_REGENERATE=1"
    );
}

/// Every `holdline*.yaml` beside the example is an example too.
#[test]
fn all_examples_are_valid() {
    let mut seen = 0;
    for entry in fs::read_dir(file("")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if name.starts_with("holdline") && name.ends_with(".yaml") {
            let text = fs::read_to_string(&path).unwrap();
            let read = Config::parse_with(&text, path.to_str().unwrap(), &environment);
            assert!(read.is_ok(), "{}", read.unwrap_err());
            seen += 1;
        }
    }
    assert!(seen > 0);
}

#[test]
fn the_effective_configuration_reads_as_the_same() {
    let (_, config) = example();
    let again = Config::parse_with(&config.effective_yaml(), "effective.yaml", &environment);
    assert_eq!(again.unwrap(), config);
}

#[test]
fn the_fingerprint_follows_the_content() {
    let (text, config) = example();
    let other = text.replace("level: info", "level: debug");
    let other = Config::parse_with(&other, "x.yaml", &environment).unwrap();
    assert_eq!(config.fingerprint(), example().1.fingerprint());
    assert_ne!(config.fingerprint(), other.fingerprint());
    assert_eq!(config.fingerprint().len(), 12);
}

/// Neither the effective configuration nor any debug output has a secret in it.
#[test]
fn secrets_stay_secret() {
    let (_, config) = example();
    let signature = config.listeners[0].routes[0].signature.as_ref().unwrap();
    assert_eq!(signature.auth_token.expose(), "example-secret-value");
    for shown in [
        format!("{config:?}"),
        format!("{config:#?}"),
        config.effective_yaml(),
        signature.auth_token.to_string(),
    ] {
        assert!(!shown.contains("example-secret"), "{shown}");
    }
    assert!(config.effective_yaml().contains("env: TWILIO_AUTH_TOKEN"));
}
