//! Choosing a worker by the rules that edges keep: a draining worker is never a target, the one to
//! be left, like any that failed the session since its last progress, is the last resort or none
//! at all, a suspect doubts the versions that failed it, a suspect stays away from the other suspects
//! of its edge and from sessions in doubt, the state's schema must be readable, and the newest version comes first. What one edge
//! does not know of another's suspects, the worker does: see `workers`.

use holdline_session::{Event, Seek, WorkerId};

use crate::{
    coverage::Mark,
    network::Suspected,
    rng::mix,
    shell::Bug,
    world::{World, ms},
};

/// How long a worker that went away, or hangs, is still taken for healthy.
const BLIND: u64 = ms(6);
const HEALTH_TIMEOUT: u64 = ms(80);

impl World {
    /// Answers a seek.
    pub(crate) fn found(&mut self, call: usize, epoch: u64) {
        let Some(seek) = self.calls[call]
            .sought
            .take_if(|seek| seek.epoch.0 == epoch)
        else {
            return;
        };
        let epoch = seek.epoch;
        let Some(worker) = self.pick(call, &seek) else {
            let crowded = self.is_crowded(&seek);
            if crowded && seek.suspect.is_some() {
                self.coverage.mark(Mark::Crowded);
            }
            self.calls[call].denied(self.now.0, crowded);
            let reason = "no worker is fit".to_owned();
            return self.feed(
                call,
                Event::SeekFailed {
                    epoch,
                    reason,
                    crowded: crowded || self.plants(Bug::CrowdedByNobody),
                },
            );
        };
        if seek.suspect.is_some() {
            self.coverage.mark(Mark::SuspectSeek);
        }
        if seek.suspect.is_none() && seek.failed.len() > 1 {
            self.coverage.mark(Mark::SuspectAnywhere);
        }
        self.open_stream(call, epoch.0, worker, Suspected::of(&seek));
        let version = format!("v{}", self.workers[worker].version);
        let worker = WorkerId(worker as u64);
        self.feed(
            call,
            Event::Offered {
                epoch,
                worker,
                version,
            },
        );
    }

    fn pick(&self, call: usize, seek: &Seek) -> Option<usize> {
        let mut best: Option<(usize, (u8, u64, u64, u64))> = None;
        for worker in 0..self.workers.len() {
            if !self.is_fit(worker, seek) || !self.is_apart(call, worker, seek) {
                continue;
            }
            let rank = self.rank[self.workers[worker].version as usize];
            let load = self.load(worker);
            let key = (
                self.trust(worker, seek),
                rank,
                u64::MAX - load,
                mix((call as u64) << 32 | worker as u64),
            );
            if best.is_none_or(|(_, best)| key > best) {
                best = Some((worker, key));
            }
        }
        best.map(|(worker, _)| worker)
    }

    /// How far a worker is trusted with a session; greater is better.
    fn trust(&self, worker: usize, seek: &Seek) -> u8 {
        let id = WorkerId(worker as u64);
        let version = format!("v{}", self.workers[worker].version);
        if seek.avoid == Some(id) || seek.failed.iter().any(|(failed, _)| *failed == id) {
            0
        } else if seek.failed.len() > 1 && seek.failed.iter().any(|(_, failed)| *failed == version)
        {
            1
        } else {
            2
        }
    }

    /// Whether it is for those who are there that no worker takes the session.
    fn is_crowded(&self, seek: &Seek) -> bool {
        (0..self.workers.len()).any(|worker| self.is_fit(worker, seek))
    }

    /// Whether a worker would take the session, whoever else is there.
    fn is_fit(&self, index: usize, seek: &Seek) -> bool {
        let worker = &self.workers[index];
        let now = self.now.0;
        let seen = worker.ready && (worker.alive || now < worker.died_at + BLIND);
        let healthy = now >= worker.hung_until || now < worker.hung_since + HEALTH_TIMEOUT;
        let reads = seek.schema <= worker.version;
        let left = seek.planned && seek.avoid == Some(WorkerId(index as u64));
        seen && healthy && !worker.draining && reads && !left
    }

    fn is_apart(&self, call: usize, index: usize, seek: &Seek) -> bool {
        let wish = Suspected::of(seek);
        !self.streams.iter().any(|stream| {
            stream.worker == index
                && stream.edge == self.calls[call].edge
                && stream.suspected.clashes_with(&wish)
                && !stream.edge_gone
                && stream.call != call
        })
    }

    fn load(&self, worker: usize) -> u64 {
        let here = |stream: &&crate::network::Stream| stream.worker == worker && !stream.edge_gone;
        self.streams.iter().filter(here).count() as u64
    }
}
