//! `holdline schema`: what editors need to complete and check the file while it is written.

use holdline_config::Config;

use crate::Failure;

/// Prints the JSON Schema.
pub(crate) fn schema() -> Result<(), Failure> {
    let schema = serde_json::to_string_pretty(&Config::schema());
    let schema = schema.map_err(|error| Failure::failed(&error))?;
    super::print(format!("{schema}\n").as_bytes())
}
