//! Which trials are done, in which order, with whom.
//!
//! The innermost loop is over the subjects: whoever disturbs the machine disturbs neighbours in
//! time, and a ratio of neighbours stays true.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use rcgen::generate_simple_self_signed;
use tempfile::TempDir;

use crate::{
    facts::{Fact, Facts},
    load::Traffic,
    proc::Cores,
    subject::{Ground, ModelTls, Subject},
    trial::{
        Finding, Steady,
        handoff::{self, Way},
        instructions,
        memory::{Doing, weigh},
        stalled, voice, watched,
    },
};

/// The least time for which conversations are measured: they have quiet spells.
const VOICE_WINDOW: Duration = Duration::from_secs(15);

/// What is done.
#[derive(Clone, Debug)]
pub(crate) struct Suite {
    pub(crate) rounds: u32,
    pub(crate) window: Duration,
    pub(crate) cores: Cores,
    pub(crate) subjects: Vec<Subject>,
    pub(crate) cases: Vec<Case>,
}

/// A scenario with so many calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Case {
    pub(crate) scenario: Scenario,
    pub(crate) calls: u32,
}

/// What is done to a subject.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub(crate) enum Scenario {
    /// Every caller sends 50 frames a second.
    Callers,
    /// Every caller, and the model to every caller.
    BothWays,
    /// Every caller; and the model every second a burst of messages of 1 to 8 KB.
    Bursts,
    /// As `callers`, with TLS to the model.
    Tls,
    /// Every caller as fast as frames arrive.
    Saturation,
    /// What a call weighs that says nothing, with TLS to the model.
    IdleMemory,
    /// What a call weighs while both sides speak, with TLS to the model.
    BusyMemory,
    /// SIGTERM for a worker that has all calls.
    Drain,
    /// `kill -9` of a worker that has all calls.
    Kill,
    /// A worker that stops reading 20 of its calls.
    Stalled,
    /// Conversations over the edge and the ready-made voice worker, both on one core.
    Voice,
    /// Many calls, and somebody who looks at them: lists, metrics, an open dashboard.
    Watched,
    /// What a frame costs on its whole way through the edge, in instructions (valgrind).
    Instructions,
    /// The same with the dashboard open and without.
    WatchedInstructions,
}

impl Scenario {
    /// As in facts and on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Callers => "callers",
            Self::BothWays => "both-ways",
            Self::Bursts => "bursts",
            Self::Tls => "tls",
            Self::Saturation => "saturation",
            Self::IdleMemory => "idle-memory",
            Self::BusyMemory => "busy-memory",
            Self::Drain => "drain",
            Self::Kill => "kill",
            Self::Stalled => "stalled",
            Self::Voice => "voice",
            Self::Watched => "watched",
            Self::Instructions => "instructions",
            Self::WatchedInstructions => "watched-instructions",
        }
    }

    /// With how many calls it is done where nothing else is said.
    pub(crate) fn usual(self) -> &'static [u32] {
        match self {
            Self::Callers => &[10, 100, 400, 500, 1_000, 2_000],
            Self::BothWays => &[100, 600],
            Self::Bursts => &[100, 500],
            Self::Tls => &[100, 1_000],
            Self::Saturation | Self::Voice => &[100],
            Self::IdleMemory | Self::BusyMemory | Self::Drain | Self::Kill | Self::Stalled => {
                &[500]
            }
            Self::Watched => &[2_000],
            Self::Instructions | Self::WatchedInstructions => &[2],
        }
    }

    /// Whether it makes sense with this subject and so many calls.
    fn fits(self, subject: &Subject, calls: u32) -> bool {
        let able = calls <= subject.most_calls();
        match self {
            Self::Callers | Self::BothWays | Self::Bursts | Self::Saturation => able,
            Self::Tls => able && subject.can_dial_tls(),
            Self::IdleMemory | Self::BusyMemory => {
                able && subject.can_dial_tls() && *subject != Subject::Direct
            }
            Self::Drain
            | Self::Kill
            | Self::Stalled
            | Self::Voice
            | Self::Watched
            | Self::Instructions
            | Self::WatchedInstructions => {
                matches!(subject, Subject::Edge(_))
            }
        }
    }

    fn run(self, calls: u32, subject: &Subject, stage: &Stage) -> io::Result<Vec<Finding>> {
        let steady = |traffic| Steady {
            traffic,
            calls,
            window: stage.window,
        };
        let plain = stage.ground(None);
        let secret = stage.ground(Some(stage.tls.clone()));
        match (self, subject) {
            (Self::BothWays, _) => steady(Traffic::BothWays).run(subject, &plain),
            (Self::Bursts, _) => steady(Traffic::Bursts).run(subject, &plain),
            (Self::Saturation, _) => steady(Traffic::Saturation).run(subject, &plain),
            (Self::Tls, _) => steady(Traffic::Callers).run(subject, &secret),
            (Self::IdleMemory, _) => weigh(subject, &secret, calls, Doing::Nothing),
            (Self::BusyMemory, _) => weigh(subject, &secret, calls, Doing::Talking(stage.window)),
            (Self::Drain, Subject::Edge(build)) => handoff::run(build, &plain, calls, Way::Drained),
            (Self::Kill, Subject::Edge(build)) => handoff::run(build, &plain, calls, Way::Killed),
            (Self::Stalled, Subject::Edge(build)) => {
                stalled::run(build, &plain, calls, stage.window)
            }
            (Self::Voice, Subject::Edge(build)) => {
                voice::run(build, &plain, calls, VOICE_WINDOW.max(stage.window))
            }
            (Self::Watched, Subject::Edge(build)) => {
                watched::run(build, &plain, calls, stage.window)
            }
            (Self::Instructions, Subject::Edge(build)) => instructions::alone(build, &plain, calls),
            (Self::WatchedInstructions, Subject::Edge(build)) => {
                instructions::watched(build, &plain, calls)
            }
            // What only an edge can do is done to nobody else: `fits`.
            _ => steady(Traffic::Callers).run(subject, &plain),
        }
    }
}

/// Where trials take place.
struct Stage {
    folder: TempDir,
    cores: Cores,
    window: Duration,
    tls: ModelTls,
}

impl Stage {
    fn ground(&self, tls: Option<ModelTls>) -> Ground {
        Ground {
            folder: self.folder.path().to_owned(),
            cores: self.cores,
            tls,
        }
    }
}

impl Suite {
    /// Does everything. `tell` hears how it goes on, `keep` is given the facts after each round.
    /// What a subject cannot do is told and left out.
    ///
    /// # Errors
    /// If the machine lacks what every trial needs.
    pub(crate) fn run(
        &self,
        tell: impl Fn(&str),
        mut keep: impl FnMut(&Facts) -> io::Result<()>,
    ) -> io::Result<Facts> {
        let folder = tempfile::tempdir()?;
        let stage = Stage {
            tls: certificate(folder.path())?,
            folder,
            cores: self.cores,
            window: self.window,
        };
        let mut facts = Facts::default();
        for round in 0..self.rounds {
            for &case in &self.cases {
                let fits = |it: &&Subject| case.scenario.fits(it, case.calls);
                for subject in self.subjects.iter().filter(fits) {
                    let scenario = case.scenario.name();
                    let what = format!(
                        "round {}: {scenario}, {} calls, {}",
                        round + 1,
                        case.calls,
                        subject.name()
                    );
                    match case.scenario.run(case.calls, subject, &stage) {
                        Ok(findings) => {
                            tell(&format!("{what}: {}", summary(&findings)));
                            let fact = |(metric, value): Finding| Fact {
                                round,
                                scenario: scenario.to_owned(),
                                calls: case.calls,
                                subject: subject.name().to_owned(),
                                metric: metric.to_owned(),
                                value,
                            };
                            facts.0.extend(findings.into_iter().map(fact));
                        }
                        Err(error) => tell(&format!("{what}: FAILED: {error}")),
                    }
                }
            }
            keep(&facts)?;
        }
        Ok(facts)
    }
}

/// The first few findings, which are those that matter most.
fn summary(findings: &[Finding]) -> String {
    let words = findings.iter().take(6);
    let words: Vec<_> = words
        .map(|(metric, value)| format!("{metric} {value:.1}"))
        .collect();
    words.join(", ")
}

fn certificate(folder: &Path) -> io::Result<ModelTls> {
    let made = generate_simple_self_signed(["localhost".to_owned()]).map_err(io::Error::other)?;
    let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let server = holdline_testkit::tls::server(&chain, &key).map_err(io::Error::other)?;
    let ca: PathBuf = folder.join("model.pem");
    fs::write(&ca, chain)?;
    Ok(ModelTls { server, ca })
}
