//! Values made of values: what may be `off`, lists, maps by name.

use std::{collections::BTreeMap, ops::RangeInclusive};

use serde_json::{Value, json};

use super::Shape;
use crate::{reader::At, text::Text, tree::Node};

/// Longest list or map of names: more is a mistake, and each error would be told.
const LENGTH_MAX: usize = 1_000;

const OFF: &str = "off";

/// Whatever may be absent is written `off`, so that absence can be said aloud.
impl<T: Shape> Shape for Option<T> {
    type Range = T::Range;

    fn range() -> Self::Range {
        T::range()
    }

    fn read(at: &At<'_>, range: &Self::Range) -> Option<Self> {
        if at.text() == Some(OFF) {
            return Some(None);
        }
        T::read(at, range).map(Some)
    }

    fn schema(range: &Self::Range) -> Value {
        json!({ "anyOf": [{ "const": OFF }, T::schema(range)] })
    }

    fn write(&self) -> serde_yaml::Value {
        self.as_ref().map_or_else(|| OFF.into(), T::write)
    }
}

/// A list; its range is that of its length.
impl<T: Shape> Shape for Vec<T> {
    type Range = RangeInclusive<usize>;

    fn range() -> Self::Range {
        0..=LENGTH_MAX
    }

    /// Elements that cannot be read are left out: they have been complained of.
    fn read(at: &At<'_>, range: &Self::Range) -> Option<Self> {
        if !matches!(at.node, Node::List(_) | Node::Null) {
            at.wrong(format!("must be a list, not {}", at.node.kind()));
            return None;
        }
        let items = at.items();
        if !range.contains(&items.len()) {
            at.wrong(format!(
                "has {} elements: it must have {} to {}",
                items.len(),
                range.start(),
                range.end()
            ));
            return None;
        }
        let read = |item: &At<'_>| T::read(item, &T::range());
        Some(items.iter().filter_map(read).collect())
    }

    fn schema(range: &Self::Range) -> Value {
        json!({
            "type": "array",
            "items": T::schema(&T::range()),
            "minItems": range.start(),
            "maxItems": range.end(),
        })
    }

    fn write(&self) -> serde_yaml::Value {
        let items: Vec<_> = self.iter().map(T::write).collect();
        items.into()
    }
}

/// Values by name; its range is the form of names and the least number of them.
impl<T: Shape> Shape for BTreeMap<String, T> {
    type Range = (&'static Text, usize);

    fn range() -> Self::Range {
        (&crate::text::NAME, 0)
    }

    /// Values that cannot be read are left out: they have been complained of.
    fn read(at: &At<'_>, (names, least): &Self::Range) -> Option<Self> {
        if !matches!(at.node, Node::Map(_) | Node::Null) {
            let kind = at.node.kind();
            at.wrong(format!("must be a map from names to values, not {kind}"));
            return None;
        }
        at.check_duplicates();
        let entries = at.entries();
        if entries.len() < *least || entries.len() > LENGTH_MAX {
            let count = entries.len();
            at.wrong(format!(
                "has {count} entries: it must have {least} to {LENGTH_MAX}"
            ));
        }
        let mut map = Self::new();
        for (name, entry) in entries.iter().take(LENGTH_MAX) {
            if let Err(why) = (names.check)(entry, name) {
                entry.wrong_key(why);
            }
            if let Some(value) = T::read(entry, &T::range()) {
                map.insert((*name).to_owned(), value);
            }
        }
        Some(map)
    }

    fn schema((names, least): &Self::Range) -> Value {
        json!({
            "type": "object",
            "additionalProperties": T::schema(&T::range()),
            "propertyNames": names.schema(),
            "minProperties": least,
        })
    }

    fn write(&self) -> serde_yaml::Value {
        let mut map = serde_yaml::Mapping::new();
        for (name, value) in self {
            map.insert(name.as_str().into(), value.write());
        }
        map.into()
    }
}
