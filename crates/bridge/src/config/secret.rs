//! Secrets: named in the file, kept out of it, and never printed.

use std::{fmt, fs, path::PathBuf};

use serde::Deserialize;

/// A value that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The value itself, for the one place that sends it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(value: String) -> Self {
        Self(value)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Where a secret is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecretSource {
    /// In an environment variable of this name.
    Env(String),
    /// In a file; white space at its end is not part of it.
    File(PathBuf),
}

impl SecretSource {
    /// Reads it.
    ///
    /// # Errors
    /// In words, if it is not there or empty. The words never hold the secret.
    pub fn read(&self) -> Result<Secret, String> {
        let value = match self {
            Self::Env(name) => std::env::var(name)
                .map_err(|_| format!("the environment variable {name} is not set"))?,
            Self::File(path) => fs::read_to_string(path)
                .map_err(|error| format!("the file {} cannot be read: {error}", path.display()))?,
        };
        let value = value.trim_end();
        if value.is_empty() {
            return Err("the secret is empty".to_owned());
        }
        Ok(Secret(value.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_printed() {
        assert_eq!(format!("{:?}", Secret::from("s3cr3t".to_owned())), "***");
    }

    #[test]
    fn a_missing_secret_names_its_source() {
        let missing = SecretSource::Env("HOLDLINE_BRIDGE_NO_SUCH_VARIABLE".to_owned());
        assert!(
            missing
                .read()
                .is_err_and(|words| words.contains("NO_SUCH_VARIABLE"))
        );
    }
}
