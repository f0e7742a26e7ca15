//! The demo's stage: what is done to the workers of an exchange, and a note of each deed.

use std::{io, net::SocketAddr, path::Path, time::Duration};

use holdline_testkit::{
    process::LogLine,
    stage::{Blow, Plan, Stage as Exchange, WorkerRow},
};
use tokio::sync::mpsc;

use super::handoffs::{Deed, Done};

/// An exchange, and what was done to it.
#[derive(Debug)]
pub(super) struct Stage {
    exchange: Exchange,
    /// What was done to the workers, so far.
    pub(super) deeds: Vec<Done>,
}

impl Stage {
    /// Starts everything with workers of `v1`, and waits until calls can come.
    pub(super) async fn set_up(
        folder: &Path,
        workers: usize,
        model: SocketAddr,
        lines: mpsc::Sender<LogLine>,
    ) -> io::Result<Self> {
        let mut plan = Plan::new(folder, &std::env::current_exe()?, model, workers);
        plan.lines = Some(lines);
        Ok(Self {
            exchange: Exchange::set_up(plan, "v1").await?,
            deeds: Vec::new(),
        })
    }

    /// Where callers connect.
    pub(super) fn url(&self) -> &str {
        self.exchange.url()
    }

    /// Replaces one worker after another by one of `version`: the new one first.
    pub(super) async fn roll(&mut self, deed: Deed, version: &str) -> io::Result<()> {
        for slot in 0..self.exchange.len() {
            let blow = self.exchange.replace(slot, version).await?;
            self.note(deed, blow);
        }
        Ok(())
    }

    /// `kill -9`, and a replacement some time later, as a Deployment would have it.
    pub(super) async fn kill(&mut self, slot: usize, version: &str) -> io::Result<()> {
        let slot = slot % self.exchange.len();
        let blow = self.exchange.kill(slot).await?;
        self.note(Deed::Kill, blow);
        self.exchange.start(slot, version).await
    }

    /// SIGSTOP for `length`, then SIGCONT: the worker comes back and finds itself fenced.
    pub(super) async fn freeze(&mut self, slot: usize, length: Duration) -> io::Result<()> {
        let slot = slot % self.exchange.len();
        let blow = self.exchange.freeze(slot, length).await?;
        self.note(Deed::Freeze, blow);
        Ok(())
    }

    /// What the edge says of its workers.
    pub(super) async fn workers(&self) -> io::Result<Vec<WorkerRow>> {
        self.exchange.admin().workers().await
    }

    /// Ends everything in good order; says whether all of it was.
    pub(super) async fn strike(self) -> io::Result<bool> {
        self.exchange.strike().await
    }

    fn note(&mut self, deed: Deed, blow: Option<Blow>) {
        let done = blow.map(|Blow { at, worker }| Done { deed, at, worker });
        self.deeds.extend(done);
    }
}
