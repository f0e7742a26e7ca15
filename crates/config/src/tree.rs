//! The file as a tree, before anything is known of its meaning.
//!
//! Serde stops at the first error and forgets duplicates, so the file is first read into nodes that
//! keep every entry in order; typed readers then walk the tree and collect what is wrong.

use std::{cell::Cell, fmt, fs::File, io::Read, path::Path};

use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor,
};

use crate::errors::ConfigError;

/// Largest configuration file, in bytes.
const TEXT_MAX: u64 = 1 << 20;

/// What a tree may cost: one for each node, one for each byte of text. Aliases multiply what a
/// small file holds; the YAML library bounds how often they are followed, not what they add up to.
const COST_MAX: usize = 4 << 20;

/// One value of the file.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Node {
    Null,
    Bool(bool),
    Integer(u64),
    /// A number that is no `u64`, as text: negative, fractional, not a number.
    Number(String),
    Text(String),
    List(Vec<Node>),
    /// Entries in the order of the file; the same key may stand twice.
    Map(Vec<(String, Node)>),
    /// A value with a YAML tag such as `!secret`.
    Tagged,
}

impl Node {
    /// The value of the first entry with this key, and which entry it is.
    pub(crate) fn entry(&self, key: &str) -> Option<(usize, &Self)> {
        let Self::Map(entries) = self else {
            return None;
        };
        let found = entries
            .iter()
            .enumerate()
            .find(|(_, (name, _))| name == key);
        found.map(|(at, (_, node))| (at, node))
    }

    /// The keys, if this is a map.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        let entries: &[(String, Self)] = match self {
            Self::Map(entries) => entries,
            _ => &[],
        };
        entries.iter().map(|(key, _)| key.as_str())
    }

    /// What this is, for messages. Never its content, which may be a secret in the wrong place.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "true or false",
            Self::Integer(_) | Self::Number(_) => "a number",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
            Self::Tagged => "a tagged value",
        }
    }
}

/// Reads a file that may be a configuration.
pub(crate) fn read_file(path: &Path) -> Result<String, ConfigError> {
    let mut bytes = Vec::new();
    File::open(path)
        // One byte more than allowed shows that it is too large.
        .and_then(|file| file.take(TEXT_MAX + 1).read_to_end(&mut bytes))
        .map_err(|error| ConfigError::of_file(format!("cannot be read: {error}")))?;
    check_size(bytes.len())?;
    String::from_utf8(bytes).map_err(|_| ConfigError::of_file("is not UTF-8 text".to_owned()))
}

fn check_size(bytes: usize) -> Result<(), ConfigError> {
    if bytes as u64 <= TEXT_MAX {
        return Ok(());
    }
    let message = format!("is larger than {TEXT_MAX} bytes, too large for a configuration");
    Err(ConfigError::of_file(message))
}

/// Reads YAML into a tree; of a file that is no YAML, says where it ceases to be.
pub(crate) fn parse(text: &str) -> Result<Node, ConfigError> {
    check_size(text.len())?;
    let cost = Cell::new(0);
    let deserializer = serde_yaml::Deserializer::from_str(text);
    match (NodeSeed { cost: &cost }).deserialize(deserializer) {
        Ok(node) => Ok(node),
        // A file of comments alone is an empty configuration; what is missing is said later.
        Err(_) if is_blank(text) => Ok(Node::Null),
        Err(error) => {
            let mut refused = ConfigError::of_file(describe(&error.to_string()));
            if let Some(location) = error.location() {
                (refused.line, refused.column) = (location.line(), location.column());
            }
            Err(refused)
        }
    }
}

fn is_blank(text: &str) -> bool {
    text.lines().all(|line| {
        let line = line.trim();
        line.is_empty() || line.starts_with('#') || line == "---"
    })
}

/// The library's words, where they are not the user's.
fn describe(message: &str) -> String {
    let known = [
        ("recursion limit", "is nested too deeply"),
        (
            "repetition limit",
            "repeats itself too often through aliases",
        ),
        (
            "more than one document",
            "holds more than one YAML document: leave one, without `---`",
        ),
    ];
    let words = known.iter().find(|(theirs, _)| message.contains(theirs));
    words.map_or_else(
        || format!("is not YAML: {message}"),
        |(_, ours)| (*ours).to_owned(),
    )
}

/// Builds nodes and counts what they cost.
#[derive(Clone, Copy)]
struct NodeSeed<'a> {
    cost: &'a Cell<usize>,
}

impl NodeSeed<'_> {
    fn spend<E: de::Error>(self, cost: usize) -> Result<(), E> {
        let spent = self.cost.get().saturating_add(cost);
        self.cost.set(spent);
        if spent > COST_MAX {
            return Err(E::custom("too large once its aliases are written out"));
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for NodeSeed<'_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        self.spend(1)?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for NodeSeed<'_> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Integer(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(u64::try_from(value).map_or_else(|_| Node::Number(value.to_string()), Node::Integer))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Node, E> {
        Ok(Node::Number(value.to_string()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Node, E> {
        Ok(Node::Number(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Number(value.to_string()))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Node, E> {
        self.spend(value.len())?;
        Ok(Node::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        let mut nodes = Vec::new();
        while let Some(node) = list.next_element_seed(self)? {
            nodes.push(node);
        }
        Ok(Node::List(nodes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key_seed(self)? {
            entries.push((key_text(key), map.next_value_seed(self)?));
        }
        Ok(Node::Map(entries))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, data: A) -> Result<Node, A::Error> {
        let (_, value) = data.variant::<de::IgnoredAny>()?;
        value.newtype_variant::<de::IgnoredAny>()?;
        Ok(Node::Tagged)
    }
}

/// A key as text. Keys that are lists or maps are no key that anybody knows.
fn key_text(key: Node) -> String {
    match key {
        Node::Text(text) | Node::Number(text) => text,
        Node::Integer(value) => value.to_string(),
        Node::Bool(value) => value.to_string(),
        Node::Null => "null".to_owned(),
        other => format!("({})", other.kind()),
    }
}

/// Finds the line and column of a node by reading the file once more.
///
/// `path` gives, level by level, which entry or element to take. The library tells places in its
/// errors alone, so the descent ends in one. Only files with errors pay for this.
pub(crate) fn locate(text: &str, path: &[usize], key: bool) -> (usize, usize) {
    let deserializer = serde_yaml::Deserializer::from_str(text);
    let Err(error) = (Place { path, key }).deserialize(deserializer) else {
        return (1, 1);
    };
    let place = error.location();
    place.map_or((1, 1), |place| (place.line(), place.column()))
}

/// Descends to a place and raises an error there.
struct Place<'a> {
    path: &'a [usize],
    /// Whether the key of the last entry is sought, not its value.
    key: bool,
}

impl Place<'_> {
    /// Where to go from here, or the error that marks the place.
    fn step<E: de::Error>(&self) -> Result<(usize, Self), E> {
        let (first, rest) = self.path.split_first().ok_or_else(|| E::custom("here"))?;
        Ok((
            *first,
            Place {
                path: rest,
                key: self.key,
            },
        ))
    }
}

impl<'de> DeserializeSeed<'de> for Place<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

/// Scalars need no method: the place is reached, and serde's own refusal marks it.
impl<'de> Visitor<'de> for Place<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a place")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let (index, rest) = self.step()?;
        for _ in 0..index {
            list.next_element::<de::IgnoredAny>()?;
        }
        list.next_element_seed(rest)?;
        Err(de::Error::custom("here"))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let (index, rest) = self.step()?;
        for _ in 0..index {
            map.next_entry::<de::IgnoredAny, de::IgnoredAny>()?;
        }
        if rest.key && rest.path.is_empty() {
            map.next_key_seed(Place {
                path: &[],
                key: false,
            })?;
        } else {
            map.next_key::<de::IgnoredAny>()?;
            map.next_value_seed(rest)?;
        }
        Err(de::Error::custom("here"))
    }
}
