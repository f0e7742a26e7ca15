//! What a scrape tells, and what it may tell.

use holdline_testkit::{openai::SimProgress, stage::Metrics, traffic::Traffic};

/// What happened so far, as it is known outside of the edge.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counts {
    /// Calls that were placed, or are being placed.
    pub(super) placed: f64,
    /// Of these, those that have heard the model: both of their legs stand.
    pub(super) heard: f64,
    /// Asked to hang up.
    pub(super) leaving: f64,
    /// More calls than workers can have had when they were told to end.
    pub(super) moving: f64,
    pub(super) callers: Traffic,
    /// Messages to callers for which the model has said nothing.
    pub(super) unprompted: u64,
    pub(super) model: SimProgress,
}

/// Messages with their bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Flow {
    messages: f64,
    bytes: f64,
}

/// The numbers of a scrape that others know, too.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Told {
    of_callers: Flow,
    to_callers: Flow,
    of_model: Flow,
    to_model: Flow,
    upgrades: f64,
    sessions: f64,
    by_state: f64,
    begun: f64,
    ended: f64,
    hung_up: f64,
    caller_opened: f64,
    model_opened: f64,
    caller_closed: f64,
    model_closed: f64,
    attached: f64,
    moved: f64,
    moved_well: f64,
    unwritten: f64,
    malformed: f64,
}

impl Flow {
    /// Labels stand in the order of the alphabet.
    fn of(scrape: &Metrics, leg: &str, direction: &str) -> Self {
        let labels = format!(r#"direction="{direction}",leg="{leg}""#);
        Self {
            messages: scrape.sum_where("holdline_leg_frames_total", &labels),
            bytes: scrape.sum_where("holdline_leg_bytes_total", &labels),
        }
    }

    fn sent(traffic: Traffic) -> Self {
        Self {
            messages: traffic.sent as f64,
            bytes: traffic.sent_bytes as f64,
        }
    }

    fn received(traffic: Traffic) -> Self {
        Self {
            messages: traffic.received as f64,
            bytes: traffic.received_bytes as f64,
        }
    }
}

impl Told {
    pub(super) fn by(scrape: &Metrics) -> Self {
        let sum = |name| scrape.sum(name);
        let of = |name, label| scrape.sum_where(name, label);
        let (opened, closed) = ("holdline_leg_openings_total", "holdline_leg_closes_total");
        let (caller, model) = (r#"leg="caller""#, r#"leg="model""#);
        let hung_up = r#"fault="none",reason="caller_hung_up""#;
        let well = r#"cause="drain",reason="handoff",result="ok""#;
        Self {
            of_callers: Flow::of(scrape, "caller", "in"),
            to_callers: Flow::of(scrape, "caller", "out"),
            of_model: Flow::of(scrape, "model", "in"),
            to_model: Flow::of(scrape, "model", "out"),
            upgrades: sum("holdline_upgrades_accepted_total"),
            sessions: sum("holdline_sessions_active"),
            by_state: sum("holdline_sessions"),
            begun: sum("holdline_sessions_started_total"),
            ended: sum("holdline_sessions_ended_total"),
            hung_up: of("holdline_sessions_ended_total", hung_up),
            caller_opened: of(opened, caller),
            model_opened: of(opened, model),
            caller_closed: of(closed, caller),
            model_closed: of(closed, model),
            attached: sum("holdline_attachments_total"),
            moved: sum("holdline_handoffs_total"),
            moved_well: of("holdline_handoffs_total", well),
            unwritten: sum("holdline_leg_unwritten_frames_total"),
            malformed: sum("holdline_leg_malformed_frames_total"),
        }
    }

    /// What is to be told once all is over, `moved` times a call went to another worker, and everybody
    /// hung up.
    pub(super) fn at_rest(counts: &Counts, moved: f64) -> Self {
        let Counts { callers, model, .. } = *counts;
        Self {
            of_callers: Flow::sent(callers),
            to_callers: Flow::received(callers),
            of_model: Flow::sent(model.traffic),
            to_model: Flow::received(model.traffic),
            upgrades: counts.placed,
            sessions: 0.0,
            by_state: 0.0,
            begun: counts.placed,
            ended: counts.placed,
            hung_up: counts.placed,
            caller_opened: counts.placed,
            model_opened: model.connections as f64,
            caller_closed: counts.placed,
            model_closed: model.closed as f64,
            attached: counts.placed + moved,
            moved,
            moved_well: moved,
            unwritten: 0.0,
            malformed: 0.0,
        }
    }

    /// Whether all that the edge says it wrote has arrived, and every socket is known that it opened.
    pub(super) fn has_arrived(&self, counts: &Counts) -> bool {
        let (callers, model) = (counts.callers, counts.model);
        let arrived = |said: Flow, traffic: Traffic| {
            let there = Flow::received(traffic);
            said.messages <= there.messages && said.bytes <= there.bytes
        };
        arrived(self.to_callers, callers)
            && arrived(self.to_model, model.traffic)
            && self.model_opened <= model.connections as f64
    }

    pub(super) fn is_at_rest(&self) -> bool {
        let legs = self.caller_closed + self.model_closed;
        self.sessions == 0.0 && legs == self.caller_opened + self.model_opened
    }

    /// Handoffs that came to a good end.
    pub(super) fn moved_well(&self) -> f64 {
        self.moved_well
    }

    /// Holds everything against what had happened for certain `before` the scrape, and what can have
    /// happened by `after` it.
    pub(super) fn lies_between(&self, before: &Counts, after: &Counts) {
        let check = |what: &str, least: f64, told: f64, most: f64| {
            assert!(
                least <= told && told <= most,
                "{what}: {told} is not between {least} and {most}\n{before:#?}\n{after:#?}"
            );
        };
        let flow = |what: &str, least: Flow, told: Flow, most: Flow| {
            check(what, least.messages, told.messages, most.messages);
            check(what, least.bytes, told.bytes, most.bytes);
        };
        // A frame that the model has came in a message of its caller.
        let heard_by_model = at_least(before.model.frames_appended);
        // A caller gets media and a mark for what the model says in one message.
        let heard_of_model = at_least((before.callers.received - before.unprompted) / 2);
        let of_callers = Flow::sent(after.callers);
        let of_model = Flow::sent(after.model.traffic);
        flow("of callers", heard_by_model, self.of_callers, of_callers);
        flow("of the model", heard_of_model, self.of_model, of_model);
        // That it is not too much is seen when it arrives.
        let to_callers = Flow::received(before.callers);
        let to_model = Flow::received(before.model.traffic);
        flow("to callers", to_callers, self.to_callers, MORE);
        flow("to the model", to_model, self.to_model, MORE);

        let (heard, placed, leaving) = (before.heard, after.placed, after.leaving);
        let (up, attached) = (heard - leaving, placed + after.moving);
        check("upgrades", heard, self.upgrades, placed);
        check("sessions begun", heard, self.begun, placed);
        check("sessions", up, self.sessions, placed);
        check("sessions by state", up, self.by_state, placed);
        check("sessions ended", 0.0, self.ended, leaving);
        check("callers' legs", heard, self.caller_opened, placed);
        check("models' legs", heard, self.model_opened, placed);
        check("callers' closes", 0.0, self.caller_closed, leaving);
        check("models' closes", 0.0, self.model_closed, leaving);
        check("attachments", heard, self.attached, attached);
        check("handoffs", 0.0, self.moved, after.moving);
        check("malformed", 0.0, self.malformed, 0.0);
    }
}

const MORE: Flow = Flow {
    messages: f64::INFINITY,
    bytes: f64::INFINITY,
};

/// So many messages, none of which is empty.
fn at_least(messages: u64) -> Flow {
    Flow {
        messages: messages as f64,
        bytes: messages as f64,
    }
}
