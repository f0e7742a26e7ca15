//! Which faults, transitions and reports occurred: a run that never meets a case proves nothing
//! about it.

macro_rules! marks {
    ($($name:ident $text:literal),+ $(,)?) => {
        /// One thing that a seed can meet.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub(crate) enum Mark { $($name),+ }

        const NAMES: &[&str] = &[$($text),+];
    };
}

marks! {
    Crash "fault: worker crashes",
    Hang "fault: worker hangs, and comes back",
    Restart "fault: worker restarts",
    Drain "fault: worker drains",
    DrainCut "fault: drained worker leaves calls behind",
    Roll "fault: roll to v2",
    RollBack "fault: roll back to v1",
    SchemaBump "fault: state schema raised",
    Outage "fault: all workers gone",
    CrashLoop "fault: workers die of every call that they get, for a while",
    SlowRestart "fault: a poison call leaves no worker for longer than isolation_wait",
    StreamDrop "fault: stream drops, with what is in flight",
    Garbage "fault: stream becomes unreadable",
    Partition "fault: partition of edge and worker",
    Keepalive "fault: connection declared dead",
    DelaySpike "fault: delays, so that streams overtake each other",
    Duplicate "fault: messages of an ended stream come twice",
    Mute "fault: worker answers no offer",
    Full "fault: worker takes no more sessions",
    Deaf "fault: worker ignores Release",
    TargetDies "fault: target lost while its predecessor lets go",
    LeftDies "fault: worker lost while a better one is sought",
    BadCommit "fault: worker breaks a rule of commits",
    Slow "fault: slow worker",
    PoisonCrash "fault: poison input that kills its worker",
    PoisonWeak "fault: poison input that kills two workers and no third",
    PoisonHang "fault: poison input that is never done",
    PoisonRule "fault: poison input answered by a broken rule",
    EdgeFrozen "fault: edge suspended",
    Handover "fault: session handed over to the other edge",
    OperatorMove "fault: operator moves a session",
    RolloutMove "fault: a rule moves a session",
    DialFailed "fault: dial failed",
    ModelClosed "fault: model closes in good order",
    ModelBroke "fault: model's socket breaks",
    ModelPaused "fault: model held back by a deep log",
    SlowCaller "fault: caller reads slowly",
    SlowModel "fault: model reads slowly",
    StuckClose "fault: a socket never finishes closing",
    CallerReturns "fault: caller lost, comes back in time",
    CallerTakeover "fault: second stream of a live call",
    OneWorker "limit: one worker",
    SmallLog "limit: small log",
    SmallWindow "limit: small window",
    HugeFrame "limit: a frame as large as a small log",
    FirstAttach "report: attached, new",
    Handoff "report: attached, handoff",
    Recovery "report: attached, recovery",
    Resume "report: attached, resume",
    Replayed "report: attached, with inputs that come again",
    MoveDrain "report: move started, drain",
    MoveRollout "report: move started, rollout",
    MoveOperator "report: move started, operator",
    LostStream "report: lost, stream",
    LostConnection "report: lost, connection",
    LostStuck "report: lost, stuck",
    LostRefused "report: lost, refused",
    LostRelease "report: lost, release",
    LostEnded "report: lost, ended",
    Committed "report: committed",
    Repeated "report: commit that repeats the position",
    Recovered "report: recovered",
    OfferFailed "report: offer failed",
    Fenced "report: fenced",
    MediaDropped "report: media dropped",
    MediaLost "report: media lost",
    GapDelivered "input: gap",
    StaleTimer "input: stale timer",
    TimerFired "input: timer fired",
    HoldSound "output: hold sound",
    HoldNotice "input: hold notice",
    HoldNoticeSound "input: hold notice that tells of sound",
    DeadlineNotice "input: deadline notice",
    StateNotice "input: state near its limit",
    LegReplaced "input: leg replaced",
    DropLegGone "report: command dropped, leg gone",
    DropIncarnation "report: command dropped, incarnation gone",
    DropUpstream "report: command dropped, unknown upstream",
    DropName "report: command dropped, name in use",
    DropLegs "report: command dropped, too many legs",
    DropEnding "report: command dropped, ending",
    HoldStarted "report: hold started",
    HoldEnded "report: hold ended",
    Strike "report: strike",
    Cleared "report: suspicion cleared",
    ExternalTaken "report: external input",
    ExternalBefore "report: external input told again",
    ExternalLate "report: external input at the end",
    ExternalFull "report: external input, and the log is deep",
    ExternalLarge "report: external input, too large",
    WriteTimeout "report: write timeout",
    CommitHeld "engine: commit waits for a slow leg",
    EndHungUp "report: ending, caller hung up",
    EndLostCaller "report: ending, caller lost",
    EndWorker "report: ending, worker",
    EndHandedBack "report: ending, handed back",
    EndGaveUp "report: ending, gave up",
    GaveUpUnserved "report: ending, gave up, and a worker came and went before",
    EndPoisoned "report: ending, poisoned",
    EndOverflow "report: ending, log overflow by the peer",
    EndResults "report: ending, log overflow by the worker",
    EndDeadline "report: ending, edge deadline",
    EndOperator "report: ending, operator",
    EndSuperseded "report: ending, superseded",
    EndProtocol "report: ending, caller protocol",
    EndLost "report: end lost",
    Finished "output: finished",
    SeekingToVacant "link: seeking to vacant",
    SeekingToLive "link: seeking to live",
    LiveToMoving "link: live to moving",
    LiveToSeeking "link: live lost, to seeking",
    MovingToLive "link: moving, target fails, to live",
    MovingToReleasing "link: moving to releasing",
    MovingToSeeking "link: moving lost, to seeking",
    ReleasingToLive "link: releasing to live, released",
    ReleasingLost "link: releasing lost, target attached",
    TargetFailed "link: releasing, target fails",
    AloneReleased "link: released with no target, to seeking",
    AloneLost "link: releasing with no target, lost",
    Unproven "link: attached to inputs that wait",
    Crowded "link: no place for a suspect beside others",
    SuspectSeek "link: a suspect is kept apart",
    SuspectAnywhere "link: a suspect is placed that could not be kept apart",
}

/// The marks of one seed.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub(crate) struct Coverage(u128);

impl Coverage {
    pub(crate) fn mark(&mut self, mark: Mark) {
        self.0 |= 1 << (mark as u32);
    }
}

/// In how many seeds each mark occurred.
#[derive(Clone, Debug)]
pub(crate) struct Tally {
    counts: Vec<u64>,
    seeds: u64,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            counts: vec![0; NAMES.len()],
            seeds: 0,
        }
    }
}

impl Tally {
    pub(crate) fn add(&mut self, coverage: Coverage) {
        self.seeds += 1;
        for (index, count) in self.counts.iter_mut().enumerate() {
            *count += u64::from(coverage.0 & (1 << index) != 0);
        }
    }

    pub(crate) fn join(&mut self, other: &Self) {
        self.seeds += other.seeds;
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
    }

    /// Each mark with its share of the seeds, in percent.
    pub(crate) fn shares(&self) -> impl Iterator<Item = (&'static str, f64)> {
        let seeds = self.seeds.max(1) as f64;
        NAMES
            .iter()
            .zip(&self.counts)
            .map(move |(name, count)| (*name, *count as f64 * 100.0 / seeds))
    }

    /// What occurred in fewer than one in a hundred seeds.
    pub(crate) fn rare(&self) -> Vec<&'static str> {
        let short = self.shares().filter(|(_, share)| *share < 1.0);
        short.map(|(name, _)| name).collect()
    }
}

const _: () = assert!(NAMES.len() <= 128, "one bit each");
