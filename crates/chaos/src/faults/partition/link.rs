//! A link between two namespaces, carried packet by packet.

use std::{
    collections::VecDeque,
    io,
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use holdline_testkit::prng::Prng;
use tokio::{
    runtime::Handle,
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep_until},
};
use tokio_tun::Tun;

use super::namespace::Namespace;

/// Packets under way in one direction; what comes on top is lost, as in a router.
const UNDER_WAY: usize = 4_096;
/// The largest packet, in bytes.
const MTU: u16 = 1_500;

/// What a link does to packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Weather {
    pub(super) delay: Duration,
    /// The delay of each packet differs by up to this, in both directions. None overtakes another.
    pub(super) jitter: Duration,
    pub(super) loss_percent: u64,
}

impl Weather {
    /// Nothing.
    pub(super) const FINE: Self = Self {
        delay: Duration::ZERO,
        jitter: Duration::ZERO,
        loss_percent: 0,
    };
}

#[derive(Debug, Default)]
struct Counters {
    carried: AtomicU64,
    swallowed: AtomicU64,
}

/// A link. It is cut when dropped.
#[derive(Debug)]
pub(super) struct Link {
    weather: watch::Sender<Weather>,
    counters: Arc<Counters>,
    carriers: [JoinHandle<()>; 2],
}

impl Link {
    /// Lays a link between two places, each with the address that it gets. Needs a tokio runtime.
    ///
    /// # Errors
    /// If a device cannot be made: without the rights, or without `/dev/net/tun`.
    pub(super) fn lay(
        near: (&Namespace, Ipv4Addr),
        far: (&Namespace, Ipv4Addr),
        seed: u64,
    ) -> io::Result<Self> {
        let runtime = Handle::current();
        let device = |place: &Namespace, own, other| {
            let made = place.inside(|| {
                let _entered = runtime.enter();
                device(own, other).map_err(io::Error::other)
            });
            made.map_err(|error| {
                io::Error::other(format!(
                    "a network device cannot be made, which needs root and /dev/net/tun: {error}"
                ))
            })
        };
        let near_end = Arc::new(device(near.0, near.1, far.1)?);
        let far_end = Arc::new(device(far.0, far.1, near.1)?);
        let (weather, forecast) = watch::channel(Weather::FINE);
        let counters = Arc::new(Counters::default());
        let carry = |from: &Arc<Tun>, to: &Arc<Tun>, seed| {
            tokio::spawn(carry(
                Arc::clone(from),
                Arc::clone(to),
                forecast.clone(),
                Arc::clone(&counters),
                Prng::new(seed),
            ))
        };
        let carriers = [
            carry(&near_end, &far_end, seed << 1),
            carry(&far_end, &near_end, seed << 1 | 1),
        ];
        Ok(Self {
            weather,
            counters,
            carriers,
        })
    }

    /// Changes the weather. Packets that are under way keep their time.
    pub(super) fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }

    /// Packets that arrived, in both directions.
    pub(super) fn carried(&self) -> u64 {
        self.counters.carried.load(Relaxed)
    }

    /// Packets that did not.
    pub(super) fn swallowed(&self) -> u64 {
        self.counters.swallowed.load(Relaxed)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.carriers.iter().for_each(JoinHandle::abort);
    }
}

fn device(own: Ipv4Addr, other: Ipv4Addr) -> Result<Tun, tokio_tun::Error> {
    let mut devices = Tun::builder()
        .address(own)
        .destination(other)
        .netmask(Ipv4Addr::BROADCAST)
        .mtu(MTU.into())
        .up()
        .build()?;
    // One queue was asked for.
    Ok(devices.remove(0))
}

/// Carries one direction. Ends when a device fails, which only its end makes it do.
async fn carry(
    from: Arc<Tun>,
    to: Arc<Tun>,
    weather: watch::Receiver<Weather>,
    counters: Arc<Counters>,
    mut random: Prng,
) {
    let mut under_way: VecDeque<(Instant, Vec<u8>)> = VecDeque::new();
    let mut buffer = [0_u8; MTU as usize];
    loop {
        let due = under_way.front().map(|(due, _)| *due);
        tokio::select! {
            received = from.recv(&mut buffer) => {
                let Ok(length) = received else { return };
                let weather = *weather.borrow();
                if random.below(100) < weather.loss_percent || under_way.len() >= UNDER_WAY {
                    counters.swallowed.fetch_add(1, Relaxed);
                    continue;
                }
                let last = under_way.back().map(|(due, _)| *due);
                let arrives = Instant::now() + delay(weather, &mut random);
                let arrives = last.map_or(arrives, |last| arrives.max(last));
                under_way.push_back((arrives, buffer[..length].to_vec()));
            }
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                if let Some((_, packet)) = under_way.pop_front() {
                    counters.carried.fetch_add(1, Relaxed);
                    // A full queue of the device is one more packet lost: TCP's business.
                    let _ = to.send(&packet).await;
                }
            }
        }
    }
}

fn delay(weather: Weather, random: &mut Prng) -> Duration {
    let least = weather.delay.saturating_sub(weather.jitter);
    least + (weather.jitter * 2).mul_f64(random.unit())
}
