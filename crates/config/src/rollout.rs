//! `workers.<pool>.rollout`: which version gets which calls.
//!
//! What stands here is meant to change while calls are up, by somebody who is in a hurry: so it is
//! small, and each rule is a fact about versions that can be read without the others.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    ConfigErrors, Existing, config, defaults,
    reader::{At, Outside},
    section::section,
    text,
};

/// Versions that rules can name at most, of each kind.
const VERSIONS_MAX: usize = 64;

section! {
    /// Which version gets which calls. All of it can change under live calls.
    pub struct Rollout: Default {
        /// Shares of calls by version. A version without one gets calls only where no other can.
        pub weights: BTreeMap<String, u32> [(&text::LINE, 0)] = BTreeMap::new(),
        /// Calls that belong to a version whatever the weights; the first that fits counts.
        pub pins: Vec<Pin> [0..=256] = Vec::new(),
        /// Versions that get no calls, and whose calls leave at once.
        pub disabled: Vec<String> [0..=VERSIONS_MAX] = Vec::new(),
        /// When a version is set aside.
        pub set_aside: SetAside = SetAside::default(),
        /// Whether calls with state may go to a version that writes a schema which no other reads.
        pub allow_one_way: bool = false,
    }
    checked by check_rollout
}

section! {
    /// What of a pool says where calls go; an operator may say it at run time, too.
    pub struct Steer: Default {
        /// When calls that are there go to a better version.
        pub existing: Existing = defaults::EXISTING,
        /// Which version gets which calls.
        pub rollout: Rollout = Rollout::default(),
    }
}

impl Steer {
    /// Reads and checks rules that came by another way than the file, as YAML or JSON.
    ///
    /// # Errors
    /// All that is wrong with them, at once.
    pub fn parse(text: &str) -> Result<Self, ConfigErrors> {
        // They name nothing outside.
        config::read(text, "rollout", Outside::Left)
    }
}

section! {
    /// Calls with this attribute belong to this version.
    pub struct Pin {
        /// Attribute of the call, such as `parameter.tenant` for the custom parameter `tenant`.
        pub attribute: String,
        /// The value that it must have.
        pub equals: String,
        /// The version.
        pub version: String,
    }
}

section! {
    /// When a version is set aside.
    #[derive(Copy)]
    pub struct SetAside: Default {
        /// So many distinct sessions that a version failed...
        pub sessions: u32 = defaults::SET_ASIDE_SESSIONS,
        /// ...within so long set it aside, if another version has a worker that takes calls...
        pub within: Duration = defaults::SET_ASIDE_WITHIN,
        /// ...until, after so long, one new session that stays well on it takes it back.
        pub probe_after: Duration = defaults::PROBE_AFTER,
    }
}

/// Rules that contradict each other would leave open which one was meant.
fn check_rollout(at: &At<'_>) {
    let disabled = at
        .get("disabled")
        .map_or_else(Vec::new, |list| list.items());
    let disabled: Vec<&str> = disabled.iter().filter_map(At::text).collect();
    let is_disabled = |version: &str| disabled.contains(&version);
    let weights = at.get("weights").map_or_else(Vec::new, |map| map.entries());
    if weights.len() > VERSIONS_MAX {
        let place = at.place("weights");
        place.wrong(format!("names more than {VERSIONS_MAX} versions"));
    }
    for (version, entry) in &weights {
        if is_disabled(version) {
            entry.wrong("this version is in `disabled`, too: take it out of one of them");
        }
    }
    for pin in at.get("pins").map_or_else(Vec::new, |list| list.items()) {
        if pin.text_of("version").is_some_and(is_disabled) {
            let place = pin.place("version");
            place.wrong("this version is in `disabled`, too: take it out of one of them");
        }
    }
}
