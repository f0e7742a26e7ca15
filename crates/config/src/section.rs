//! Sections are declared once: fields, documentation, ranges and defaults. From one declaration
//! come the public struct, the reader, the JSON Schema and the effective configuration, so that no
//! two of them can disagree.

/// A key that a section knows.
pub(crate) struct Key {
    pub(crate) name: &'static str,
    /// What it was called in earlier releases.
    pub(crate) formerly: Option<&'static str>,
}

/// Declares a section of the file.
///
/// ```text
/// section! {
///     /// Documentation, which becomes the schema's description.
///     #[derive(Copy)]                          // may be left out
///     pub struct Name: Default {               // `: Default` if every field has a default
///         /// What the field is for; the first sentence is told when it is missing.
///         pub field: Type [range] = default,   // range and default may be left out
///         pub renamed (formerly "old_name"): Type,
///     }
///     checked by function                      // fn(&At), may be left out: looks at fields together
/// }
/// ```
macro_rules! section {
    (
        $(#[doc = $section_doc:literal])*
        $(#[derive($derive:ident)])?
        pub struct $name:ident $(: $default_marker:ident)? {
            $(
                $(#[doc = $doc:literal])*
                pub $field:ident $((formerly $old:literal))? : $type:ty
                    $([$range:expr])? $(= $default:expr)?,
            )+
        }
        $(checked by $check:path)?
    ) => {
        $(#[doc = $section_doc])*
        #[derive(Clone, PartialEq, Eq, Debug $(, $derive)?)]
        pub struct $name {
            $($(#[doc = $doc])* pub $field: $type,)+
        }

        impl $name {
            const KEYS: &'static [$crate::section::Key] = &[$(
                $crate::section::Key {
                    name: $crate::section::plain(stringify!($field)),
                    formerly: $crate::section::section!(@optional $($old)?),
                },
            )+];
        }

        impl $crate::shape::Shape for $name {
            type Range = ();

            fn range() -> Self::Range {}

            fn read(at: &$crate::reader::At<'_>, (): &()) -> Option<Self> {
                if !at.check_keys(Self::KEYS) {
                    return None;
                }
                let mut fields = $crate::section::Fields::new(at, Self::KEYS);
                // All are read before any is given up on, so that all errors are told.
                $(
                    let $field = fields.next::<$type>(
                        &$crate::section::section!(@range $type $(, $range)?),
                        $crate::section::section!(@lazy $($default)?),
                        concat!($($doc, "\n"),*),
                    );
                )+
                let read = (|| Some(Self { $($field: $field?,)+ }))();
                $($check(at);)?
                read
            }

            fn schema((): &()) -> serde_json::Value {
                let mut schema = $crate::schema::Object::new(concat!($($section_doc, "\n"),*));
                let mut keys = Self::KEYS.iter();
                $(
                    schema.property::<$type>(
                        keys.next().map_or("", |key| key.name),
                        concat!($($doc, "\n"),*),
                        &$crate::section::section!(@range $type $(, $range)?),
                        $crate::section::section!(@lazy $($default)?),
                    );
                )+
                schema.finish()
            }

            fn write(&self) -> serde_yaml::Value {
                let mut map = serde_yaml::Mapping::new();
                let mut keys = Self::KEYS.iter();
                $(
                    map.insert(
                        keys.next().map_or("", |key| key.name).into(),
                        $crate::shape::Shape::write(&self.$field),
                    );
                )+
                map.into()
            }
        }

        $crate::section::section! {
            @default $($default_marker)? $name { $($field = ($($default)?);)+ }
        }
    };

    (@default $name:ident { $($rest:tt)* }) => {};
    (@default Default $name:ident { $($field:ident = ($default:expr);)+ }) => {
        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default,)+ }
            }
        }
    };
    (@optional) => { None };
    (@optional $some:expr) => { Some($some) };
    (@lazy) => { None };
    (@lazy $default:expr) => { Some(|| $default) };
    (@range $type:ty) => { <$type as $crate::shape::Shape>::range() };
    (@range $type:ty, $range:expr) => { $range };
}

pub(crate) use section;

use crate::{reader::At, shape::Shape};

/// The name of a field as the file has it: `r#for` is `for`.
pub(crate) const fn plain(name: &'static str) -> &'static str {
    match name.as_bytes() {
        [b'r', b'#', ..] => name.split_at(2).1,
        _ => name,
    }
}

/// Reads a section's fields in the order of its keys.
pub(crate) struct Fields<'a> {
    at: &'a At<'a>,
    keys: std::slice::Iter<'static, Key>,
}

impl<'a> Fields<'a> {
    pub(crate) fn new(at: &'a At<'a>, keys: &'static [Key]) -> Self {
        Self {
            at,
            keys: keys.iter(),
        }
    }

    /// The next field: read, or its default, or a complaint that it is missing.
    pub(crate) fn next<T: Shape>(
        &mut self,
        range: &T::Range,
        default: Option<fn() -> T>,
        doc: &str,
    ) -> Option<T> {
        let key = self.keys.next()?;
        if let Some(at) = self.at.get(key.name) {
            return T::read(&at, range);
        }
        if default.is_none() && key.formerly.is_none_or(|old| !self.at.has(old)) {
            let about = first_sentence(doc);
            self.at.wrong(format!("lacks `{}`: {about}", key.name));
        }
        default.map(|make| make())
    }
}

fn first_sentence(doc: &str) -> String {
    let text = crate::schema::prose(doc);
    let end = text.find(". ").map_or(text.len(), |at| at + 1);
    let sentence = text[..end].trim_end_matches('.');
    let mut letters = sentence.chars();
    // It goes on after a colon. Names in capitals stay as they are.
    match (letters.next(), letters.next()) {
        (Some(first), Some(second)) if second.is_lowercase() => {
            format!("{}{}", first.to_lowercase(), &sentence[first.len_utf8()..])
        }
        _ => sentence.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    // Sections are public where they are real.
    #![allow(clippy::unwrap_used, unreachable_pub)]

    use std::path::Path;

    use crate::{
        errors::ConfigErrors,
        reader::{Outside, Reader},
        shape::Shape,
        tree,
    };

    section! {
        /// A section with a renamed key. Of the real ones none has been renamed yet.
        #[derive(Copy)]
        pub struct Renamed {
            /// How many. More is not better.
            pub new_name (formerly "old_name"): u32,
            /// TTL of it.
            pub r#for: u8 [0..=9] = 3,
        }
    }

    fn read(text: &str) -> (Option<Renamed>, String) {
        let root = tree::parse(text).unwrap();
        let reader = Reader::new(&root, Path::new(""), Outside::Left);
        let read = Renamed::read(&reader.root(), &());
        let errors = reader.into_errors(text);
        (read, ConfigErrors::new("t", errors).to_string())
    }

    #[test]
    fn a_renamed_key_answers_with_its_new_name() {
        let (read, errors) = read("old_name: 5\n");
        assert_eq!(read, None);
        // Not also that the new one is missing.
        assert_eq!(errors, "t:1:1: old_name: is now called `new_name`");
    }

    #[test]
    fn fields_are_read_written_and_described_alike() {
        let (renamed, errors) = read("new_name: 5\n");
        let renamed = renamed.unwrap();
        assert_eq!(
            (renamed.new_name, renamed.r#for, errors),
            (5, 3, String::new())
        );
        let written = serde_yaml::to_string(&renamed.write()).unwrap();
        assert_eq!(written, "new_name: 5\nfor: 3\n");
        assert_eq!(read(&written).0, Some(renamed));
        let schema = Renamed::schema(&());
        assert_eq!(schema["required"], serde_json::json!(["new_name"]));
        assert_eq!(
            schema["properties"]["for"],
            serde_json::json!({
                "type": "integer", "minimum": 0, "maximum": 9, "default": 3, "description": "TTL of it."
            })
        );
    }

    #[test]
    fn a_missing_field_says_what_it_is_for() {
        assert_eq!(read("{}").1, "t:1:1: lacks `new_name`: how many");
    }
}
