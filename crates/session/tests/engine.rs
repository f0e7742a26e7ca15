//! The session engine from outside: events in, outputs out.
//!
//! The scenarios each tell one story. `random` checks whatever schedule the dice give against
//! `ledger`, a plain model that shares nothing with the engine but its vocabulary.

#![allow(clippy::unwrap_used)]

mod engine {
    mod accounts;
    mod bounds;
    mod callers;
    mod commits;
    mod endings;
    mod external;
    mod handoffs;
    mod holds;
    mod known_legs;
    mod ledger;
    mod leg_io;
    mod logs;
    mod losses;
    mod messages;
    mod openings;
    mod poison;
    mod random;
    mod refusals;
    mod rig;
    mod schedule;
    mod snapshots;
    mod timers;
    mod wakes;
    mod words;
    mod world;
}
