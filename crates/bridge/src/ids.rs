//! Names that others gave: no string can stand where another kind of name belongs.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Default, Debug, Serialize, Deserialize)]
        #[serde(transparent)]
        pub(crate) struct $name(String);

        impl $name {
            /// Takes the name over.
            #[allow(dead_code)] // Function calls are named by the model alone.
            pub(crate) fn new(name: impl Into<String>) -> Self {
                Self(name.into())
            }

            /// The name as text.
            pub(crate) fn as_str(&self) -> &str {
                &self.0
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
