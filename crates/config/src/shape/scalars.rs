//! Single values: numbers, switches, addresses, files.

use std::{
    fs::File,
    net::SocketAddr,
    ops::RangeInclusive,
    path::{Path, PathBuf},
};

use ipnet::IpNet;
use serde_json::{Value, json};

use super::Shape;
use crate::{
    reader::{At, Outside, shorten},
    tree::Node,
};

/// Counts and shares. Zero is within range only where a field says so.
macro_rules! integer {
    ($($type:ty),+) => {$(
        impl Shape for $type {
            type Range = RangeInclusive<$type>;

            fn range() -> Self::Range {
                1..=<$type>::MAX
            }

            fn read(at: &At<'_>, range: &Self::Range) -> Option<Self> {
                let (least, most) = (u64::from(*range.start()), u64::from(*range.end()));
                let value = read_integer(at, least, most)?;
                <$type>::try_from(value).ok()
            }

            fn schema(range: &Self::Range) -> Value {
                json!({ "type": "integer", "minimum": range.start(), "maximum": range.end() })
            }

            fn write(&self) -> serde_yaml::Value {
                (*self).into()
            }
        }
    )+};
}

integer!(u8, u16, u32);

fn read_integer(at: &At<'_>, least: u64, most: u64) -> Option<u64> {
    let right = format!("it must be a whole number from {least} to {most}");
    match at.node {
        Node::Integer(value) if (least..=most).contains(value) => return Some(*value),
        Node::Integer(value) => at.wrong(format!("{value} is out of range: {right}")),
        Node::Number(text) => at.wrong(format!("{} will not do: {right}", shorten(text))),
        Node::Text(text) if text.parse::<u64>().is_ok() => {
            at.wrong(format!("is text: write {text} without quotes"));
        }
        other => at.wrong(format!("is {}: {right}", other.kind())),
    }
    None
}

impl Shape for bool {
    type Range = ();

    fn range() -> Self::Range {}

    fn read(at: &At<'_>, (): &()) -> Option<Self> {
        let Node::Bool(value) = at.node else {
            at.wrong(format!("must be true or false, not {}", at.node.kind()));
            return None;
        };
        Some(*value)
    }

    fn schema((): &()) -> Value {
        json!({ "type": "boolean" })
    }

    fn write(&self) -> serde_yaml::Value {
        (*self).into()
    }
}

/// What an address is for: only a listener may leave the choice of a port to the system.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Listen,
    Connect,
}

impl Shape for SocketAddr {
    type Range = Purpose;

    fn range() -> Self::Range {
        Purpose::Connect
    }

    fn read(at: &At<'_>, purpose: &Purpose) -> Option<Self> {
        let right = "an IP address and a port, such as 127.0.0.1:8080 or [::1]:8080";
        let Some(text) = at.text() else {
            at.wrong(format!("must be {right}, not {}", at.node.kind()));
            return None;
        };
        let Ok(address) = text.parse::<Self>() else {
            at.wrong(format!("`{}` is no address: write {right}", shorten(text)));
            return None;
        };
        if *purpose == Purpose::Connect && address.port() == 0 {
            at.wrong("has port 0, which nobody can connect to");
            return None;
        }
        Some(address)
    }

    fn schema(_: &Purpose) -> Value {
        json!({ "type": "string", "pattern": r"^.+:\d{1,5}$" })
    }

    fn write(&self) -> serde_yaml::Value {
        self.to_string().into()
    }
}

impl Shape for IpNet {
    type Range = ();

    fn range() -> Self::Range {}

    fn read(at: &At<'_>, (): &()) -> Option<Self> {
        let Some(text) = at.text() else {
            let kind = at.node.kind();
            at.wrong(format!("must be a network such as 10.0.0.0/8, not {kind}"));
            return None;
        };
        if let Ok(network) = text.parse::<Self>() {
            return Some(network);
        }
        match text.parse::<std::net::IpAddr>() {
            Ok(one) => at.wrong(format!("is one address: write {}", Self::from(one))),
            Err(_) => {
                let text = shorten(text);
                at.wrong(format!(
                    "`{text}` is no network: write one such as 10.0.0.0/8"
                ));
            }
        }
        None
    }

    fn schema((): &()) -> Value {
        json!({ "type": "string", "pattern": r"^[0-9a-fA-F.:]+/\d{1,3}$" })
    }

    fn write(&self) -> serde_yaml::Value {
        self.to_string().into()
    }
}

/// A file that must be there and readable when the configuration is read, and what it names is.
impl Shape for PathBuf {
    type Range = ();

    fn range() -> Self::Range {}

    fn read(at: &At<'_>, (): &()) -> Option<Self> {
        let Some(text) = at.text().filter(|text| !text.is_empty()) else {
            let kind = at.node.kind();
            at.wrong(format!("must be the name of a file, not {kind}"));
            return None;
        };
        let path = at.resolve(text);
        if let Outside::Read(_) = at.outside()
            && let Err(why) = check_readable(&path)
        {
            at.wrong(format!("{} cannot be read: {why}", path.display()));
            return None;
        }
        Some(path)
    }

    fn schema((): &()) -> Value {
        json!({ "type": "string", "minLength": 1 })
    }

    fn write(&self) -> serde_yaml::Value {
        self.display().to_string().into()
    }
}

fn check_readable(path: &Path) -> Result<(), String> {
    let text = |error: std::io::Error| error.to_string();
    // Never open what is no file: a named pipe would wait for its writer.
    if !std::fs::metadata(path).map_err(text)?.is_file() {
        return Err("it is not a file".to_owned());
    }
    File::open(path).map(drop).map_err(text)
}
