//! What of a configuration can change while calls are up.
//!
//! It is said once, by [`Config::taking_up`]; what was changed and what needs a restart is found by
//! comparing, so that the two cannot disagree.

use std::path::Path;

use serde_yaml::Value;

use crate::{Config, ConfigErrors, LogLevel, config, reader::Outside, shape::Shape};

/// A configuration for an edge that runs, which may lack what it names outside of itself: all edges
/// have one file, and an upgrade names in it what only the edges to come will have, a secret or a
/// certificate. Whoever holds calls needs the rules in it, not those. So nothing outside was read, and
/// no edge can start with it.
#[derive(Debug)]
pub struct Reread(Config);

impl Reread {
    /// How much is logged.
    #[must_use]
    pub fn log_level(&self) -> LogLevel {
        self.0.log.level
    }
}

/// How another configuration differs from the one in force. Paths of keys, such as
/// `workers.default.rollout.weights`, in the order of the file.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Changes {
    /// What can be taken up at once.
    pub applied: Vec<String>,
    /// What needs a restart.
    pub restart: Vec<String>,
}

impl Config {
    /// Reads and checks the file at `path` for an edge that runs: without the files and environment
    /// variables that it names.
    ///
    /// # Errors
    /// All that is wrong with it, at once.
    pub fn load_again(path: &Path) -> Result<Reread, ConfigErrors> {
        config::load(path, Outside::Left).map(Reread)
    }

    /// What is in force from now on, and how it differs from this.
    #[must_use]
    pub fn take_up(&self, next: &Reread) -> (Self, Changes) {
        (self.taking_up(&next.0), self.changes(&next.0))
    }

    /// This configuration with all of `next` that can change under live calls: `drain`,
    /// `limits.sessions`, `log.level` and, of each pool that both have, `rollout`, `existing`, `eject` and
    /// `handoffs_per_second`.
    fn taking_up(&self, next: &Self) -> Self {
        let mut taken = self.clone();
        taken.drain = next.drain;
        taken.limits.sessions = next.limits.sessions;
        taken.log.level = next.log.level;
        for (name, pool) in &mut taken.workers {
            let Some(next) = next.workers.get(name) else {
                continue;
            };
            pool.rollout = next.rollout.clone();
            pool.existing = next.existing;
            pool.eject = next.eject;
            pool.handoffs_per_second = next.handoffs_per_second;
        }
        taken
    }

    /// How `next` differs from this. Values of secrets have no part in it.
    #[must_use]
    pub fn changes(&self, next: &Self) -> Changes {
        let taken = self.taking_up(next).write();
        let mut changes = Changes::default();
        differ("", &self.write(), &taken, &mut changes.applied);
        differ("", &taken, &next.write(), &mut changes.restart);
        changes
    }
}

/// Paths below which two trees differ. Sections in a list are told apart by their places; any other
/// list counts as a whole, and one that became longer or shorter.
fn differ(path: &str, one: &Value, other: &Value, found: &mut Vec<String>) {
    if one == other {
        return;
    }
    if let (Value::Sequence(one), Value::Sequence(other)) = (one, other)
        && one.len() == other.len()
        && one.iter().all(Value::is_mapping)
    {
        for (at, (one, other)) in one.iter().zip(other).enumerate() {
            differ(&format!("{path}[{at}]"), one, other, found);
        }
        return;
    }
    let (Value::Mapping(one), Value::Mapping(other)) = (one, other) else {
        found.push(path.to_owned());
        return;
    };
    let added = other.iter().filter(|(key, _)| !one.contains_key(*key));
    for (key, _) in one.iter().chain(added) {
        let name = key.as_str().unwrap_or_default();
        let path = match path {
            "" => name.to_owned(),
            _ => format!("{path}.{name}"),
        };
        let side = |map: &serde_yaml::Mapping| map.get(key).cloned().unwrap_or_default();
        differ(&path, &side(one), &side(other), found);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const TEXT: &str = r#"
listeners:
  - {name: callers, address: "127.0.0.1:0", routes: [{path: /call, profile: raw, workers: default}]}
workers:
  default: {discovery: {static: {addresses: ["127.0.0.1:50051"]}}, MORE}
"#;

    fn config(more: &str, rest: &str) -> Config {
        let text = format!("{}{rest}\n", TEXT.replace("MORE", more));
        Config::parse(&text, "test").unwrap_or_else(|errors| panic!("{errors}"))
    }

    #[test]
    fn rules_of_pools_and_the_drain_are_taken_up() {
        let (old, new) = (
            config("", ""),
            config(
                "existing: eager, rollout: {weights: {v1: 9, v2: 1}, disabled: [v3]}",
                "drain: {deadline: 2h}\nlog: {level: debug}",
            ),
        );
        let applied = [
            "workers.default.existing",
            "workers.default.rollout.weights.v1",
            "workers.default.rollout.weights.v2",
            "workers.default.rollout.disabled",
            "drain.deadline",
            "log.level",
        ];
        let changes = old.changes(&new);
        assert_eq!(changes.applied, applied);
        assert_eq!(changes.restart, [""; 0]);
        assert_eq!(old.taking_up(&new), new);
    }

    #[test]
    fn what_needs_a_restart_is_named_and_stays() {
        let other = "workers:\n  other: {discovery: {static: {addresses: [\"127.0.0.1:1\"]}}}";
        let (old, mut new) = (
            config("", ""),
            config("connect_timeout: 9s", "log: {format: text}"),
        );
        let parsed = Config::parse(
            &TEXT
                .replace("workers:\n", &format!("{other}\n"))
                .replace("MORE", ""),
            "test",
        );
        let pool = parsed.unwrap().workers.remove("other").unwrap();
        new.workers.insert("other".to_owned(), pool);
        let changes = old.changes(&new);
        assert_eq!(changes.applied, [""; 0]);
        let restart = [
            "workers.default.connect_timeout",
            "workers.other",
            "log.format",
        ];
        assert_eq!(changes.restart, restart);
        assert_eq!(old.taking_up(&new), old);
    }

    /// The file at its path, as an edge reads it that runs.
    fn again(text: &str) -> Reread {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("holdline.yaml");
        std::fs::write(&path, text).unwrap();
        Config::load(&path).expect_err("an edge cannot start with it");
        Config::load_again(&path).unwrap_or_else(|errors| panic!("{errors}"))
    }

    const SIGNED: &str = r#"
listeners:
  - {name: callers, address: "127.0.0.1:0", routes: [{path: /call, profile: twilio, workers: default,
      signature: {public_url: "wss://h/call", auth_token: {env: HELD}}}]}
workers:
  default: {discovery: {static: {addresses: ["127.0.0.1:50051"]}}}
upstreams: {model: {profile: raw, url: "wss://h/"}}
"#;

    #[test]
    fn what_is_named_outside_keeps_no_rule_from_an_edge_that_lacks_it() {
        let old = Config::parse_with(SIGNED, "test", &|_| Some("held".to_owned())).unwrap();
        let next = SIGNED
            .replace(
                "{env: HELD}",
                "{env: HELD}, secondary_auth_token: {env: NOT_HERE}",
            )
            .replace(
                "name: callers,",
                "name: callers, tls: {certificate: no.pem, key: no.pem},",
            )
            .replace(
                r#""wss://h/""#,
                r#""wss://h/", ca: no.pem, api_key: {file: no.txt}"#,
            )
            .replace("{discovery", "{rollout: {disabled: [v2]}, discovery")
            + "session: {hold: {sound: no.ulaw}}";
        let (taken, changes) = old.take_up(&again(&next));
        assert_eq!(changes.applied, ["workers.default.rollout.disabled"]);
        let restart = [
            "listeners[0].tls",
            "listeners[0].routes[0].signature.secondary_auth_token",
            "upstreams.model.api_key",
            "upstreams.model.ca",
            "session.hold.sound",
        ];
        assert_eq!(changes.restart, restart);
        let signature = taken.listeners[0].routes[0].signature.as_ref().unwrap();
        assert_eq!(
            signature.auth_token.expose(),
            "held",
            "what it has it keeps"
        );
        assert_eq!(signature.secondary_auth_token, None);
    }

    #[test]
    fn where_a_secret_comes_from_is_checked_all_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("holdline.yaml");
        std::fs::write(&path, SIGNED.replace("{env: HELD}", "in-plain-text")).unwrap();
        let errors = Config::load_again(&path).unwrap_err().to_string();
        assert!(errors.contains("must be {env: NAME}"), "{errors}");
        assert!(!errors.contains("in-plain-text"), "{errors}");
    }

    #[test]
    fn rules_that_contradict_each_other_are_refused() {
        let text = TEXT.replace("MORE", "rollout: {weights: {v1: 1}, disabled: [v1]}");
        let errors = Config::parse(&text, "test").unwrap_err().to_string();
        assert!(
            errors.contains("workers.default.rollout.weights.v1"),
            "{errors}"
        );
    }
}
