//! Secrets: read once from the environment or a file, shown to nobody.

use std::{
    fmt,
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde_json::{Value, json};

use crate::{
    reader::{At, Outside},
    shape::Shape,
    text::is_header_value,
};

/// Longest secret, in bytes.
const SECRET_MAX: u64 = 16 << 10;

const RIGHT: &str =
    "must be {env: NAME} or {file: PATH}; a secret itself has no place in this file";

/// Where a secret comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SecretSource {
    /// An environment variable of this name.
    Env(String),
    /// A file; line breaks at its end are no part of the secret.
    File(PathBuf),
}

/// A secret's value, which neither `Debug` nor `Display` nor the effective configuration shows;
/// the last names its source, so that it can be loaded again.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    source: SecretSource,
    value: Arc<str>,
}

impl Secret {
    /// A secret with this value, said to come from `source`.
    #[must_use]
    pub fn new(source: SecretSource, value: &str) -> Self {
        Self {
            source,
            value: value.into(),
        }
    }

    /// The value itself. Take care that it goes nowhere but to the one place that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.value
    }

    /// Where it was read from.
    #[must_use]
    pub fn source(&self) -> &SecretSource {
        &self.source
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Shape for Secret {
    type Range = ();

    fn range() -> Self::Range {}

    /// No message repeats what stands here: it may be the secret, in the wrong place.
    fn read(at: &At<'_>, (): &()) -> Option<Self> {
        let entries = at.entries();
        let [(kind, place)] = entries.as_slice() else {
            at.wrong(RIGHT);
            return None;
        };
        let source = match (*kind, place.text()) {
            ("env", Some(name)) if is_variable(name) => SecretSource::Env(name.to_owned()),
            ("env", _) => {
                place.wrong("must be the name of an environment variable: letters, digits and `_`");
                return None;
            }
            ("file", Some(name)) => SecretSource::File(at.resolve(name)),
            _ => {
                at.wrong(RIGHT);
                return None;
            }
        };
        match value(&source, at.outside()) {
            Ok(value) => Some(Self::new(source, &value)),
            Err(why) => {
                place.wrong(why);
                None
            }
        }
    }

    fn schema((): &()) -> Value {
        let either = |key: &str| {
            json!({
                "type": "object",
                "properties": { key: { "type": "string", "minLength": 1 } },
                "required": [key],
                "additionalProperties": false,
            })
        };
        json!({ "oneOf": [either("env"), either("file")] })
    }

    fn write(&self) -> serde_yaml::Value {
        let (kind, name) = match &self.source {
            SecretSource::Env(name) => ("env", name.clone()),
            SecretSource::File(path) => ("file", path.display().to_string()),
        };
        let mut map = serde_yaml::Mapping::new();
        map.insert(kind.into(), name.into());
        map.into()
    }
}

/// What is there; nothing where it is left alone.
fn value(source: &SecretSource, outside: Outside<'_>) -> Result<String, String> {
    let Outside::Read(environment) = outside else {
        return Ok(String::new());
    };
    let read = match source {
        SecretSource::Env(name) => environment(name)
            .ok_or_else(|| format!("the environment variable {name} is not set"))?,
        SecretSource::File(path) => {
            read_file(path).map_err(|why| format!("{} cannot be read: {why}", path.display()))?
        }
    };
    let value = read.trim_end_matches(['\n', '\r']);
    check(value, source)?;
    Ok(value.to_owned())
}

fn is_variable(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !name.starts_with(|c: char| c.is_ascii_digit())
        && (1..=128).contains(&name.len())
        && name.chars().all(plain)
}

fn read_file(path: &Path) -> Result<String, String> {
    let text = |error: std::io::Error| error.to_string();
    // Never open what is no file: a named pipe would wait for its writer.
    if !std::fs::metadata(path).map_err(text)?.is_file() {
        return Err("it is not a file".to_owned());
    }
    let mut value = String::new();
    let file = File::open(path).map_err(text)?;
    file.take(SECRET_MAX + 1)
        .read_to_string(&mut value)
        .map_err(text)?;
    Ok(value)
}

/// Secrets become header values or keys of a signature; neither may be empty or hold what a header
/// cannot.
fn check(value: &str, source: &SecretSource) -> Result<(), String> {
    let named = match source {
        SecretSource::Env(name) => format!("the environment variable {name}"),
        SecretSource::File(path) => format!("the file {}", path.display()),
    };
    if value.trim().is_empty() {
        return Err(format!("{named} is empty"));
    }
    if value.len() as u64 > SECRET_MAX {
        return Err(format!("{named} holds more than {SECRET_MAX} bytes"));
    }
    if !is_header_value(value) || value.trim() != value {
        return Err(format!(
            "{named} must hold the secret alone: one line of visible ASCII, no white space around it"
        ));
    }
    Ok(())
}
