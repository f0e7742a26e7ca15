//! What the caller was sent and has not yet heard.
//!
//! The model talks far faster than anyone can listen, so most of an answer waits at the carrier.
//! When the caller interrupts, the model must be told how much of it was heard. Three witnesses
//! bound that: the marks which the carrier echoes, the time since, and what was sent at all.
//!
//! `clear` makes the carrier echo every pending mark at once, played or not. Hence the generation
//! in each mark's name: it goes up before `clear` is sent, and echoes of older ones count nothing.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::{
    ids::{ItemId, ResponseId},
    time::Time,
    wire::BYTES_PER_MS,
};

/// Most items kept; a carrier that echoes no mark would let them pile up.
const MAX_ITEMS: usize = 32;

/// What the caller was sent and has not yet heard.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Playback {
    /// Echoes of marks of another generation are not honest.
    generation: u64,
    /// In the order in which they play.
    items: VecDeque<Item>,
}

/// One item of the conversation, as far as the caller was sent it.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default)]
struct Item {
    id: ItemId,
    response: ResponseId,
    content_index: u32,
    /// The model session that made it: only that one knows the item.
    session: u32,
    sent_bytes: u64,
    /// Whether all of it was sent.
    complete: bool,
    /// When its first sample plays, at the earliest.
    starts_at: Time,
    /// The last honest mark, and when it was echoed.
    marked_ms: u64,
    marked_at: Option<Time>,
}

/// An item that the caller did not hear to its end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Cut {
    pub(crate) item: ItemId,
    pub(crate) content_index: u32,
    pub(crate) session: u32,
    pub(crate) heard_ms: u64,
    pub(crate) sent_ms: u64,
}

impl Playback {
    /// So many bytes of an item are sent now. Answers the name of the mark that follows them:
    /// `g<generation>:<item>:<ms of this item so far>`.
    pub(crate) fn sent(
        &mut self,
        now: Time,
        (id, content_index): (&str, u32),
        response: &ResponseId,
        session: u32,
        bytes: u64,
    ) -> String {
        let at = self.items.iter().rposition(|item| item.id.as_str() == id);
        let at = at.unwrap_or_else(|| {
            let starts_at = self
                .items
                .back()
                .map_or(now, |last| last.ends_at().max(now));
            if self.items.len() >= MAX_ITEMS {
                self.items.pop_front();
            }
            self.items.push_back(Item {
                id: ItemId::new(id),
                response: response.clone(),
                content_index,
                session,
                starts_at,
                ..Item::default()
            });
            self.items.len() - 1
        });
        let item = &mut self.items[at];
        item.sent_bytes = item.sent_bytes.saturating_add(bytes);
        format!("g{}:{id}:{}", self.generation, item.sent_ms())
    }

    /// A mark was echoed. Answers whether it says that something was played.
    pub(crate) fn echoed(&mut self, now: Time, mark: &str) -> bool {
        let Some((id, ms)) = self.read_mark(mark) else {
            return false;
        };
        let Some(at) = self.items.iter().position(|item| item.id.as_str() == id) else {
            return false;
        };
        // They play in order: everything before this item was heard whole.
        self.items.drain(..at);
        if let Some(item) = self.items.front_mut() {
            item.marked_ms = item.marked_ms.max(ms.min(item.sent_ms()));
            item.marked_at = Some(now);
        }
        self.drop_played(now);
        true
    }

    /// All of an item was sent.
    pub(crate) fn complete(&mut self, now: Time, id: &ItemId) {
        for item in &mut self.items {
            item.complete |= item.id == *id;
        }
        self.drop_played(now);
    }

    /// All of a response was sent; or, with `None`, of every response.
    pub(crate) fn complete_response(&mut self, now: Time, response: Option<&ResponseId>) {
        for item in &mut self.items {
            item.complete |= response.is_none_or(|response| item.response == *response);
        }
        self.drop_played(now);
    }

    /// Items that were not sent whole, and how many ms of each were, in playing order.
    pub(crate) fn unfinished(&self) -> Vec<(ItemId, u64)> {
        let items = self.items.iter().filter(|item| !item.complete);
        items
            .map(|item| (item.id.clone(), item.sent_ms()))
            .collect()
    }

    /// Whether there is anything left to play or to come.
    pub(crate) fn is_playing(&self, now: Time) -> bool {
        self.items.iter().any(|item| !item.is_heard(now))
    }

    /// Forgets all that is queued and every pending mark: from now on a new generation counts.
    /// Answers what was not heard to its end, in playing order.
    pub(crate) fn interrupt(&mut self, now: Time) -> Vec<Cut> {
        self.generation += 1;
        let unheard = |item: &Item| !item.is_heard(now);
        self.items
            .drain(..)
            .filter(unheard)
            .map(|item| {
                let heard_ms = item.heard_ms(now);
                item.into_cut(heard_ms)
            })
            .collect()
    }

    /// As [`Self::interrupt`], where the carrier's stream is gone: the last marks alone count.
    pub(crate) fn lost(&mut self) -> Vec<Cut> {
        self.generation += 1;
        self.items
            .drain(..)
            .filter(|item| !item.complete || item.marked_ms < item.sent_ms())
            .map(|item| {
                let heard_ms = item.marked_ms;
                item.into_cut(heard_ms)
            })
            .collect()
    }

    /// `g<generation>:<item>:<ms>` of the present generation.
    fn read_mark<'a>(&self, mark: &'a str) -> Option<(&'a str, u64)> {
        let (generation, rest) = mark.strip_prefix('g')?.split_once(':')?;
        let (item, ms) = rest.rsplit_once(':')?;
        let current = generation.parse() == Ok(self.generation);
        current.then_some((item, ms.parse().ok()?))
    }

    fn drop_played(&mut self, now: Time) {
        while let Some(first) = self.items.front() {
            let marked = first.marked_at.is_some() && first.marked_ms >= first.sent_ms();
            if !(first.complete && marked) {
                break;
            }
            let ended_at = first.marked_at.unwrap_or(now);
            self.items.pop_front();
            if let Some(next) = self.items.front_mut() {
                // Known better now than when it was queued.
                next.starts_at = ended_at;
            }
        }
    }
}

impl Item {
    fn into_cut(self, heard_ms: u64) -> Cut {
        Cut {
            heard_ms,
            sent_ms: self.sent_ms(),
            item: self.id,
            content_index: self.content_index,
            session: self.session,
        }
    }

    fn sent_ms(&self) -> u64 {
        self.sent_bytes / BYTES_PER_MS
    }

    fn ends_at(&self) -> Time {
        match self.marked_at {
            Some(at) => at.plus_ms(self.sent_ms() - self.marked_ms.min(self.sent_ms())),
            None => self.starts_at.plus_ms(self.sent_ms()),
        }
    }

    /// min(last honest mark + time since, the clock, what was sent), in whole ms rounded down.
    fn heard_ms(&self, now: Time) -> u64 {
        let clock = now.ms_since(self.starts_at);
        let heard = match self.marked_at {
            Some(at) => (self.marked_ms + now.ms_since(at))
                .min(clock)
                .max(self.marked_ms),
            None => clock,
        };
        heard.min(self.sent_ms())
    }

    fn is_heard(&self, now: Time) -> bool {
        self.complete && self.heard_ms(now) >= self.sent_ms()
    }
}

#[cfg(test)]
mod tests;
