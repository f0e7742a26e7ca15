//! Programs of others that judge ours.

use std::path::{Path, PathBuf};

/// Where a tool is. `HOLDLINE_TOOLS` names the folder; `tests/run` fills `target/tools`.
pub(crate) fn tool(name: &str) -> PathBuf {
    let folder = match std::env::var_os("HOLDLINE_TOOLS") {
        Some(folder) => PathBuf::from(folder),
        None => workspace().join("target/tools/bin"),
    };
    let path = folder.join(name);
    assert!(
        path.exists(),
        "{} is not there: `tests/run` installs the tools that the tests need, or name their folder \
         in HOLDLINE_TOOLS",
        path.display()
    );
    path
}

/// A file of the project, by its path from the top.
pub(crate) fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
