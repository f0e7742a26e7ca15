//! What happens outside of the call: told by whoever knows of it, over the edge, to whichever worker
//! runs the session by then.
//!
//! Who tells it may not know whether it arrived, and tells it again. So it comes with a key, and the
//! keys of late are remembered: what is logged once is committed once, like any other input.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::{External, InputKind, Output, Report, Session, Taken, Time};

use super::ending::Life;

/// Keys remembered. A key that as many others have followed may be an input again.
const KEYS_MAX: usize = 256;

/// The keys of external inputs, the latest last.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Externals(VecDeque<String>);

impl Externals {
    fn remember(&mut self, key: String) {
        if self.0.len() == KEYS_MAX {
            self.0.pop_front();
        }
        self.0.push_back(key);
    }

    pub(super) fn check(&self) -> Result<(), &'static str> {
        if self.0.len() > KEYS_MAX {
            return Err("more keys of external inputs than are remembered");
        }
        Ok(())
    }
}

impl Session {
    pub(super) fn external(&mut self, now: Time, external: External, out: &mut Vec<Output>) {
        let key = external.key.clone();
        let taken = self.take(now, external, out);
        out.push(Output::Report(Report::External { key, taken }));
    }

    fn take(&mut self, now: Time, external: External, out: &mut Vec<Output>) -> Taken {
        let External { key, name, payload } = &external;
        let longest = self.limits.key_bytes as usize;
        if key.len().max(name.len()) > longest || payload.len() as u64 > self.limits.value_bytes {
            return Taken::TooLarge;
        }
        if self.externals.0.contains(key) {
            return Taken::Before;
        }
        if !matches!(self.life, Life::Running) {
            return Taken::Ending;
        }
        if self.is_deep() {
            return Taken::Full;
        }
        self.externals.remember(key.clone());
        self.account.externals += 1;
        self.log_input(now, InputKind::External(external), out);
        Taken::Now(self.log.last())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_keys_than_are_remembered_come_from_elsewhere() {
        let keys = |count: usize| Externals((0..count).map(|key| key.to_string()).collect());
        assert_eq!(keys(KEYS_MAX).check(), Ok(()));
        assert!(keys(KEYS_MAX + 1).check().is_err());
    }
}
