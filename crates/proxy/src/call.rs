//! One call: its sockets, its streams and its engine, in one task.
//!
//! The task waits for one thing, whatever comes next; hands it to the engine; and does what the
//! engine says, in order, without waiting. Every decision about the call is the engine's.
//!
//! | file | part |
//! |---|---|
//! | `call/answer.rs` | from an accepted socket to a session |
//! | `call/arrival.rs` | whether it begins one, and how one joins it later |
//! | `call/legs.rs` | sockets |
//! | `call/streams.rs` | attachments to workers |
//! | `call/turn.rs` | which of these to ask |
//! | `call/alarm.rs` | the one timer |
//! | `call/depth.rs` | its share of the gauges |
//! | `call/story.rs` | what is logged and counted |
//! | `call/moments.rs` | what stands in its record |

use std::{
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use holdline_legs::Permit;
use holdline_session::{
    Attributes, EndReason, Event, External, MoveReason, Output, Report, Session, Taken, Time,
};
use holdline_workers::SeekRequest;
use tokio::sync::{mpsc, oneshot};

use crate::{edge::Edge, order::Order, status::Inside, table::Place};

mod alarm;
mod answer;
mod arrival;
mod depth;
mod legs;
mod moments;
mod story;
mod streams;
mod turn;

pub(crate) use answer::answer;
pub(crate) use arrival::Joining;
pub(crate) use story::Story;

use alarm::Alarm;
use depth::Depth;
use legs::Legs;
use streams::Streams;
use turn::Bell;

/// Events that are handled before other calls get their turn on this thread.
const BATCH: usize = 64;

/// What a leg may take to close beyond `close_timeout`, which it keeps itself.
const LINGER_MARGIN: Duration = Duration::from_secs(1);

/// A call that has a session.
struct Call {
    edge: Arc<Edge>,
    session: Session,
    depth: Depth,
    /// Told to workers with every offer.
    attributes: Arc<Attributes>,
    bell: Bell,
    legs: Legs,
    streams: Streams,
    orders: mpsc::Receiver<Order>,
    alarm: Alarm,
    /// Whether the carrier asks this edge what to do next.
    webhook: bool,
    story: Story,
    /// Kept to spare an allocation for each event.
    out: Vec<Output>,
    finished: bool,
    /// Its place in the table and its share of what is admitted, which end after all else.
    place: Place,
    _permit: Permit,
}

impl Drop for Call {
    fn drop(&mut self) {
        self.story.broken_off(self.session.account());
    }
}

impl Call {
    /// Runs the session to its end, and its legs until they are closed. Dropping it hangs up on
    /// everyone.
    async fn run(mut self: Box<Self>) {
        poll_fn(|cx| self.poll(cx)).await;
        self.story
            .ended(self.edge.clock.now(), self.session.account());
        self.turn_away();
        let bound = self.edge.limits.close_timeout.saturating_add(LINGER_MARGIN);
        // Past the bound the sockets are dropped, which closes them too.
        let _ = tokio::time::timeout(bound, poll_fn(|cx| self.poll_closing(cx))).await;
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.bell.listen(cx);
        let mut handled = 0;
        while handled < BATCH {
            let mut events = self.round();
            if events == 0 {
                events = self.round_of_orders(cx) + self.round_of_time(cx);
            }
            if self.finished {
                return Poll::Ready(());
            }
            if events == 0 {
                // All is quiet: what is in the log now waits for somebody.
                self.depth.follow(&self.session);
                return Poll::Pending;
            }
            handled += events;
        }
        // Never quiet: orders have their turn nonetheless, and the engine looks at the clock anyway.
        self.round_of_orders(cx);
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Asks every source whose turn it is once, the caller first, and handles what each has. Zero means
    /// that all of them will wake this task.
    fn round(&mut self) -> usize {
        let handled = self.round_of_legs() + self.round_of_streams();
        self.legs.sweep();
        self.streams.sweep();
        handled
    }

    fn round_of_legs(&mut self) -> usize {
        let mut handled = 0;
        for index in 0..self.legs.len() {
            let read = match self.legs.name(index) {
                Some(name) => self.session.reads(name),
                None => break,
            };
            if let Poll::Ready(event) = self.legs.poll(index, read) {
                self.take(event);
                handled += 1;
            }
        }
        handled
    }

    fn round_of_streams(&mut self) -> usize {
        let mut handled = 0;
        for index in 0..self.streams.len() {
            let read = match self.streams.epoch(index) {
                Some(epoch) => self.session.hears(epoch),
                None => break,
            };
            if let Poll::Ready(event) = self.streams.poll(index, read) {
                self.take(event);
                handled += 1;
            }
        }
        handled
    }

    fn round_of_orders(&mut self, cx: &mut Context<'_>) -> usize {
        let Poll::Ready(Some(order)) = self.orders.poll_recv(cx) else {
            return 0;
        };
        match order {
            Order::Show(to) => {
                let view = self.session.view(self.edge.clock.now());
                // Whoever asked may have stopped waiting.
                let _ = to.send(Box::new(Inside::new(view, self.edge.content)));
            }
            Order::Tell(external, to) => self.tell(*external, to),
            Order::Move(to) => {
                let now = self.edge.clock.now();
                self.story.ordered(now, "move");
                let attachment = self.session.view(now).attachment;
                let reason = MoveReason::Operator;
                if let Some(epoch) = attachment.as_ref().map(|at| at.epoch) {
                    self.take(Event::Move { epoch, reason });
                }
                let _ = to.send(attachment.is_some());
            }
            Order::Join(joining) => self.join(*joining),
            Order::DeadlineNear(remaining) => self.take(Event::DeadlineNear { remaining }),
            Order::End { reason, detail } => {
                if reason == EndReason::Operator {
                    self.story.ordered(self.edge.clock.now(), "end");
                }
                self.take(Event::End {
                    reason,
                    detail: detail.to_owned(),
                });
            }
        }
        1
    }

    fn round_of_time(&mut self, cx: &mut Context<'_>) -> usize {
        if self.alarm.poll(cx, self.session.next_wake()).is_pending() {
            return 0;
        }
        self.take(Event::Tick);
        1
    }

    /// Somebody outside of the call has news for it, and waits for what came of that.
    fn tell(&mut self, external: External, to: oneshot::Sender<Taken>) {
        let now = self.edge.clock.now();
        let (name, key) = (external.name.clone(), external.key.clone());
        self.session
            .handle(now, Event::External(external), &mut self.out);
        let taken = self.out.iter().find_map(|output| match output {
            Output::Report(Report::External { taken, .. }) => Some(*taken),
            _ => None,
        });
        // A session that is over says nothing any more.
        let taken = taken.unwrap_or(Taken::Ending);
        self.story.told(now, name, key, taken);
        self.perform(now);
        // Whoever asked may have stopped waiting.
        let _ = to.send(taken);
    }

    /// Tells the engine what happened, and does what it says.
    fn take(&mut self, event: Event) {
        let now = self.edge.clock.now();
        self.story.saw(now, &event);
        self.session.handle(now, event, &mut self.out);
        self.perform(now);
    }

    fn perform(&mut self, now: Time) {
        let mut out = std::mem::take(&mut self.out);
        for output in out.drain(..) {
            match output {
                Output::Send { leg, payload } => self.legs.send(&leg, payload),
                Output::HoldSound { leg, piece } => {
                    if let Some(audio) = &self.edge.hold_sound {
                        self.legs.sound(&leg, audio.frame(piece));
                        self.story.sounded();
                    }
                }
                Output::OpenLeg {
                    leg,
                    upstream,
                    attributes,
                } => self.legs.dial(leg, &upstream, &attributes),
                Output::CloseLeg {
                    leg,
                    code,
                    reason,
                    within,
                } => self.legs.close(&leg, code, &reason, within),
                Output::Seek(seek) => self.streams.seek(SeekRequest {
                    session: self.story.id(),
                    traceparent: self.story.record().traceparent(seek.epoch),
                    seek,
                    attributes: Arc::clone(&self.attributes),
                    limits: self.edge.limits.clone(),
                }),
                Output::ToWorker { epoch, message } => self.streams.send(epoch, message),
                Output::Hangup { epoch, cause } => {
                    self.story.hung_up(epoch, &cause);
                    self.streams.hang_up(epoch, &cause);
                }
                Output::Report(report) => {
                    match &report {
                        Report::Ending { reason, .. } => self.note_end(now, *reason),
                        Report::Cleared { epoch, left } => self.streams.cleared(*epoch, *left),
                        _ => {}
                    }
                    self.story.tell(now, report, &self.streams);
                }
                Output::Finished => self.finished = true,
            }
        }
        self.out = out;
    }

    /// From now on no stream joins this call, and the carrier is told what became of it. The caller
    /// is not yet told by then: the carrier asks only after that.
    fn note_end(&self, now: Time, reason: EndReason) {
        self.edge.table.ends(self.story.id());
        if let Some(call_sid) = self.story.caller().call_sid().filter(|_| self.webhook) {
            self.edge.book.ends(now, call_sid, reason);
        }
    }

    /// Waits for legs that are writing their last. The engine needs to hear nothing more.
    fn poll_closing(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.bell.listen(cx);
        for _ in 0..BATCH {
            let mut handled = 0;
            for index in 0..self.legs.len() {
                handled += usize::from(self.legs.poll(index, true).is_ready());
            }
            self.legs.sweep();
            if self.legs.len() == 0 {
                return Poll::Ready(());
            }
            if handled == 0 {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
