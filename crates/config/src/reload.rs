//! What of a configuration can change while calls are up.
//!
//! It is said once, by [`Config::taking_up`]; what was changed and what needs a restart is found by
//! comparing, so that the two cannot disagree.

use serde_yaml::Value;

use crate::{Config, shape::Shape};

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
    /// This configuration with all of `next` that can change under live calls: `drain`,
    /// `limits.sessions`, `log.level` and, of each pool that both have, `rollout`, `existing`, `eject` and
    /// `handoffs_per_second`.
    #[must_use]
    pub fn taking_up(&self, next: &Self) -> Self {
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

/// Paths below which two trees differ. Lists count as a whole.
fn differ(path: &str, one: &Value, other: &Value, found: &mut Vec<String>) {
    if one == other {
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
