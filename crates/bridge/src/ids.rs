//! Names that others gave: no string can stand where another kind of name belongs.
//!
//! They are kept in the session's state, which is bounded, so they are too: vendors' names have some
//! thirty bytes, and nothing of a longer one than 128 is kept.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Longest name that is kept.
const MAX_BYTES: usize = 128;

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Default, Debug, Serialize, Deserialize)]
        #[serde(from = "String", into = "String")]
        pub(crate) struct $name(String);

        impl $name {
            /// Takes the name over.
            pub(crate) fn new(name: impl Into<String>) -> Self {
                let mut name = name.into();
                name.truncate(name.floor_char_boundary(MAX_BYTES));
                Self(name)
            }

            /// The name as text.
            pub(crate) fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<String> for $name {
            fn from(name: String) -> Self {
                Self::new(name)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name! {
    /// Twilio's name of one call, `CA...`.
    CallSid
}
name! {
    /// Twilio's name of one media stream, `MZ...`; a call that comes back has a new one.
    StreamSid
}
name! {
    /// The model's name of one item of the conversation.
    ItemId
}
name! {
    /// The model's name of one response.
    ResponseId
}
name! {
    /// The model's name of one function call.
    CallId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_no_name_is_cut() {
        assert_eq!(ItemId::new("item_A2").as_str(), "item_A2");
        assert_eq!(ItemId::new("é".repeat(1_000)).as_str().len(), 128);
    }
}
