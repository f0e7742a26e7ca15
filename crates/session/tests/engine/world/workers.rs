//! What workers say: well-formed, broken, and too late.

use bytes::Bytes;
use holdline_session::{Attributes, Command, Commit, FromWorker, Incarnation, LegName, Seq};

use super::{LEGS, World};
use crate::engine::{
    rig::ms,
    schedule::{Act, Change},
};

impl World {
    pub(super) fn commit(&mut self, quarters: u8, change: &Change) {
        let Some(epoch) = self.heard() else { return };
        let (committed, delivered) = self.ledger.position();
        let through = committed + (delivered - committed) * u64::from(quarters.min(4)) / 4;
        let mut commit = Commit {
            through: Seq(through),
            schema: 1,
            replace_state: change.replace,
            ..Commit::default()
        };
        let key = |number: u8| format!("k{number}");
        if let Some((number, value)) = change.put {
            commit
                .put
                .push((key(number), Bytes::copy_from_slice(&[value])));
        }
        commit.delete.extend(change.delete.map(key));
        for act in &change.commands {
            let command = self.command(act);
            commit.commands.push(command);
        }
        self.said(epoch, FromWorker::Commit(commit));
    }

    pub(super) fn command(&mut self, act: &Act) -> Command {
        let name = |leg: u8| LegName::new(LEGS[usize::from(leg) % LEGS.len()]);
        let timer = |name: u8| format!("t{name}");
        match *act {
            Act::Send {
                leg,
                size,
                incarnation,
            } => Command::Send {
                leg: name(leg),
                incarnation: incarnation.map(|number| Incarnation(u32::from(number))),
                payload: self.payload(size),
            },
            Act::Open { leg, known } => Command::OpenLeg {
                leg: name(leg),
                upstream: if known { "openai" } else { "nowhere" }.to_owned(),
                attributes: Attributes::new(),
            },
            Act::Close { leg } => Command::CloseLeg {
                leg: name(leg),
                incarnation: None,
                code: 1000,
                reason: String::new(),
            },
            Act::SetTimer { name, after_ms } => {
                self.counter += 1;
                Command::SetTimer {
                    name: timer(name),
                    after: ms(u64::from(after_ms)),
                    tag: u64::from(self.counter),
                }
            }
            Act::CancelTimer { name } => Command::CancelTimer { name: timer(name) },
            Act::End => Command::EndSession {
                reason: String::new(),
                hand_back: false,
            },
            Act::HandBack => Command::EndSession {
                reason: String::new(),
                hand_back: true,
            },
        }
    }

    /// A commit that breaks a rule, or a word out of place.
    pub(super) fn misbehave(&mut self, how: u8) {
        let Some(epoch) = self.heard() else { return };
        let (committed, delivered) = self.ledger.position();
        let payload = self.payload(4);
        let send = Command::Send {
            leg: LegName::new("caller"),
            incarnation: None,
            payload,
        };
        let mut commit = Commit {
            through: Seq(delivered),
            schema: 1,
            commands: vec![send],
            ..Commit::default()
        };
        self.ledger.expect_refusal();
        match how % 4 {
            0 => commit.through = Seq(delivered + 1),
            1 if committed > 0 => commit.through = Seq(committed - 1),
            2 => commit.put.push((String::new(), Bytes::new())),
            _ => return self.said(epoch, FromWorker::Accept),
        }
        self.said(epoch, FromWorker::Commit(commit));
    }

    /// A worker of the past says what it would have said.
    pub(super) fn late(&mut self, which: u8, what: u8) {
        let current = self.ledger.current();
        let past: Vec<_> = self
            .epochs
            .iter()
            .copied()
            .filter(|epoch| Some(*epoch) != current && !self.offers.contains_key(epoch))
            .collect();
        let Some(&epoch) = past.get(usize::from(which) % past.len().max(1)) else {
            return;
        };
        let (_, delivered) = self.ledger.position();
        let payload = self.payload(4);
        let commands = vec![Command::Send {
            leg: LegName::new("caller"),
            incarnation: None,
            payload,
        }];
        match what % 4 {
            0 | 1 => self.said(
                epoch,
                FromWorker::Commit(Commit {
                    through: Seq(delivered),
                    schema: 1,
                    commands,
                    ..Commit::default()
                }),
            ),
            2 => self.said(epoch, FromWorker::Released),
            _ => self.lose(epoch),
        }
    }
}
