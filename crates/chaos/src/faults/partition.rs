//! A bad network between the edge and its workers: delay, loss, and a worker that cannot be reached.
//!
//! Edge, callers and model live in one network namespace, the workers of each slot in one of their
//! own. The only way between them is a link that this program carries packet by packet, so that it
//! can delay, lose and swallow them on kernels without `netem` too. The namespaces have no names
//! and no files: they are gone when the last process in them is.

use std::{
    io,
    net::{IpAddr, Ipv4Addr},
    time::{Duration, Instant},
};

use holdline_testkit::stage::Lodging;
use tokio::time::sleep;

mod link;
mod namespace;

use crate::{Row, Settings, trial::Trial};
use link::{Link, Weather};
use namespace::Namespace;

/// Rounds in a run of its own: each is a time of delay, one of loss, and a worker cut off.
const USUAL: u32 = 5;
/// How long each lasts, in milliseconds.
const LASTS_MS: (u64, u64) = (2_000, 3_500);
/// A path through a bad network.
const SLOW: Weather = Weather {
    delay: Duration::from_millis(25),
    jitter: Duration::from_millis(10),
    loss_percent: 0,
};
/// The same, and it loses packets.
const LOSSY: Weather = Weather {
    loss_percent: 5,
    ..SLOW
};
/// Nothing comes through.
const BLACKHOLE: Weather = Weather {
    loss_percent: 100,
    ..Weather::FINE
};

/// Runs it, on threads that live in the edge's namespace.
///
/// # Errors
/// If it cannot be done; without the rights it says so.
pub(crate) fn run(settings: &Settings) -> io::Result<Vec<Row>> {
    let home = Namespace::new()?;
    home.with_loopback()?;
    let settings = settings.clone();
    home.block_on(move |home| async move { storms(&settings, home).await })
}

async fn storms(settings: &Settings, home: &Namespace) -> io::Result<Vec<Row>> {
    let mut links = Vec::new();
    let mut slots = Vec::new();
    for slot in 0..settings.workers {
        let (near, far) = addresses(slot);
        let place = Namespace::new()?;
        let seed = settings.seed.wrapping_add(slot.into());
        let link = Link::lay((home, near), (&place, far), seed)?;
        slots.push(Lodging {
            host: IpAddr::V4(far),
            prefix: place.prefix(),
            env: Vec::new(),
        });
        links.push((link, place));
    }
    let mut trial = Trial::begin(settings, |plan| plan.slots = slots).await?;
    let mut rounds = settings.rounds(USUAL);
    while rounds.another() {
        for (weather, name) in [(SLOW, "delay"), (LOSSY, "delay and loss")] {
            let length = trial.chance_ms(LASTS_MS.0, LASTS_MS.1);
            trial.tell(&format!("{name} on all links for {length:?}"));
            let since = Instant::now();
            links.iter().for_each(|(link, _)| link.set(weather));
            sleep(length).await;
            links.iter().for_each(|(link, _)| link.set(Weather::FINE));
            trial.fault_since(since);
        }
        let victim = trial.victim().await?;
        let length = trial.chance_ms(LASTS_MS.0, LASTS_MS.1);
        trial.tell(&format!("worker {victim} cannot be reached for {length:?}"));
        let since = Instant::now();
        links[victim].0.set(BLACKHOLE);
        sleep(length).await;
        links[victim].0.set(Weather::FINE);
        trial.fault_since(since);
    }
    let carried: u64 = links.iter().map(|(link, _)| link.carried()).sum();
    let swallowed: u64 = links.iter().map(|(link, _)| link.swallowed()).sum();
    let mut row = trial
        .finish(&[])
        .await?
        .row("network: delay, loss, partition", rounds.done);
    row.note(format!(
        "packets carried {carried}, lost on the way {swallowed}"
    ));
    row.expect(carried > 0 && swallowed > 0, || {
        "nothing was lost on the way: the network was not bad".to_owned()
    });
    Ok(vec![row])
}

/// Both ends of a slot's link, out of the range that is set aside for tests of networks.
fn addresses(slot: u8) -> (Ipv4Addr, Ipv4Addr) {
    (
        Ipv4Addr::new(198, 18, slot, 1),
        Ipv4Addr::new(198, 18, slot, 2),
    )
}
