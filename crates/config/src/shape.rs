//! What a value of the file may be: how it is read, described to editors and written back.

mod containers;
mod scalars;

pub(crate) use scalars::Purpose;
use serde_json::Value;

use crate::reader::At;

/// A type that values of the file are read into.
pub(crate) trait Shape: Sized {
    /// What narrows it: the least and greatest number, the form of a text, the length of a list.
    type Range;

    /// What holds where a field says nothing narrower.
    fn range() -> Self::Range;

    /// Reads the value; of one that is wrong says so to `at` and returns none.
    fn read(at: &At<'_>, range: &Self::Range) -> Option<Self>;

    /// Its JSON Schema.
    fn schema(range: &Self::Range) -> Value;

    /// The value as one would write it in the file.
    fn write(&self) -> serde_yaml::Value;
}

/// Declares an enum that is one word in the file.
macro_rules! words {
    (
        $(#[$doc:meta])*
        pub enum $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)+ }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum $name { $($(#[$variant_doc])* $variant,)+ }

        impl $name {
            /// The word in the file.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }

        impl $crate::shape::Shape for $name {
            type Range = ();

            fn range() -> Self::Range {}

            fn read(at: &$crate::reader::At<'_>, (): &()) -> Option<Self> {
                let word = $crate::shape::read_word(at, &[$($word),+])?;
                [$(Self::$variant),+].into_iter().find(|each| each.as_str() == word)
            }

            fn schema((): &()) -> serde_json::Value {
                serde_json::json!({ "enum": [$($word),+] })
            }

            fn write(&self) -> serde_yaml::Value {
                self.as_str().into()
            }
        }
    };
}

pub(crate) use words;

/// One of these words, or a complaint.
pub(crate) fn read_word<'a>(at: &At<'a>, words: &[&str]) -> Option<&'a str> {
    let choice = words.join(", ");
    let Some(word) = at.text() else {
        at.wrong(format!("must be one of {choice}, not {}", at.node.kind()));
        return None;
    };
    if words.contains(&word) {
        return Some(word);
    }
    let written = crate::reader::shorten(word);
    match crate::reader::nearest(word, words.iter().copied()) {
        Some(near) => at.wrong(format!("`{written}` is unknown: did you mean `{near}`?")),
        None => at.wrong(format!(
            "`{written}` is unknown: it must be one of {choice}"
        )),
    }
    None
}
