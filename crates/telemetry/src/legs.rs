//! Metrics of legs: upgrades, frames, closes, dials.

use prometheus::{Histogram, IntCounter, IntGauge};

use crate::{
    Direction, LegKind, Opening,
    register::{Counters, Register},
    words::{CODE, DIAL, DIRECTION, FAULT, HOW, LEG, LOADED, SIGNATURE, UPGRADE, WEBHOOK},
};

/// Seconds: a TCP and TLS handshake within a region up to the usual limit of 5 s.
const DIAL_BUCKETS: &[f64] = &[0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// How a vendor refuses a key or a request after the WebSocket is open, which an alert asks for.
const REFUSED_BY_MODEL: [[&str; 3]; 3] = [
    ["model", "1008", "config"],
    ["model", "3xxx", "config"],
    ["model", "4xxx", "config"],
];

/// Metrics of legs.
#[derive(Clone, Debug)]
pub struct LegMetrics {
    frames: [[IntCounter; 2]; 3],
    bytes: [[IntCounter; 2]; 3],
    /// TCP connections of listeners, upgraded or not.
    pub connections: IntGauge,
    /// Handshakes in flight (TLS and HTTP, until the upgrade).
    pub handshakes: IntGauge,
    /// Upgrades answered with 101.
    pub upgrades_accepted: IntCounter,
    refused: Counters,
    webhooks: Counters,
    signature_failures: Counters,
    opened: Counters,
    closed: Counters,
    unwritten: [IntCounter; 3],
    malformed: [IntCounter; 3],
    /// From the name's resolution to the upgraded WebSocket, for dials that succeed.
    pub dial_seconds: Histogram,
    dial_failures: Counters,
    tls_reloads: Counters,
}

impl LegMetrics {
    pub(crate) fn new(register: &Register<'_>) -> Self {
        register.about("Legs");
        let frames = register.counters(
            "holdline_leg_frames_total",
            "WebSocket messages read from (in) and written to (out) legs, hold sound among them; pings and closes are none.",
            &[LEG, DIRECTION],
        );
        let bytes = register.counters(
            "holdline_leg_bytes_total",
            "Payload bytes of WebSocket messages read from (in) and written to (out) legs.",
            &[LEG, DIRECTION],
        );
        let unwritten = register.counters(
            "holdline_leg_unwritten_frames_total",
            "Frames that were handed to a leg and not written when it closed.",
            &[LEG],
        );
        let malformed = register.counters(
            "holdline_leg_malformed_frames_total",
            "Frames that the leg's profile cannot make sense of.",
            &[LEG],
        );
        Self {
            frames: by_leg_and_direction(&frames),
            bytes: by_leg_and_direction(&bytes),
            connections: register.gauge(
                "holdline_listener_connections",
                "TCP connections of listeners, upgraded or not.",
            ),
            handshakes: register.gauge(
                "holdline_listener_handshakes",
                "Handshakes in flight, TLS and HTTP, until the upgrade.",
            ),
            upgrades_accepted: register.counter(
                "holdline_upgrades_accepted_total",
                "Callers' WebSocket upgrades that were accepted.",
            ),
            refused: register.counters(
                "holdline_upgrades_refused_total",
                "Callers' connections that ended without an upgrade, by reason.",
                &[UPGRADE],
            ),
            webhooks: register.counters(
                "holdline_webhooks_total",
                "Carriers' webhooks, by what was answered.",
                &[WEBHOOK],
            ),
            signature_failures: register.counters(
                "holdline_signature_failures_total",
                "Upgrades and webhooks refused for their signature, by what was wrong with it.",
                &[SIGNATURE],
            ),
            opened: openings(register),
            closed: closes(register),
            unwritten: by_leg(&unwritten),
            malformed: by_leg(&malformed),
            dial_seconds: register.histogram(
                "holdline_dial_duration_seconds",
                "Time to dial an outbound leg, until its WebSocket is open.",
                DIAL_BUCKETS,
            ),
            dial_failures: register.counters(
                "holdline_dial_failures_total",
                "Outbound legs that could not be dialled, by what failed.",
                &[DIAL],
            ),
            tls_reloads: register.counters(
                "holdline_tls_reloads_total",
                "Attempts to load a listener's changed certificate.",
                &[LOADED],
            ),
        }
    }

    /// Messages of a leg in one direction; costs no look-up.
    #[must_use]
    pub fn frames(&self, leg: LegKind, direction: Direction) -> &IntCounter {
        &self.frames[leg as usize][direction as usize]
    }

    /// Payload bytes of a leg in one direction; costs no look-up.
    #[must_use]
    pub fn bytes(&self, leg: LegKind, direction: Direction) -> &IntCounter {
        &self.bytes[leg as usize][direction as usize]
    }

    /// Frames that were handed to a leg and not written when it closed.
    #[must_use]
    pub fn unwritten(&self, leg: LegKind) -> &IntCounter {
        &self.unwritten[leg as usize]
    }

    /// Frames that the leg's profile cannot make sense of.
    #[must_use]
    pub fn malformed(&self, leg: LegKind) -> &IntCounter {
        &self.malformed[leg as usize]
    }

    /// A connection ended without an upgrade.
    pub fn upgrade_refused(&self, reason: &'static str) {
        self.refused.of(&[reason]).inc();
    }

    /// A carrier's webhook was answered: how the call goes on, or `refused`.
    pub fn webhook_answered(&self, answer: &'static str) {
        self.webhooks.of(&[answer]).inc();
    }

    /// An upgrade or a webhook was refused for its signature.
    pub fn signature_failed(&self, why: &'static str) {
        self.signature_failures.of(&[why]).inc();
    }

    /// A leg is open.
    pub fn opened(&self, leg: LegKind, how: Opening) {
        self.opened.of(&[leg.as_str(), how.as_str()]).inc();
    }

    /// A leg closed with this code (1006: without one); `fault` as in the engine's `Close`.
    pub fn closed(&self, leg: LegKind, code: u16, fault: &'static str) {
        let labels = [leg.as_str(), close_code_label(code), fault];
        self.closed.of(&labels).inc();
    }

    /// A leg could not be dialled.
    pub fn dial_failed(&self, why: &'static str) {
        self.dial_failures.of(&[why]).inc();
    }

    /// A changed certificate was loaded, or not.
    pub fn tls_reloaded(&self, ok: bool) {
        let result = if ok { "ok" } else { "failed" };
        self.tls_reloads.of(&[result]).inc();
    }
}

fn openings(register: &Register<'_>) -> Counters {
    let opened = register.counters(
        "holdline_leg_openings_total",
        "Legs opened: the first of a kind, one more after it, or one beside another (a rollover, where it is the model's).",
        &[LEG, HOW],
    );
    for leg in LegKind::WORDS {
        opened.begin(Opening::WORDS.iter().map(|how| [*leg, *how]));
    }
    opened
}

fn closes(register: &Register<'_>) -> Counters {
    let closed = register.counters(
        "holdline_leg_closes_total",
        "Legs closed, by close code and by whose fault it was.",
        &[LEG, CODE, FAULT],
    );
    closed.begin(REFUSED_BY_MODEL);
    closed
}

fn by_leg_and_direction(counters: &Counters) -> [[IntCounter; 2]; 3] {
    [LegKind::Caller, LegKind::Model, LegKind::Other].map(|leg| {
        [Direction::In, Direction::Out]
            .map(|direction| counters.of(&[leg.as_str(), direction.as_str()]))
    })
}

fn by_leg(counters: &Counters) -> [IntCounter; 3] {
    [LegKind::Caller, LegKind::Model, LegKind::Other].map(|leg| counters.of(&[leg.as_str()]))
}

/// The codes of RFC 6455 by number, others by class: a peer chooses its code, and must not thereby
/// choose a label value.
fn close_code_label(code: u16) -> &'static str {
    match code {
        1000 => "1000",
        1001 => "1001",
        1002 => "1002",
        1003 => "1003",
        1005 => "1005",
        1006 => "1006",
        1007 => "1007",
        1008 => "1008",
        1009 => "1009",
        1010 => "1010",
        1011 => "1011",
        1012 => "1012",
        1013 => "1013",
        1014 => "1014",
        1015 => "1015",
        3000..=3999 => "3xxx",
        4000..=4999 => "4xxx",
        _ => "other",
    }
}
