//! The worker program: small, deterministic, and known to the model. It remembers nothing that is
//! not in the session's state.
//!
//! It counts its inputs and keeps a digest of all of them, echoes between caller and model, and
//! does what the first letter of a caller's control frame says:
//!
//! | letter | what |
//! |---|---|
//! | `t` `c` | set, cancel a timer |
//! | `o` | begin outside work, whose result comes in a commit that repeats the position |
//! | `l` `z` `k` | open one more leg, a fourth leg; close the model leg |
//! | `u` `d` `g` `i` | an upstream, a name, a leg, an opening that is not to be had |
//! | `p` `q` | let the state grow, shrink |
//! | `y` | send much to the caller |
//! | `j` | send much to nobody |
//! | `e` | end the session |
//! | `X` `H` `R` `W` | poison: see `workers` |

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use bytes::Bytes;
use holdline_session::{
    Attach, Attributes, Command, Commit, Incarnation, InputKind, LegName, LegRef, LegState,
    Payload, Seq,
};

use crate::digest::{EMPTY, essence, fold, fold_gap};

/// Openings of the model leg in one session at most.
const OPENINGS_MAX: u8 = 8;
/// Outside work at most.
const WORKS_MAX: usize = 4;
/// What the state grows to: past 80 % of its limit.
const PAD: usize = 545;

/// Names of all keys of a schema begin with this.
pub(crate) fn prefix(schema: u32) -> &'static str {
    if schema == 2 { "2/" } else { "" }
}

/// The program with the state of one session in its memory.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    read: u32,
    write: u32,
    count: u64,
    digest: u64,
    timers: BTreeMap<String, u64>,
    pub(crate) works: BTreeSet<u64>,
    model_open: bool,
    openings: u8,
    pad: usize,
    /// Keys that the next commit has to put or delete.
    touched: BTreeSet<String>,
    /// The first thing that cannot be, seen from a worker.
    pub(crate) complaint: Option<String>,
}

impl Program {
    /// Takes up a session. `write` is the schema that this worker would write.
    pub(crate) fn load(attach: &Attach, write: u32) -> Self {
        let front = prefix(attach.schema);
        let mut program = Self {
            read: attach.schema,
            write: write.max(attach.schema),
            count: 0,
            digest: EMPTY,
            timers: BTreeMap::new(),
            works: BTreeSet::new(),
            model_open: false,
            openings: 0,
            pad: 0,
            touched: BTreeSet::new(),
            complaint: None,
        };
        for (key, value) in &attach.state {
            let Some(key) = key.strip_prefix(front) else {
                program.complain(format!("key {key} in schema {}", attach.schema));
                continue;
            };
            match (key, key.split_once('/')) {
                ("n", _) => program.count = read_u64(value),
                ("d", _) => program.digest = read_u64(value),
                ("m", _) => {
                    program.model_open = value.first() == Some(&1);
                    program.openings = value.get(1).copied().unwrap_or(0);
                }
                ("p", _) => program.pad = value.len(),
                (_, Some(("t", name))) => {
                    program.timers.insert(name.to_owned(), read_u64(value));
                }
                (_, Some(("w", seq))) => {
                    program.works.insert(seq.parse().unwrap_or(0));
                }
                _ => program.complain(format!("unknown key {key}")),
            }
        }
        if program.count + 1 != attach.next_seq.0 {
            program.complain(format!(
                "state of {} inputs, next is {}",
                program.count, attach.next_seq
            ));
        }
        let model = attach.legs.iter().find(|leg| is_model(&leg.name));
        let model = model.map(|leg| leg.state);
        let open = program.model_open;
        let fits = match model {
            Some(LegState::Open) => open,
            // Closed before or after it opened; or opened again before its predecessor's end is told.
            Some(LegState::Closing | LegState::Connecting) => true,
            _ => !open,
        };
        if !fits {
            program.complain(format!(
                "model is {model:?}, and open: {open}, as far as I know"
            ));
        }
        for (name, _, tag) in &attach.timers {
            if program.timers.get(name) != Some(tag) {
                program.complain(format!("timer {name} with tag {tag} is none of mine"));
            }
        }
        program
    }

    /// Does one input. For a gap, `seq` is the first of its seqs not done yet, and `through` the
    /// last one to be done now.
    pub(crate) fn step(
        &mut self,
        seq: u64,
        through: u64,
        kind: &InputKind,
        commands: &mut Vec<Command>,
    ) {
        if seq != self.count + 1 {
            self.complain(format!("input {seq} after {}", self.count));
        }
        if matches!(kind, InputKind::Gap(_)) {
            for seq in seq..=through {
                self.digest = fold_gap(self.digest, seq);
            }
        } else {
            self.digest = fold(self.digest, seq, essence(kind));
        }
        self.count = through;
        match kind {
            InputKind::Frame { leg, payload } if leg.name.is_caller() => {
                self.caller(seq, leg, payload, commands);
            }
            InputKind::Frame { .. } => commands.push(send(LegName::CALLER, 'a', seq, 24)),
            InputKind::LegOpened { leg, .. } if is_model(&leg.name) => self.model(true),
            InputKind::LegOpened { leg, .. }
                if leg.name.is_caller() && seq == 1 && self.openings == 0 =>
            {
                self.open_model(commands);
            }
            InputKind::LegClosed { leg, .. } if is_model(&leg.name) => {
                self.model(false);
                if seq.is_multiple_of(3) {
                    self.set_timer("redial", 30, seq, commands);
                } else {
                    self.open_model(commands);
                }
            }
            InputKind::TimerFired { name, tag, stale } => {
                self.timer(seq, name, *tag, *stale, commands)
            }
            _ => {}
        }
    }

    /// The seq of the first input that is not done.
    pub(crate) fn next_seq(&self) -> u64 {
        self.count + 1
    }

    /// The result of outside work has come.
    pub(crate) fn finish(&mut self, seq: u64, commands: &mut Vec<Command>) -> bool {
        if !self.works.remove(&seq) {
            return false;
        }
        self.touch(format!("w/{seq}"));
        commands.push(send(LegName::CALLER, 'r', seq, 12));
        true
    }

    /// Everything done since the last commit, as a commit through `through`.
    pub(crate) fn commit(&mut self, commands: Vec<Command>) -> Commit {
        let replace_state = self.read != self.write;
        let front = prefix(self.write);
        let mut commit = Commit {
            through: Seq(self.count),
            schema: self.write,
            replace_state,
            commands,
            ..Commit::default()
        };
        let mut touched = std::mem::take(&mut self.touched);
        touched.extend(["n".to_owned(), "d".to_owned()]);
        if replace_state {
            touched.extend(["m".to_owned(), "p".to_owned()]);
            touched.extend(self.timers.keys().map(|name| format!("t/{name}")));
            touched.extend(self.works.iter().map(|seq| format!("w/{seq}")));
        }
        for key in touched {
            match self.value(&key) {
                Some(value) => commit.put.push((format!("{front}{key}"), value)),
                None if replace_state => {}
                None => commit.delete.push(format!("{front}{key}")),
            }
        }
        self.read = self.write;
        commit
    }

    fn value(&self, key: &str) -> Option<Bytes> {
        match key.split_once('/') {
            Some(("t", name)) => self.timers.get(name).map(|tag| number(*tag)),
            Some(("w", seq)) => {
                let pending = self.works.contains(&seq.parse().ok()?);
                pending.then(|| Bytes::from_static(b"?"))
            }
            _ => match key {
                "n" => Some(number(self.count)),
                "d" => Some(number(self.digest)),
                "m" => Some(Bytes::copy_from_slice(&[
                    u8::from(self.model_open),
                    self.openings,
                ])),
                _ => (self.pad > 0).then(|| Bytes::from_static(&[b'.'; PAD]).slice(..self.pad)),
            },
        }
    }

    fn caller(&mut self, seq: u64, leg: &LegRef, payload: &Payload, commands: &mut Vec<Command>) {
        let bytes = payload.bytes();
        let number = bytes.len() as u64;
        let timer = || format!("t{}", number % 2);
        match bytes.first() {
            Some(b'm') if self.model_open => {
                commands.push(send(LegName::MODEL, 'e', seq, bytes.len()))
            }
            Some(b't') => self.set_timer(&timer(), number, seq, commands),
            Some(b'c') => {
                let name = timer();
                self.timers.remove(&name);
                self.touch(format!("t/{name}"));
                commands.push(Command::CancelTimer { name });
            }
            Some(b'o') if self.works.len() < WORKS_MAX => {
                self.works.insert(seq);
                self.touch(format!("w/{seq}"));
            }
            Some(b'l') => commands.push(open("extra", "model")),
            Some(b'z') => commands.extend([open("extra", "model"), open("fourth", "model")]),
            Some(b'k') => commands.push(Command::CloseLeg {
                leg: LegName::new(LegName::MODEL),
                incarnation: None,
                code: 1000,
                reason: "enough".to_owned(),
            }),
            Some(b'u') => commands.push(open("extra", "nowhere")),
            Some(b'd') => commands.push(open(LegName::CALLER, "model")),
            Some(b'g') => commands.push(send("ghost", 'g', seq, 8)),
            Some(b'i') => {
                let old = leg.incarnation.0.saturating_sub(1);
                commands.push(Command::Send {
                    leg: LegName::new(LegName::CALLER),
                    incarnation: Some(Incarnation(old)),
                    payload: payload.clone(),
                });
            }
            Some(b'p') => self.grow(PAD),
            Some(b'q') => self.grow(0),
            Some(b'y') => {
                commands.extend((0..16).map(|_| send(LegName::CALLER, 'y', seq, 48)));
            }
            Some(b'j') => commands.extend((0..80).map(|_| send("ghost", 'j', seq, 8))),
            Some(b'e') => commands.push(Command::EndSession {
                reason: "the caller asked for it".to_owned(),
                hand_back: seq.is_multiple_of(2),
            }),
            _ => {}
        }
    }

    fn timer(&mut self, seq: u64, name: &str, tag: u64, stale: bool, commands: &mut Vec<Command>) {
        if self.timers.get(name) != Some(&tag) {
            return;
        }
        if stale {
            self.complain(format!(
                "timer {name} with tag {tag} is not stale, as far as I know"
            ));
        }
        self.timers.remove(name);
        self.touch(format!("t/{name}"));
        if name == "redial" {
            return self.open_model(commands);
        }
        commands.push(send(LegName::CALLER, 'f', tag, 12));
        if tag.is_multiple_of(4) {
            self.set_timer(name, 40, seq, commands);
        }
    }

    /// The tag is the seq of the input that set the timer, so that a replay sets the same one.
    fn set_timer(&mut self, name: &str, ms: u64, seq: u64, commands: &mut Vec<Command>) {
        self.timers.insert(name.to_owned(), seq);
        self.touch(format!("t/{name}"));
        commands.push(Command::SetTimer {
            name: name.to_owned(),
            after: Duration::from_millis(ms),
            tag: seq,
        });
    }

    fn open_model(&mut self, commands: &mut Vec<Command>) {
        if self.openings < OPENINGS_MAX {
            self.openings += 1;
            self.touch("m".to_owned());
            commands.push(open(LegName::MODEL, "model"));
        }
    }

    fn model(&mut self, is_open: bool) {
        self.model_open = is_open;
        self.touch("m".to_owned());
    }

    fn grow(&mut self, to: usize) {
        self.pad = to;
        self.touch("p".to_owned());
    }

    fn touch(&mut self, key: String) {
        self.touched.insert(key);
    }

    fn complain(&mut self, what: String) {
        self.complaint.get_or_insert(what);
    }
}

/// A text that begins with a letter and a number, and is filled up to a length.
pub(crate) fn text(letter: char, number: u64, len: usize) -> Payload {
    let mut text = format!("{letter}{number};").into_bytes();
    text.resize(text.len().max(len), b'-');
    Payload::Text(Bytes::from(text))
}

fn send(leg: &str, letter: char, number: u64, len: usize) -> Command {
    Command::Send {
        leg: LegName::new(leg),
        incarnation: None,
        payload: text(letter, number, len),
    }
}

fn open(leg: &str, upstream: &str) -> Command {
    Command::OpenLeg {
        leg: LegName::new(leg),
        upstream: upstream.to_owned(),
        attributes: Attributes::new(),
    }
}

fn is_model(name: &LegName) -> bool {
    name.as_str() == LegName::MODEL
}

fn number(value: u64) -> Bytes {
    Bytes::copy_from_slice(&value.to_le_bytes())
}

/// A number as the program writes it; 0 for anything else.
pub(crate) fn read_u64(value: &Bytes) -> u64 {
    <[u8; 8]>::try_from(&value[..]).map_or(0, u64::from_le_bytes)
}
