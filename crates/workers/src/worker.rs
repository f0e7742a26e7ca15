//! The life of one worker, from its address to its end.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use holdline_session::WorkerId;
use holdline_wire::v1::DescribeResponse;
use tokio::{
    sync::{mpsc, watch},
    time::{sleep, timeout},
};

use crate::{
    connections::Connections,
    describe::{self, DescribeError},
    drain,
    health::{self, Health},
    link::LinkEvent,
    roster::entry::Cause,
    shared::Shared,
};

/// First wait before another connection is tried; doubles.
const BACK_OFF_MIN: Duration = Duration::from_millis(20);
/// Longest wait between two tries.
const BACK_OFF_MAX: Duration = Duration::from_secs(1);

/// What its keeper must know of a worker's fate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fate {
    /// It wants its connection back, and lives on until its sessions are gone. Whoever answers on
    /// its address now is looked at anew.
    Leaving,
    /// It is over.
    Over,
}

/// How long to wait after so many failures in a row.
pub(crate) fn back_off(failures: u32) -> Duration {
    match failures {
        0 => Duration::ZERO,
        n => BACK_OFF_MIN
            .saturating_mul(1 << (n - 1).min(16))
            .min(BACK_OFF_MAX),
    }
}

/// Where a worker may be reached.
#[derive(Debug)]
pub(crate) struct Whereabouts {
    own: SocketAddr,
    /// As discovery knows them now.
    others: watch::Receiver<Vec<SocketAddr>>,
}

impl Whereabouts {
    pub(crate) fn new(own: SocketAddr, others: watch::Receiver<Vec<SocketAddr>>) -> Self {
        Self { own, others }
    }

    /// Where to look after so many failures: everywhere in turn. Of two IP families a worker may
    /// listen on one alone, and an edge may reach one alone.
    fn turn(&self, failures: u32) -> SocketAddr {
        let others = self.others.borrow();
        let turn = usize::try_from(failures).unwrap_or(0) % (others.len() + 1);
        match turn.checked_sub(1) {
            None => self.own,
            Some(other) => others[other],
        }
    }
}

/// Connects to a worker, watches over it, and moves its sessions away when it drains. `delay`s
/// the first try.
pub(crate) async fn run(
    shared: Arc<Shared>,
    id: WorkerId,
    whereabouts: Whereabouts,
    delay: Duration,
    fates: mpsc::Sender<(WorkerId, Fate)>,
) {
    sleep(delay).await;
    let met = meet(&shared, id, &whereabouts).await;
    let (health, seen) = watch::channel(Health::Unknown);
    let connections = Arc::clone(&met.connections);
    let never: Infallible = tokio::select! {
        never = health::watch(&connections, &health) => never,
        never = drain::run(&shared, id) => never,
        () = watch_over(&shared, id, met, seen, &fates) => {
            // Its keeper may be gone at the end of the pool.
            let _ = fates.send((id, Fate::Over)).await;
            return;
        }
    };
    match never {}
}

/// A worker that was reached and has described itself.
struct Met {
    connections: Arc<Connections>,
    events: mpsc::Receiver<LinkEvent>,
    description: DescribeResponse,
}

/// Tries until a worker answers.
async fn meet(shared: &Shared, id: WorkerId, whereabouts: &Whereabouts) -> Met {
    let mut failures = 0_u32;
    let mut told = String::new();
    loop {
        let address = whereabouts.turn(failures);
        match try_to_meet(shared, address).await {
            Ok(met) => return met,
            Err(error) => {
                failures = failures.saturating_add(1);
                shared.metrics.connect_failed(error.as_str());
                let words = error.to_string();
                tracing::debug!(pool = %shared.name, worker = id.0, %address, error = words, failures,
                    "worker not reached");
                if shared.is_to_be_mended(&error) && words != told {
                    tracing::warn!(pool = %shared.name, worker = id.0, %address, error = words,
                        "worker cannot be used: TLS");
                    told.clone_from(&words);
                }
                shared.set_detail(id, words);
            }
        }
        sleep(back_off(failures)).await;
    }
}

async fn try_to_meet(shared: &Shared, address: SocketAddr) -> Result<Met, DescribeError> {
    let (connections, events) =
        Connections::open(address, shared.link_settings(), shared.metrics.clone()).await?;
    let description = describe::describe(&connections, shared.settings.describe_timeout).await?;
    Ok(Met {
        connections,
        events,
        description,
    })
}

/// Until the worker's connection is gone, or its last session after it was told to leave. Where it
/// has several connections, the end of one is the end of all: mostly the process is gone, and
/// waiting for each to find out would cost its sessions seconds.
async fn watch_over(
    shared: &Shared,
    id: WorkerId,
    mut met: Met,
    mut health: watch::Receiver<Health>,
    fates: &mpsc::Sender<(WorkerId, Fate)>,
) {
    if !introduced(shared, id, &mut met, &mut health).await {
        return;
    }
    let mut changes = shared.changes();
    loop {
        tokio::select! {
            event = met.events.recv() => match event {
                Some(LinkEvent::GoesAway) => {
                    shared.drain(id, Cause::GoAway, None);
                    let _ = fates.send((id, Fate::Leaving)).await;
                }
                Some(LinkEvent::Closed(cause)) => return shared.lost(id, cause),
                None => return shared.lost(id, "all connections are gone".to_owned()),
            },
            Ok(()) = health.changed() => match *health.borrow_and_update() {
                Health::NotServing => shared.drain(id, Cause::Health, None),
                Health::Serving => shared.serves_again(id, Cause::Health),
                Health::Unknown => {}
            },
            Ok(()) = changes.changed() => {
                if shared.roster().is_left(id) {
                    tracing::info!(pool = %shared.name, worker = id.0, "worker left: no session remains");
                    return shared.end(id);
                }
            }
        }
    }
}

/// Waits until the worker serves, and makes it known. False where its connection ended before, or
/// where it ended as one that cannot be used.
async fn introduced(
    shared: &Shared,
    id: WorkerId,
    met: &mut Met,
    health: &mut watch::Receiver<Health>,
) -> bool {
    let about = describe::about(&met.description);
    if let Some(why) = describe::misfit(&met.description, shared.required_message_bytes) {
        shared.incompatible(id, about, why);
        let cause = gone(&mut met.events).await;
        shared.lost(id, cause);
        return false;
    }
    let known = timeout(
        shared.settings.describe_timeout,
        health.wait_for(|health| *health != Health::Unknown),
    );
    // A worker that describes itself in time and is silent about its health is taken to serve.
    let silent = known.await.is_err();
    if !silent && *health.borrow() == Health::NotServing {
        shared.set_detail(id, "does not serve yet".to_owned());
        tokio::select! {
            cause = gone(&mut met.events) => {
                shared.lost(id, cause);
                return false;
            }
            _ = health.wait_for(|health| *health == Health::Serving) => {}
        }
    }
    shared.described(id, about, Arc::clone(&met.connections));
    true
}

async fn gone(events: &mut mpsc::Receiver<LinkEvent>) -> String {
    match events.recv().await {
        Some(LinkEvent::Closed(cause)) => cause,
        Some(LinkEvent::GoesAway) => "the worker is going away".to_owned(),
        None => "all connections are gone".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_is_looked_for_everywhere_in_turn() {
        let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let (tell, others) = watch::channel(Vec::new());
        let whereabouts = Whereabouts::new(at(1), others);
        assert_eq!([0, 1, 2].map(|n| whereabouts.turn(n)), [at(1); 3]);
        tell.send_replace(vec![at(2), at(3)]);
        let turns = [0, 1, 2, 3].map(|n| whereabouts.turn(n));
        assert_eq!(turns, [at(1), at(2), at(3), at(1)]);
    }

    #[test]
    fn back_off_grows_to_its_bound() {
        assert_eq!(back_off(0), Duration::ZERO);
        assert_eq!(back_off(1), BACK_OFF_MIN);
        assert_eq!(back_off(3), BACK_OFF_MIN * 4);
        assert_eq!(back_off(u32::MAX), BACK_OFF_MAX);
    }
}
