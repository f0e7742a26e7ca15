//! Which calls are asked for: the query of `GET /sessions`.

use holdline_session::SessionId;

use crate::record::Brief;

/// Calls on one page, where nothing is said.
const LIMIT: usize = 1_000;
/// At most.
const LIMIT_MAX: usize = 5_000;
/// What is asked for.
pub(super) const KEYS: &str = "known: limit (1 to 5000), after, ended, call_sid, version, worker, pool, phase, reason, fault\n";

/// A question for a page.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Query {
    pub(super) limit: usize,
    /// Where the page before ended.
    pub(super) after: Option<(u64, SessionId)>,
    /// Calls that ended, rather than those that live.
    pub(super) ended: bool,
    pub(super) filter: Filter,
}

/// Only calls like this. `None`: any.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct Filter {
    call_sid: Option<String>,
    version: Option<String>,
    worker: Option<String>,
    pool: Option<String>,
    phase: Option<String>,
    reason: Option<String>,
    fault: Option<String>,
}

impl Default for Query {
    fn default() -> Self {
        Self {
            limit: LIMIT,
            after: None,
            ended: false,
            filter: Filter::default(),
        }
    }
}

impl Query {
    /// Reads what follows the question mark. `None`: it asks for something that is not known, or in a
    /// way that cannot be read.
    pub(super) fn read(text: &str) -> Option<Self> {
        let mut query = Self::default();
        for (key, value) in form_urlencoded::parse(text.as_bytes()) {
            let filter = &mut query.filter;
            let place = match &*key {
                "limit" => {
                    query.limit = value.parse().ok()?;
                    if !(1..=LIMIT_MAX).contains(&query.limit) {
                        return None;
                    }
                    continue;
                }
                "after" => {
                    let (at, id) = value.split_once('-')?;
                    query.after = Some((at.parse().ok()?, id.parse().ok()?));
                    continue;
                }
                "ended" => {
                    query.ended = value.parse().ok()?;
                    continue;
                }
                "call_sid" => &mut filter.call_sid,
                "version" => &mut filter.version,
                "worker" => &mut filter.worker,
                "pool" => &mut filter.pool,
                "phase" => &mut filter.phase,
                "reason" => &mut filter.reason,
                "fault" => &mut filter.fault,
                _ => return None,
            };
            *place = Some(value.into_owned());
        }
        Some(query)
    }
}

impl Filter {
    /// Whether a call is like this.
    pub(super) fn fits(&self, brief: &Brief) -> bool {
        let worker = brief.worker.as_ref();
        let end = brief.end.as_ref();
        is(&self.call_sid, brief.call_sid.as_deref())
            && is(&self.version, worker.map(|worker| &*worker.version))
            && is(&self.worker, worker.map(|worker| &*worker.address))
            && is(&self.pool, brief.pool.as_deref())
            && is(&self.phase, Some(brief.phase.as_str()))
            && is(&self.reason, end.map(|end| end.reason))
            && is(&self.fault, end.map(|end| end.fault))
    }
}

fn is(wanted: &Option<String>, found: Option<&str>) -> bool {
    wanted.as_deref().is_none_or(|wanted| found == Some(wanted))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use holdline_session::Time;

    use super::*;

    #[test]
    fn what_is_asked_for_is_read_and_anything_else_is_refused() {
        assert_eq!(Query::read(""), Some(Query::default()));
        let query = Query::read("limit=2&ended=true&version=v%201&reason=gave_up").unwrap();
        assert_eq!((query.limit, query.ended), (2, true));
        assert_eq!(query.filter.version.as_deref(), Some("v 1"));
        let after = Query::read("after=17-000000000000000000000000000000ab").unwrap();
        assert_eq!(after.after, Some((17, SessionId(0xab))));
        for wrong in [
            "limit=0",
            "limit=5001",
            "limit=x",
            "after=17",
            "after=x-ab",
            "ended=maybe",
            "versoin=v1",
        ] {
            assert_eq!(Query::read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_filter_wants_all_that_it_names() {
        let mut brief = Brief::starting(SessionId(1), Time(1), "/call");
        brief.call_sid = Some("CA1".to_owned());
        let fits = |text: &str| Query::read(text).unwrap().filter.fits(&brief);
        assert!(fits("") && fits("call_sid=CA1") && fits("call_sid=CA1&phase=starting"));
        assert!(!fits("call_sid=CA2") && !fits("call_sid=CA1&version=v1") && !fits("phase=ended"));
    }
}
