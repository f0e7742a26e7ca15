//! Whatever stands in the file, reading it ends soon, with an answer and without a panic.
#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use holdline_config::Config;
use proptest::prelude::*;

fn message(text: &str) -> String {
    let begun = Instant::now();
    let errors = Config::parse_with(text, "x.yaml", &|_| None).unwrap_err();
    // Generous: the worst takes some seconds of one core.
    assert!(
        begun.elapsed() < Duration::from_secs(60),
        "{:?}",
        begun.elapsed()
    );
    errors.to_string()
}

#[test]
fn not_yaml() {
    assert_eq!(
        message("listeners: [\n"),
        "x.yaml:2:1: is not YAML: did not find expected node content at line 2 column 1, while parsing a flow node"
    );
    assert_eq!(
        message("a: *nowhere\n"),
        "x.yaml:1:4: is not YAML: unknown anchor at line 1 column 4"
    );
    assert!(message("a: \u{1}\n").contains("is not YAML: control characters"));
    assert_eq!(
        message("a: 1\n---\nb: 2\n"),
        "x.yaml: holds more than one YAML document: leave one, without `---`"
    );
}

#[test]
fn tags_are_no_values() {
    let told = message("listeners: !list [1]\nworkers: !!python/object:os.system {}\n");
    assert!(
        told.contains("listeners: must be a list, not a tagged value"),
        "{told}"
    );
}

#[test]
fn aliases_that_multiply() {
    let mut bomb = "a: &a [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (last, next) in ('a'..='k').zip('b'..='l') {
        bomb += &format!(
            "{next}: &{next} [{}]\n",
            vec![format!("*{last}"); 10].join(", ")
        );
    }
    let told = message(&bomb);
    assert!(told.contains("aliases"), "{told}");
    // Few jumps, each to something large: the library's own bound does not see it.
    let large = "y".repeat(100_000);
    let told = message(&format!(
        "a: &a {large}\nb: [{}]\n",
        vec!["*a"; 100_000].join(", ")
    ));
    assert!(
        told.contains("too large once its aliases are written out"),
        "{told}"
    );
    let loops = message("a: &a [*a]\n");
    assert!(!loops.is_empty());
}

#[test]
fn deep_nesting() {
    for (open, close) in [("[", "]"), ("{a: ", "}"), ("- ", "")] {
        let text = format!("{}x{}", open.repeat(5_000), close.repeat(5_000));
        let told = message(&text);
        assert!(told.contains("is nested too deeply"), "{told}");
    }
}

#[test]
fn huge_files() {
    let told = message(&"#".repeat((1 << 20) + 1));
    assert_eq!(
        told,
        "x.yaml: is larger than 1048576 bytes, too large for a configuration"
    );
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("huge.yaml");
    std::fs::write(&path, vec![0xc3; 2 << 20]).unwrap();
    let told = Config::load(&path).unwrap_err().to_string();
    assert!(told.ends_with("too large for a configuration"), "{told}");
}

/// As large as a file may be, and nothing but beginnings.
#[test]
fn large_nonsense() {
    for part in [
        "[", "{", "- ", "? ", "a: ", "&a ", "\"", "*a, ", "[]: ", "\n",
    ] {
        let told = message(&part.repeat((1 << 20) / part.len()));
        assert!(told.starts_with("x.yaml:"), "{told}");
    }
}

/// Many errors late in a large file: each costs a search for its place.
#[test]
fn many_errors() {
    let mut text = "drain:\n".to_owned();
    for key in 0..50_000 {
        text += &format!("  key{key}: 1\n");
    }
    let told = message(&text);
    assert_eq!(told.lines().count(), 101);
    assert!(
        told.ends_with("x.yaml: there are more errors: these are the first 100"),
        "{told}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text(text in "\\PC*") {
        let _ = Config::parse_with(&text, "x.yaml", &|_| None);
    }

    /// Text that is made of what the file is made of gets further.
    #[test]
    fn text_made_of_yaml(parts in prop::collection::vec(prop::sample::select(PARTS), 0..60)) {
        let _ = Config::parse_with(&parts.concat(), "x.yaml", &|_| Some("secret".to_owned()));
    }

    /// A good file with one piece cut out and another put in.
    #[test]
    fn a_damaged_example(at in 0_usize..10_000, length in 0_usize..40, put in "\\PC{0,8}") {
        let example = include_str!("../../../config/holdline.yaml");
        let mut letters: Vec<char> = example.chars().collect();
        let from = at % letters.len();
        let to = (from + length).min(letters.len());
        letters.splice(from..to, put.chars());
        let text: String = letters.into_iter().collect();
        match Config::parse_with(&text, "x.yaml", &|_| Some("secret".to_owned())) {
            Ok(config) => prop_assert!(!config.effective_yaml().is_empty()),
            Err(errors) => prop_assert!(!errors.errors().is_empty()),
        }
    }
}

const PARTS: &[&str] = &[
    "listeners",
    "workers",
    "upstreams",
    "session",
    "log",
    "name",
    "routes",
    "legs",
    ": ",
    ":",
    "\n",
    "\n  ",
    "\n    ",
    "\n  - ",
    "- ",
    "{",
    "}",
    "[",
    "]",
    ", ",
    "\"",
    "'",
    "&a ",
    "*a",
    "!t ",
    "!!int ",
    "!!null ",
    "? ",
    "|\n",
    ">-\n",
    "#",
    "---\n",
    "...\n",
    "<<: ",
    "off",
    "~",
    "1",
    "-1",
    "0x1f",
    "1e9",
    ".nan",
    "5s",
    "4MiB",
    "%YAML 1.1\n",
    "\t",
    "\u{feff}",
    "é",
    "\0",
];
