//! What is remembered of calls by the carrier's id of them, beyond their sessions: which streams
//! may come for them, how often they came back, how they ended.
//!
//! The carrier asks after a call's stream is over what to do next, and at that moment the session
//! may be gone. A token is good for one stream of one call and for a short time: a signature covers
//! only a URL, so whoever recorded an upgrade could send it again, and must gain nothing by that.
//!
//! All of it is bounded: a call is forgotten some minutes after it was last asked about, the longest
//! unasked first where there are too many.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use holdline_legs::Token;
use holdline_session::{EndReason, Time};
use subtle::ConstantTimeEq;

/// Calls that are remembered at once.
const CALLS: usize = 16_384;
/// For how long after the last question about it a call is remembered.
const MEMORY: Duration = Duration::from_secs(10 * 60);
/// From the webhook's answer until the stream's `start`. Twilio connects at once.
const TOKEN_LIFE: Duration = Duration::from_secs(60);
/// Unused tokens of one call; the oldest gives way.
const TOKENS_PER_CALL: usize = 4;
/// Hexadecimal digits of a token: those by which it is found, then those that prove it.
const FINDER: usize = 16;
const PROOF: usize = 32;

/// The memory of one edge. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct CallBook {
    inner: Arc<Mutex<Inner>>,
}

/// What is known of a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Memory {
    /// Tokens that were given out for it.
    pub(crate) streams: u32,
    /// Why its session ended or is ending.
    pub(crate) end: Option<EndReason>,
}

/// Why a token is no proof.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum NoProof {
    /// It was never given out, is too old or was used before.
    Unknown,
    /// It is that of another call.
    Foreign,
}

#[derive(Default)]
struct Inner {
    calls: HashMap<Arc<str>, Page>,
    /// Calls by when they were last asked about.
    ages: BTreeMap<Age, Arc<str>>,
    tokens: HashMap<u64, Issued>,
    /// Makes ages differ.
    serial: u64,
}

type Age = (Time, u64);

struct Page {
    age: Age,
    memory: Memory,
    /// Its unused tokens.
    tokens: VecDeque<u64>,
}

struct Issued {
    call_sid: Arc<str>,
    proof: u128,
    until: Time,
}

impl CallBook {
    /// A token for one stream of this call.
    ///
    /// # Errors
    /// Where the operating system has no randomness to give.
    pub(crate) fn issue(&self, now: Time, call_sid: &str) -> Result<Token, getrandom::Error> {
        let (mut finder, mut proof) = ([0; 8], [0; 16]);
        getrandom::fill(&mut finder)?;
        getrandom::fill(&mut proof)?;
        let (finder, proof) = (u64::from_be_bytes(finder), u128::from_be_bytes(proof));
        let mut inner = self.lock();
        let call_sid: Arc<str> = call_sid.into();
        let page = inner.page(now, &call_sid);
        page.memory.streams = page.memory.streams.saturating_add(1);
        page.tokens.push_back(finder);
        let over = page.tokens.len() > TOKENS_PER_CALL;
        let oldest = if over { page.tokens.pop_front() } else { None };
        if let Some(oldest) = oldest {
            inner.tokens.remove(&oldest);
        }
        let issued = Issued {
            call_sid,
            proof,
            until: now + TOKEN_LIFE,
        };
        inner.tokens.insert(finder, issued);
        Ok(Token::new(format!("{finder:016x}{proof:032x}")))
    }

    /// Whose token this is, if it may be used.
    pub(crate) fn holder(&self, now: Time, token: &Token) -> Option<Arc<str>> {
        let inner = self.lock();
        let (_, issued) = inner.issued(now, token)?;
        Some(Arc::clone(&issued.call_sid))
    }

    /// Uses a token for this call. The token of another call stays that call's.
    pub(crate) fn spend(&self, now: Time, token: &Token, call_sid: &str) -> Result<(), NoProof> {
        let mut inner = self.lock();
        let (finder, issued) = inner.issued(now, token).ok_or(NoProof::Unknown)?;
        if *issued.call_sid != *call_sid {
            return Err(NoProof::Foreign);
        }
        inner.tokens.remove(&finder);
        if let Some(page) = inner.calls.get_mut(call_sid) {
            page.tokens.retain(|it| *it != finder);
        }
        Ok(())
    }

    /// Notes why a call ends.
    pub(crate) fn ends(&self, now: Time, call_sid: &str, reason: EndReason) {
        let call_sid: Arc<str> = call_sid.into();
        self.lock().page(now, &call_sid).memory.end = Some(reason);
    }

    /// What is known of a call.
    pub(crate) fn memory(&self, now: Time, call_sid: &str) -> Memory {
        let mut inner = self.lock();
        inner.forget(now);
        let page = inner.calls.get(call_sid);
        page.map(|page| page.memory).unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // No code that can panic runs under this lock; were it so, the maps would still be whole.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn issued(&self, now: Time, token: &Token) -> Option<(u64, &Issued)> {
        let text = token.expose();
        let hexadecimal = text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if text.len() != FINDER + PROOF || !hexadecimal {
            return None;
        }
        let (finder, proof) = text.split_at(FINDER);
        let finder = u64::from_str_radix(finder, 16).ok()?;
        let proof = u128::from_str_radix(proof, 16).ok()?;
        let issued = self.tokens.get(&finder)?;
        let proved = issued.proof.to_be_bytes().ct_eq(&proof.to_be_bytes());
        (bool::from(proved) && now < issued.until).then_some((finder, issued))
    }

    /// The page of a call that is asked about now.
    fn page(&mut self, now: Time, call_sid: &Arc<str>) -> &mut Page {
        self.forget(now);
        self.serial += 1;
        let age = (now, self.serial);
        match self.calls.get(call_sid) {
            Some(page) => drop(self.ages.remove(&page.age)),
            None if self.calls.len() >= CALLS => self.forget_oldest(),
            None => {}
        }
        self.ages.insert(age, Arc::clone(call_sid));
        let page = self.calls.entry(Arc::clone(call_sid)).or_insert(Page {
            age,
            memory: Memory::default(),
            tokens: VecDeque::new(),
        });
        page.age = age;
        page
    }

    fn forget(&mut self, now: Time) {
        while let Some((age, _)) = self.ages.first_key_value()
            && age.0 + MEMORY <= now
        {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let Some((_, call_sid)) = self.ages.pop_first() else {
            return;
        };
        let page = self.calls.remove(&call_sid);
        for token in page.into_iter().flat_map(|page| page.tokens) {
            self.tokens.remove(&token);
        }
    }
}

/// Tokens must not show themselves, so nothing does.
impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CallBook")
            .field("calls", &self.calls.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const NOW: Time = Time(1_000_000);

    #[test]
    fn a_token_is_good_for_one_stream_of_its_own_call() {
        let book = CallBook::default();
        let token = book.issue(NOW, "CA1").unwrap();
        assert_eq!(book.holder(NOW, &token).as_deref(), Some("CA1"));
        assert_eq!(book.spend(NOW, &token, "CA2"), Err(NoProof::Foreign));
        assert_eq!(book.spend(NOW, &token, "CA1"), Ok(()));
        assert_eq!(book.holder(NOW, &token), None);
        assert_eq!(book.spend(NOW, &token, "CA1"), Err(NoProof::Unknown));
    }

    #[test]
    fn what_was_not_given_out_is_no_token() {
        let book = CallBook::default();
        let token = book.issue(NOW, "CA1").unwrap();
        let text = token.expose();
        assert_eq!(text.len(), FINDER + PROOF);
        let last = if text.ends_with('0') { "1" } else { "0" };
        let near = format!("{}{last}", &text[..text.len() - 1]);
        let plus = format!("{}+{}", &text[..FINDER], &text[FINDER + 1..]);
        for other in [
            "",
            "abc",
            &near,
            &plus,
            &format!("{text}0"),
            &"é".repeat(24),
        ] {
            let spent = book.spend(NOW, &Token::new(other), "CA1");
            assert_eq!(spent, Err(NoProof::Unknown), "{other}");
        }
        assert_ne!(book.issue(NOW, "CA1").unwrap(), token);
        assert_eq!(format!("{token:?} {book:?}").matches(text).count(), 0);
    }

    #[test]
    fn tokens_age_and_only_the_newest_of_a_call_are_good() {
        let book = CallBook::default();
        let old = book.issue(NOW, "CA1").unwrap();
        let last = Time((NOW + TOKEN_LIFE).0 - 1);
        assert!(book.holder(last, &old).is_some());
        assert!(book.holder(NOW + TOKEN_LIFE, &old).is_none());
        for _ in 0..TOKENS_PER_CALL {
            book.issue(NOW, "CA1").unwrap();
        }
        assert!(book.holder(NOW, &old).is_none());
        assert_eq!(book.lock().tokens.len(), TOKENS_PER_CALL);
        assert_eq!(book.memory(NOW, "CA1").streams, 5);
    }

    #[test]
    fn an_end_is_remembered_for_a_while() {
        let book = CallBook::default();
        book.issue(NOW, "CA1").unwrap();
        book.ends(NOW, "CA1", EndReason::Worker);
        let expected = Memory {
            streams: 1,
            end: Some(EndReason::Worker),
        };
        assert_eq!(book.memory(Time((NOW + MEMORY).0 - 1), "CA1"), expected);
        assert_eq!(book.memory(NOW + MEMORY, "CA1"), Memory::default());
        let inner = book.lock();
        assert_eq!(
            (inner.calls.len(), inner.ages.len(), inner.tokens.len()),
            (0, 0, 0)
        );
    }

    #[test]
    fn of_too_many_calls_the_longest_unasked_is_forgotten() {
        let book = CallBook::default();
        let first = book.issue(NOW, "first").unwrap();
        book.ends(NOW, "second", EndReason::Worker);
        book.issue(NOW, "first").unwrap();
        for number in 2..=CALLS {
            book.ends(NOW, &format!("CA{number}"), EndReason::Worker);
        }
        assert_eq!(book.memory(NOW, "second"), Memory::default());
        assert_eq!(book.memory(NOW, "first").streams, 2);
        book.ends(NOW, "one more", EndReason::Worker);
        assert!(book.holder(NOW, &first).is_none());
        let inner = book.lock();
        assert_eq!(
            (inner.calls.len(), inner.ages.len(), inner.tokens.len()),
            (CALLS, CALLS, 0)
        );
    }
}
