//! The file as a whole.

use std::{collections::BTreeMap, fmt::Write as _, path::Path};

use sha2::{Digest, Sha256};

use crate::{
    Admin, ByteSize, ConfigError, ConfigErrors, Drain, Kubernetes, Limits, Listener, Log,
    SessionSettings, Tracing, Upstream, WorkerPool, defaults,
    reader::{At, Outside, Reader},
    section::section,
    shape::Shape,
    text, tree,
    units::ANY_SIZE,
};

section! {
    /// Everything that an edge needs to know before it starts; valid as a whole.
    pub struct Config {
        /// Where callers' WebSockets arrive.
        pub listeners: Vec<Listener> [1..=64],
        /// The services that outbound legs are dialled to, by name.
        pub upstreams: BTreeMap<String, Upstream> [(&text::NAME, 0)] = BTreeMap::new(),
        /// Pools of workers, by name.
        pub workers: BTreeMap<String, WorkerPool> [(&text::NAME, 1)],
        /// Bounds and waits of every session.
        pub session: SessionSettings = SessionSettings::default(),
        /// What the edge does upon SIGTERM.
        pub drain: Drain = Drain::default(),
        /// Bounds of the whole edge.
        pub limits: Limits = Limits::default(),
        /// The operator's HTTP port.
        pub admin: Admin = Admin::default(),
        /// What the edge does because it runs in a pod of Kubernetes.
        pub kubernetes: Kubernetes = Kubernetes::default(),
        /// What is logged, and how.
        pub log: Log = Log::default(),
        /// Spans of calls, and where they are sent.
        pub tracing: Tracing = Tracing::default(),
    }
    checked by check_config
}

impl Config {
    /// Reads and checks the file at `path`, and every file and environment variable that it names.
    ///
    /// # Errors
    /// All that is wrong with it, at once.
    pub fn load(path: &Path) -> Result<Self, ConfigErrors> {
        load(path, Outside::Read(&variable))
    }

    /// Reads and checks `text`; `origin` names it in errors, and relative file names start beside
    /// it.
    ///
    /// # Errors
    /// All that is wrong with it, at once.
    pub fn parse(text: &str, origin: &str) -> Result<Self, ConfigErrors> {
        Self::parse_with(text, origin, &variable)
    }

    /// As [`Config::parse`], with the environment given.
    ///
    /// # Errors
    /// All that is wrong with it, at once.
    pub fn parse_with(
        text: &str,
        origin: &str,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigErrors> {
        read(text, origin, Outside::Read(environment))
    }

    /// This configuration as YAML with every default filled in; of secrets, where they come from.
    /// Reading it again gives the same configuration.
    #[must_use]
    pub fn effective_yaml(&self) -> String {
        // Maps of texts, numbers and switches: there is nothing that YAML could not say.
        serde_yaml::to_string(&self.write()).unwrap_or_default()
    }

    /// The JSON Schema (draft 2020-12) of the file, for editors.
    #[must_use]
    pub fn schema() -> serde_json::Value {
        let mut schema = <Self as Shape>::schema(&());
        schema["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
        schema["title"] = "Holdline".into();
        schema
    }

    /// A short name of what is in force: equal configurations have equal fingerprints. Secrets'
    /// values have no part in it.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let digest = Sha256::digest(self.effective_yaml());
        digest.iter().take(6).fold(String::new(), |mut hex, byte| {
            // Writing to a string cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Reads the file at `path`.
///
/// # Errors
/// All that is wrong with it, at once.
pub(crate) fn load(path: &Path, outside: Outside<'_>) -> Result<Config, ConfigErrors> {
    let origin = path.display().to_string();
    match tree::read_file(path) {
        Ok(text) => read(&text, &origin, outside),
        Err(error) => Err(ConfigErrors::new(&origin, vec![error])),
    }
}

/// Reads a section that stands alone.
///
/// # Errors
/// All that is wrong with it, at once.
pub(crate) fn read<T: Shape<Range = ()>>(
    text: &str,
    origin: &str,
    outside: Outside<'_>,
) -> Result<T, ConfigErrors> {
    let refused = |error| ConfigErrors::new(origin, vec![error]);
    let root = tree::parse(text).map_err(refused)?;
    let directory = Path::new(origin).parent().unwrap_or(Path::new(""));
    let reader = Reader::new(&root, directory, outside);
    let section = T::read(&reader.root(), &());
    let errors = reader.into_errors(text);
    match section {
        Some(section) if errors.is_empty() => Ok(section),
        // A reader that gives up says why; should one not, that is still nothing to go by.
        None if errors.is_empty() => {
            Err(refused(ConfigError::of_file("cannot be read".to_owned())))
        }
        _ => Err(ConfigErrors::new(origin, errors)),
    }
}

fn check_config(at: &At<'_>) {
    let Some(listeners) = at.get("listeners") else {
        return;
    };
    listeners.check_unique("name");
    check_addresses(at, &listeners);
    let log = at.glance(&["session", "log", "bytes"], &ANY_SIZE, defaults::LOG_BYTES);
    let legs = at.glance(&["session", "legs"], &u32::range(), defaults::LEGS);
    let routes = listeners
        .items()
        .into_iter()
        .filter_map(|at| at.get("routes"));
    for route in routes.flat_map(|routes| routes.items()) {
        check_frame_fits(&route, log);
        check_legs_fit(&route, legs);
    }
}

/// Two sockets cannot have one address. Port 0 is any free one.
fn check_addresses(at: &At<'_>, listeners: &At<'_>) {
    let default = defaults::ADMIN_ADDRESS.to_string();
    let admin = at.get("admin").and_then(|admin| admin.text_of("address"));
    let mut taken = vec![("`admin`".to_owned(), admin.unwrap_or(&default).to_owned())];
    for (index, listener) in listeners.items().iter().enumerate() {
        let Some(address) = listener.get("address") else {
            continue;
        };
        let Some(text) = address.text().filter(|text| !text.ends_with(":0")) else {
            continue;
        };
        if let Some((owner, _)) = taken.iter().find(|(_, other)| other == text) {
            address.wrong(format!("{owner} listens on {text} already"));
        }
        taken.push((format!("`listeners[{index}]`"), text.to_owned()));
    }
}

/// A frame larger than the whole log could never be kept to replay.
fn check_frame_fits(route: &At<'_>, log_bytes: Option<ByteSize>) {
    let frame = route.glance(&["max_frame"], &ANY_SIZE, defaults::CALLER_MAX_FRAME);
    let (Some(frame), Some(log)) = (frame, log_bytes) else {
        return;
    };
    if frame > log {
        route.place("max_frame").wrong(format!(
            "{frame} is more than `session.log.bytes` ({log}), which must hold at least one frame"
        ));
    }
}

/// The caller is a leg too.
fn check_legs_fit(route: &At<'_>, most: Option<u32>) {
    let (Some(legs), Some(most)) = (route.get("legs"), most) else {
        return;
    };
    let count = legs.items().len() + 1;
    if count > most as usize {
        legs.wrong(format!(
            "makes {count} legs with the caller's; `session.legs` allows {most}"
        ));
    }
}
