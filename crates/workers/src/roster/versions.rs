//! Which version is newer.
//!
//! Version names carry no order and workers' clocks are not to be trusted, but a rollout has a
//! direction that can be seen: the old version's workers drain while the new version's are there.
//! The first such moment orders two versions for good. Restarts, evictions and scaling bring
//! workers of a known version, or drain workers with nothing newer beside them, and so change
//! nothing. A roll-back is a rollout to a name seen before: workers of the old version come anew
//! while workers of the newer one drain.

/// Versions remembered at most; the oldest are forgotten first.
const REMEMBERED_MAX: usize = 64;

/// The order of a pool's versions.
#[derive(Debug, Default)]
pub(crate) struct Versions {
    /// In the order in which they were first seen.
    known: Vec<Version>,
    top: u64,
}

#[derive(Debug)]
struct Version {
    name: String,
    rank: u64,
    /// Nothing has told yet whether it is newer than those seen before it.
    open: bool,
}

impl Versions {
    /// How new a version is; greater is newer, equal where no order is known.
    pub(crate) fn rank(&self, name: &str) -> u64 {
        self.find(name).map_or(0, |version| version.rank)
    }

    /// A worker of version `name` described itself while workers of `draining` versions drained.
    /// `returned`: it has the address and the version of a worker that was there before.
    pub(crate) fn appeared(&mut self, name: &str, draining: &[&str], returned: bool) {
        let others_drain = |this: &Self, rank: u64| {
            draining
                .iter()
                .any(|other| *other != name && this.rank(other) >= rank)
        };
        match self.find(name) {
            None => {
                self.remember(name);
                if others_drain(self, 0) {
                    self.promote(name);
                }
            }
            Some(version) => {
                let rank = version.rank;
                if !returned && !draining.contains(&name) && others_drain(self, rank) {
                    self.promote(name);
                }
            }
        }
    }

    /// A worker of version `name` began to drain while workers of `present` versions did not.
    pub(crate) fn drains(&mut self, name: &str, present: &[&str]) {
        let Some(place) = self.known.iter().position(|version| version.name == name) else {
            return;
        };
        let newer: Vec<String> = self.known[place + 1..]
            .iter()
            .filter(|version| version.open && present.contains(&version.name.as_str()))
            .map(|version| version.name.clone())
            .collect();
        for name in newer {
            self.promote(&name);
        }
    }

    fn find(&self, name: &str) -> Option<&Version> {
        self.known.iter().find(|version| version.name == name)
    }

    fn remember(&mut self, name: &str) {
        if self.known.len() == REMEMBERED_MAX {
            self.known.remove(0);
        }
        self.known.push(Version {
            name: name.to_owned(),
            rank: self.top,
            open: true,
        });
    }

    fn promote(&mut self, name: &str) {
        self.top += 1;
        let top = self.top;
        if let Some(version) = self.known.iter_mut().find(|version| version.name == name) {
            version.rank = top;
            version.open = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn newest<'a>(versions: &Versions, names: &[&'a str]) -> Vec<&'a str> {
        let top = names.iter().map(|name| versions.rank(name)).max();
        names
            .iter()
            .copied()
            .filter(|name| Some(versions.rank(name)) == top)
            .collect()
    }

    #[test]
    fn two_versions_without_a_drain_have_no_order() {
        let mut versions = Versions::default();
        versions.appeared("b", &[], false);
        versions.appeared("a", &[], false);
        assert_eq!(newest(&versions, &["a", "b"]), ["a", "b"]);
    }

    #[test]
    fn a_version_that_comes_while_another_drains_is_newer() {
        let mut versions = Versions::default();
        versions.appeared("old", &[], false);
        versions.drains("old", &[]);
        versions.appeared("new", &["old"], false);
        assert_eq!(newest(&versions, &["old", "new"]), ["new"]);
    }

    #[test]
    fn a_version_that_is_there_when_the_other_begins_to_drain_is_newer() {
        let mut versions = Versions::default();
        versions.appeared("old", &[], false);
        versions.appeared("new", &[], false);
        versions.drains("old", &["old", "new"]);
        assert_eq!(newest(&versions, &["old", "new"]), ["new"]);
    }

    #[test]
    fn an_eviction_of_the_new_version_changes_nothing() {
        let mut versions = Versions::default();
        versions.appeared("old", &[], false);
        versions.appeared("new", &[], false);
        versions.drains("old", &["old", "new"]);
        versions.drains("new", &["old", "new"]);
        versions.appeared("new", &["new"], false);
        assert_eq!(newest(&versions, &["old", "new"]), ["new"]);
    }

    #[test]
    fn an_early_failure_of_the_new_version_does_not_make_it_old() {
        let mut versions = Versions::default();
        versions.appeared("old", &[], false);
        versions.appeared("new", &[], false);
        versions.drains("new", &["old"]);
        assert_eq!(newest(&versions, &["old", "new"]), ["old", "new"]);
        versions.drains("old", &["new"]);
        assert_eq!(newest(&versions, &["old", "new"]), ["new"]);
    }

    #[test]
    fn restarts_and_scaling_of_the_old_version_change_nothing() {
        let mut versions = Versions::default();
        versions.appeared("old", &[], false);
        versions.drains("old", &[]);
        versions.appeared("new", &["old"], false);
        versions.appeared("old", &[], false);
        versions.appeared("old", &["new"], true);
        versions.appeared("old", &["old", "new"], false);
        assert_eq!(newest(&versions, &["old", "new"]), ["new"]);
    }

    #[test]
    fn a_roll_back_makes_the_old_version_newest_and_a_roll_forward_again_the_new_one() {
        let mut versions = Versions::default();
        versions.appeared("old", &[], false);
        versions.appeared("new", &[], false);
        versions.drains("old", &["new"]);
        versions.drains("new", &[]);
        versions.appeared("old", &["new"], false);
        assert_eq!(newest(&versions, &["old", "new"]), ["old"]);
        versions.appeared("new", &["old"], false);
        assert_eq!(newest(&versions, &["old", "new"]), ["new"]);
    }

    #[test]
    fn memory_is_bounded() {
        let mut versions = Versions::default();
        for n in 0..1_000 {
            versions.appeared(&n.to_string(), &[], false);
        }
        assert_eq!(versions.known.len(), REMEMBERED_MAX);
    }
}
