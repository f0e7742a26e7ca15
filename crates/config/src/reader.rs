//! Walking the tree: a place in it, and what was found wrong there.

use std::{
    cell::RefCell,
    path::{Path, PathBuf},
};

use crate::{
    errors::ConfigError,
    section::Key,
    shape::Shape,
    tree::{self, Node},
};

/// Most errors told at once: whoever has more has another kind of file before them.
const ERRORS_MAX: usize = 100;

/// What a configuration names outside of itself: environment variables and files.
#[derive(Clone, Copy)]
pub(crate) enum Outside<'a> {
    /// It is read and checked; variables are looked up by this.
    Read(&'a dyn Fn(&str) -> Option<String>),
    /// It is left alone, and need not be there.
    Left,
}

/// What all places of one file share.
pub(crate) struct Reader<'a> {
    outside: Outside<'a>,
    directory: PathBuf,
    root: &'a Node,
    found: RefCell<Vec<Found>>,
}

/// An error before its line is known.
struct Found {
    path: String,
    steps: Vec<usize>,
    key: bool,
    message: String,
}

impl<'a> Reader<'a> {
    /// A reader of this tree. Relative files are sought in `directory`.
    pub(crate) fn new(root: &'a Node, directory: &Path, outside: Outside<'a>) -> Self {
        Self {
            outside,
            directory: directory.to_owned(),
            root,
            found: RefCell::default(),
        }
    }

    /// The tree's root.
    pub(crate) fn root(&self) -> At<'_> {
        At {
            reader: self,
            node: self.root,
            path: String::new(),
            steps: Vec::new(),
            quiet: false,
        }
    }

    /// What was found wrong, with its lines in `text`.
    pub(crate) fn into_errors(self, text: &str) -> Vec<ConfigError> {
        let locate = |found: Found| {
            let (line, column) = tree::locate(text, &found.steps, found.key);
            ConfigError {
                path: found.path,
                line,
                column,
                message: found.message,
            }
        };
        let mut found = self.found.into_inner();
        let more = found.len() > ERRORS_MAX;
        found.truncate(ERRORS_MAX);
        let mut errors: Vec<_> = found.into_iter().map(locate).collect();
        if more {
            let message = format!("there are more errors: these are the first {ERRORS_MAX}");
            errors.push(ConfigError::of_file(message));
        }
        errors
    }
}

/// One place in the tree.
#[derive(Clone)]
pub(crate) struct At<'a> {
    reader: &'a Reader<'a>,
    pub(crate) node: &'a Node,
    path: String,
    steps: Vec<usize>,
    quiet: bool,
}

impl<'a> At<'a> {
    /// Something is wrong with the value here.
    pub(crate) fn wrong(&self, message: impl Into<String>) {
        self.found(false, message.into());
    }

    /// Something is wrong with the key here.
    pub(crate) fn wrong_key(&self, message: impl Into<String>) {
        self.found(true, message.into());
    }

    fn found(&self, key: bool, message: String) {
        let mut found = self.reader.found.borrow_mut();
        // One more than is told, to know that there are more.
        if self.quiet || found.len() > ERRORS_MAX {
            return;
        }
        found.push(Found {
            path: self.path.clone(),
            steps: self.steps.clone(),
            key,
            message,
        });
    }

    /// The value of a key, if this is a map that has it.
    pub(crate) fn get(&self, key: &str) -> Option<At<'a>> {
        let (step, node) = self.node.entry(key)?;
        Some(self.child(step, node, &key_path(&self.path, key)))
    }

    /// The elements, if this is a list.
    pub(crate) fn items(&self) -> Vec<At<'a>> {
        let Node::List(nodes) = self.node else {
            return Vec::new();
        };
        let item = |(at, node)| self.child(at, node, &format!("{}[{at}]", self.path));
        nodes.iter().enumerate().map(item).collect()
    }

    /// The entries, if this is a map; of a key that stands twice, both.
    pub(crate) fn entries(&self) -> Vec<(&'a str, At<'a>)> {
        let Node::Map(entries) = self.node else {
            return Vec::new();
        };
        let entry = |(at, (key, node)): (usize, &'a (String, Node))| {
            let path = key_path(&self.path, key);
            (key.as_str(), self.child(at, node, &path))
        };
        entries.iter().enumerate().map(entry).collect()
    }

    fn child(&self, step: usize, node: &'a Node, path: &str) -> At<'a> {
        let mut steps = self.steps.clone();
        steps.push(step);
        At {
            reader: self.reader,
            node,
            path: path.to_owned(),
            steps,
            quiet: self.quiet,
        }
    }

    /// Whether this map says something of this key.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.node.entry(key).is_some()
    }

    /// The text here, if it is text.
    pub(crate) fn text(&self) -> Option<&'a str> {
        match self.node {
            Node::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The file's root, for references to other sections.
    pub(crate) fn root(&self) -> At<'a> {
        self.reader.root()
    }

    /// Reads what stands at the end of `keys`, or takes its default; of errors nothing is said. For
    /// checks across fields, which are read and complained of one by one elsewhere.
    pub(crate) fn glance<T: Shape>(
        &self,
        keys: &[&str],
        range: &T::Range,
        default: T,
    ) -> Option<T> {
        let step = |at: At<'a>, key: &&str| at.get(key);
        match keys.iter().try_fold(self.clone(), step) {
            Some(at) => T::read(&At { quiet: true, ..at }, range),
            None => Some(default),
        }
    }

    /// The value of a key to complain of, or, where a default is in force, the whole.
    pub(crate) fn place(&self, key: &str) -> At<'a> {
        self.get(key).unwrap_or_else(|| self.clone())
    }

    /// The text of a key, if there is one.
    pub(crate) fn text_of(&self, key: &str) -> Option<&'a str> {
        self.get(key)?.text()
    }

    /// Complains of keys that are unknown, renamed or given twice. False if this is no map at all.
    pub(crate) fn check_keys(&self, known: &[Key]) -> bool {
        if !matches!(self.node, Node::Map(_) | Node::Null) {
            let kind = self.node.kind();
            self.wrong(format!("must be a map of {}, not {kind}", name_list(known)));
            return false;
        }
        self.check_duplicates();
        for (name, at) in self.entries() {
            if known.iter().any(|key| key.name == name) {
                continue;
            }
            match known.iter().find(|key| key.formerly == Some(name)) {
                Some(key) => at.wrong_key(format!("is now called `{}`", key.name)),
                None => at.wrong_key(unknown(known, name)),
            }
        }
        true
    }

    /// Complains of keys given twice.
    pub(crate) fn check_duplicates(&self) {
        let mut seen = std::collections::BTreeSet::new();
        for (name, at) in self.entries() {
            if !seen.insert(name) {
                at.wrong_key("stands here twice: keep one");
            }
        }
    }

    /// Complains of elements of a list that have the same text under `key` as one before.
    pub(crate) fn check_unique(&self, key: &str) {
        let mut seen = std::collections::BTreeMap::new();
        for item in self.items() {
            let Some(at) = item.get(key) else { continue };
            let Some(text) = at.text() else { continue };
            if let Some(first) = seen.get(text) {
                at.wrong(format!("`{text}` is taken by {first}: each must be unique"));
            } else {
                seen.insert(text, item.path.clone());
            }
        }
    }

    /// What is done with what this configuration names outside of itself.
    pub(crate) fn outside(&self) -> Outside<'a> {
        self.reader.outside
    }

    /// Where a file named in this configuration is: relative names start beside the configuration.
    pub(crate) fn resolve(&self, file: &str) -> PathBuf {
        let joined = self.reader.directory.join(file);
        std::path::absolute(&joined).unwrap_or(joined)
    }
}

fn key_path(parent: &str, key: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    match (parent.is_empty(), !key.is_empty() && key.chars().all(plain)) {
        (true, true) => key.to_owned(),
        (false, true) => format!("{parent}.{key}"),
        (_, false) => format!("{parent}[{:?}]", shorten(key)),
    }
}

/// Enough of a text to find it again.
pub(crate) fn shorten(text: &str) -> String {
    const CHARS: usize = 80;
    match text.char_indices().nth(CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn unknown(known: &[Key], name: &str) -> String {
    let names = known.iter().map(|key| key.name);
    match nearest(name, names) {
        Some(near) => format!("is unknown: did you mean `{near}`?"),
        None => format!("is unknown: known here are {}", name_list(known)),
    }
}

/// The known name that a mistyped one most resembles.
pub(crate) fn nearest<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    // A slip or two; in a long name, a third of it.
    let most = (name.len() / 3).max(2);
    if name.len() > 64 {
        return None;
    }
    let distance = |near: &'n str| (strsim::damerau_levenshtein(name, near), near);
    let best = known.map(distance).min_by_key(|(distance, _)| *distance)?;
    (best.0 <= most && best.0 < best.1.len()).then_some(best.1)
}

fn name_list(known: &[Key]) -> String {
    let names: Vec<_> = known.iter().map(|key| format!("`{}`", key.name)).collect();
    names.join(", ")
}
