//! Newtypes for everything that is counted, so that no number can stand where another belongs.

use std::{cmp::Ordering, fmt, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The random name of a session. Made by the shell; never derived from a call's own identity.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SessionId(pub u128);

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for SessionId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u128::from_str_radix(text, 16).map(Self)
    }
}

macro_rules! counter {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug, Serialize, Deserialize,
        )]
        pub struct $name(pub $inner);

        impl $name {
            /// The number after this one.
            #[must_use]
            pub const fn next(self) -> Self {
                Self(self.0 + 1)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

counter! {
    /// Number of an input of a session, from 1, one order over all legs. 0 stands before the first.
    Seq(u64)
}
counter! {
    /// Number of an attachment of a session. Only grows; 0 stands before the first.
    Epoch(u64)
}
counter! {
    /// Number of an opening of a leg, from 1 for each name.
    Incarnation(u32)
}

/// The name of a leg: `caller`, `model`, or what a worker chose. Cheap to clone; the usual names cost
/// no memory, because one is made for each command that comes in.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct LegName(Name);

/// Each name has one form only: the usual ones are never `Other`.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Name {
    Caller,
    Model,
    Other(Arc<str>),
}

impl LegName {
    /// The inbound leg that every session has.
    pub const CALLER: &'static str = "caller";
    /// The usual name of the outbound leg.
    pub const MODEL: &'static str = "model";

    /// Makes a name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self(match name {
            Self::CALLER => Name::Caller,
            Self::MODEL => Name::Model,
            other => Name::Other(other.into()),
        })
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Name::Caller => Self::CALLER,
            Name::Model => Self::MODEL,
            Name::Other(name) => name,
        }
    }

    /// Whether this is the inbound leg.
    #[must_use]
    pub fn is_caller(&self) -> bool {
        self.0 == Name::Caller
    }
}

/// By their text.
impl Ord for LegName {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl PartialOrd for LegName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Serialize for LegName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for LegName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|name| Self::new(&name))
    }
}

impl fmt::Display for LegName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for LegName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One opening of one leg.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct LegRef {
    /// Which leg.
    pub name: LegName,
    /// Which opening of it.
    pub incarnation: Incarnation,
}

impl LegRef {
    /// Names an opening of a leg.
    #[must_use]
    pub fn new(name: &str, incarnation: u32) -> Self {
        Self {
            name: LegName::new(name),
            incarnation: Incarnation(incarnation),
        }
    }
}

impl fmt::Display for LegRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.name, self.incarnation)
    }
}
