//! The load: callers in front of the program under test and the model behind it, on one thread.
//!
//! Why both on one: a delay is the difference of two readings of one clock, and a machine with two
//! cores has one to spare for everything that is not under test. Why not tokio: the generator must
//! cost less than the cheapest relay that it measures. One epoll, ready frames, one write for each.
//!
//! ```text
//! callers (clients) ─► program under test ─► model (our listener, with TLS if wanted)
//! ```

mod flow;
mod frame;
mod pace;
mod socket;

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
    time::{Duration, Instant},
};

use rustix::{
    buffer::spare_capacity,
    event::epoll::{self, CreateFlags, Event, EventData, EventFlags},
    time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    },
};
use rustls::ServerConfig;

pub(crate) use flow::{Delays, Flow, LATE};
pub(crate) use frame::{LABEL_AT, NO_LABEL};
use frame::{Stamp, Template};
use pace::Pacer;
use socket::Socket;

/// Time between two frames of a call.
pub(crate) const FRAME: Duration = Duration::from_millis(20);
/// The same where there are more calls than a core can carry that all speak.
const SPARSE: Duration = Duration::from_millis(200);
/// Time between two bursts of a model.
const BURST_EVERY: Duration = Duration::from_secs(1);
/// A burst: the sizes of its messages in bytes.
const BURST: [usize; 5] = [1 << 10, 1 << 10, 2 << 10, 4 << 10, 8 << 10];
/// The size of a model's message where it sends one for each of the caller's: as large as those.
const MODEL_MESSAGE: usize = 380;
/// Size of the model's messages before memory is measured.
const WARM_MESSAGE: usize = 6 << 10;
/// How often it is looked whether somebody is due. Frames that are due together go together: a
/// generator that woke for each would need the whole core.
const TICK: Duration = Duration::from_micros(500);
/// Frames sent before arrivals are looked at again.
const SENT_AT_ONCE: usize = 64;
/// Upgrades under way.
const OPENING: usize = 64;
/// Longest wait for calls to stand.
const PATIENCE: Duration = Duration::from_secs(60);
/// Frames of each call under way where as much goes as can.
const IN_FLIGHT: u32 = 8;
const TIMER: u64 = u64::MAX;
const LISTENER: u64 = u64::MAX - 1;
const MODEL_BIT: u64 = 1 << 32;

/// Who sends how much.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Traffic {
    /// Nobody.
    Silence,
    /// Every caller 50 frames a second.
    Callers,
    /// Every caller, and the model to every caller.
    BothWays,
    /// Every caller; and the model every second a burst of messages of 1 to 8 KB.
    Bursts,
    /// Every caller five frames a second.
    Sparse,
    /// Every caller as fast as frames arrive.
    Saturation,
    /// The same, with one frame of each caller under way.
    OneByOne,
}

impl Traffic {
    /// Frames of each call under way, where that and no clock says when the next is sent.
    fn in_flight(self) -> Option<u32> {
        match self {
            Self::Saturation => Some(IN_FLIGHT),
            Self::OneByOne => Some(1),
            _ => None,
        }
    }
}

/// The load. Sockets close when it is dropped.
pub(crate) struct Load {
    epoll: OwnedFd,
    /// Wakes us at every tick, once the one before has been read.
    timer: OwnedFd,
    listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    callers: Vec<Socket>,
    models: Vec<Socket>,
    /// The model's socket of each call, once a frame has come on it.
    model_of: Vec<Option<usize>>,
    began: Instant,
    traffic: Traffic,
    caller_pace: Option<Pacer>,
    model_pace: Option<Pacer>,
    caller_frame: Template,
    model_frames: Vec<Template>,
    /// From callers to the model.
    pub(crate) up: Flow,
    /// From the model to callers.
    pub(crate) down: Flow,
    /// How late we ourselves were.
    own_delays: Vec<u64>,
    events: Vec<Event>,
    scratch: Vec<u8>,
}

/// What was measured in a stretch of time.
#[derive(Debug)]
pub(crate) struct Window {
    pub(crate) lasted: Duration,
    pub(crate) up: Delays,
    pub(crate) down: Delays,
    /// How late the load itself was, from when a frame was due to when it was sent.
    pub(crate) own: Delays,
}

impl Window {
    /// Frames that arrived.
    pub(crate) fn frames(&self) -> usize {
        self.up.len() + self.down.len()
    }
}

impl Load {
    /// A model that listens, and nobody who calls.
    ///
    /// # Errors
    /// If the system refuses a descriptor.
    pub(crate) fn new(tls: Option<Arc<ServerConfig>>) -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let timer = timerfd_create(
            TimerfdClockId::Monotonic,
            TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC,
        )?;
        let tick = Timespec {
            tv_sec: 0,
            tv_nsec: TICK.as_nanos() as _,
        };
        let every = Itimerspec {
            it_interval: tick,
            it_value: tick,
        };
        timerfd_settime(&timer, TimerfdTimerFlags::empty(), &every)?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        // The default queue of the standard library, 128, is short for a thousand calls at once.
        rustix::net::listen(&listener, 4_096)?;
        listener.set_nonblocking(true)?;
        let readable = EventFlags::IN;
        epoll::add(&epoll, &timer, EventData::new_u64(TIMER), readable)?;
        epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), readable)?;
        Ok(Self {
            epoll,
            timer,
            listener,
            tls,
            callers: Vec::new(),
            models: Vec::new(),
            model_of: Vec::new(),
            began: Instant::now(),
            traffic: Traffic::Silence,
            caller_pace: None,
            model_pace: None,
            caller_frame: Template::caller(),
            model_frames: Vec::new(),
            up: Flow::default(),
            down: Flow::default(),
            own_delays: Vec::new(),
            events: Vec::with_capacity(512),
            scratch: vec![0; 64 << 10],
        })
    }

    /// Where the model listens.
    ///
    /// # Errors
    /// If the system cannot say.
    pub(crate) fn model(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Nanoseconds since the load began.
    pub(crate) fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Adds calls until there are so many, and waits until a frame of each has reached the model.
    ///
    /// # Errors
    /// If a connection fails or is refused, or not all calls stand within a minute.
    pub(crate) fn connect(&mut self, calls: u32, to: SocketAddr, path: &str) -> io::Result<()> {
        let patience = Instant::now() + PATIENCE;
        for call in self.callers.len() as u32..calls {
            while self.callers.iter().rev().take(OPENING).all(|it| !it.open)
                && self.callers.len() >= OPENING
            {
                self.wait(patience, "upgraded")?;
            }
            let socket = Socket::caller(TcpStream::connect(to)?, call, path)?;
            self.watch(&socket, u64::from(call))?;
            self.callers.push(socket);
            self.wait(patience, "upgraded")?;
        }
        self.up.grow(calls as usize);
        self.down.grow(calls as usize);
        self.model_of.resize(calls as usize, None);
        while !self.callers.iter().all(|it| it.open) {
            self.wait(patience, "upgraded")?;
        }
        for call in 0..calls {
            if self.model_of[call as usize].is_none() {
                self.callers[call as usize].send(&frame::greeting(call));
                self.send_up(call);
            }
        }
        while !self.model_of.iter().all(Option::is_some) {
            self.wait(patience, "seen by the model")?;
        }
        Ok(())
    }

    /// Some frames in both directions, as at the beginning of a conversation, so that every call
    /// has the buffers that it needs.
    ///
    /// # Errors
    /// If they do not arrive within a minute.
    pub(crate) fn warm_up(&mut self) -> io::Result<()> {
        self.model_frames = vec![Template::model(WARM_MESSAGE)];
        let patience = Instant::now() + PATIENCE;
        for _ in 0..5 {
            for call in 0..self.callers.len() as u32 {
                self.send_up(call);
                self.send_down(call);
            }
            while self.up.missing() + self.down.missing() > 0 {
                self.wait(patience, "answered")?;
            }
        }
        Ok(())
    }

    /// From now on it is this.
    pub(crate) fn begin(&mut self, traffic: Traffic) {
        let (now, calls) = (self.now(), self.callers.len() as u32);
        let pacer = |interval| Some(Pacer::new(now, interval, calls));
        self.traffic = traffic;
        (self.caller_pace, self.model_pace) = match traffic {
            Traffic::Silence | Traffic::Saturation | Traffic::OneByOne => (None, None),
            Traffic::Sparse => (pacer(SPARSE), None),
            Traffic::Callers => (pacer(FRAME), None),
            Traffic::BothWays => (pacer(FRAME), pacer(FRAME)),
            Traffic::Bursts => (pacer(FRAME), pacer(BURST_EVERY)),
        };
        self.model_frames = match traffic {
            Traffic::Bursts => BURST.map(Template::model).to_vec(),
            _ => vec![Template::model(MODEL_MESSAGE)],
        };
        let in_flight = traffic.in_flight().unwrap_or_default();
        for call in (0..calls).flat_map(|call| (0..in_flight).map(move |_| call)) {
            self.send_up(call);
        }
    }

    /// Goes on for this long, and tells what happened since the last window.
    ///
    /// # Errors
    /// If a call is lost, or the system fails.
    pub(crate) fn run(&mut self, lasting: Duration) -> io::Result<Window> {
        let began = Instant::now();
        while began.elapsed() < lasting {
            self.step()?;
        }
        self.check()?;
        Ok(Window {
            lasted: began.elapsed(),
            up: self.up.take_delays(),
            down: self.down.take_delays(),
            own: Delays::of(std::mem::take(&mut self.own_delays)),
        })
    }

    /// Goes on until so many more frames of callers have arrived.
    ///
    /// # Errors
    /// If a call is lost, or that takes more than a minute.
    pub(crate) fn run_frames(&mut self, frames: u64) -> io::Result<()> {
        let (until, patience) = (self.up.delivered + frames, Instant::now() + PATIENCE);
        while self.up.delivered < until {
            self.wait(patience, "served")?;
        }
        Ok(())
    }

    /// Sends nothing more, and waits for what is under way, at most this long.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub(crate) fn finish(&mut self, within: Duration) -> io::Result<()> {
        self.begin(Traffic::Silence);
        let until = Instant::now() + within;
        while self.up.missing() + self.down.missing() > 0 && Instant::now() < until {
            self.step()?;
        }
        Ok(())
    }

    /// A step while all calls are to come to something.
    fn wait(&mut self, patience: Instant, what: &str) -> io::Result<()> {
        self.step()?;
        self.check()?;
        if Instant::now() < patience {
            return Ok(());
        }
        let open = self.callers.iter().filter(|it| it.open).count();
        let known = self.model_of.iter().flatten().count();
        Err(io::Error::other(format!(
            "within {PATIENCE:?} not all of {} calls were {what}: {open} are upgraded, {known} \
             reached the model",
            self.callers.len()
        )))
    }

    fn check(&self) -> io::Result<()> {
        let gone = |sockets: &[Socket]| sockets.iter().filter(|it| it.gone).count();
        match (gone(&self.callers), gone(&self.models)) {
            (0, 0) => Ok(()),
            (callers, models) => Err(io::Error::other(format!(
                "the program under test closed or refused {callers} sockets of callers and \
                 {models} of the model"
            ))),
        }
    }

    /// Sends what is due, then waits for the next tick or arrival and takes what has arrived.
    fn step(&mut self) -> io::Result<()> {
        self.send_due();
        self.events.clear();
        let room = spare_capacity(&mut self.events);
        match epoll::wait(&self.epoll, room, None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for index in 0..self.events.len() {
            let Event { flags, data } = self.events[index];
            match data.u64() {
                TIMER => {
                    let mut ticks = [0; 8];
                    rustix::io::read(&self.timer, &mut ticks)?;
                }
                LISTENER => self.accept()?,
                number if number & MODEL_BIT != 0 => {
                    self.model_ready((number & !MODEL_BIT) as usize, flags);
                }
                number => self.caller_ready(number as usize, flags),
            }
        }
        Ok(())
    }

    fn send_due(&mut self) {
        let now = self.now();
        for _ in 0..SENT_AT_ONCE {
            let Some((call, due)) = self.caller_pace.as_mut().and_then(|it| it.due(now)) else {
                break;
            };
            self.send_up(call);
            self.own_delays.push(self.now() - due);
        }
        for _ in 0..SENT_AT_ONCE {
            let Some((call, due)) = self.model_pace.as_mut().and_then(|it| it.due(now)) else {
                break;
            };
            self.send_down(call);
            self.own_delays.push(self.now() - due);
        }
    }

    fn send_up(&mut self, call: u32) {
        let stamp = Stamp {
            call,
            seq: self.up.number(call),
            at: self.now(),
            label: NO_LABEL,
        };
        let sent = self.callers[call as usize].send(self.caller_frame.stamped(stamp));
        self.up.count(sent);
    }

    fn send_down(&mut self, call: u32) {
        let Some(model) = self.model_of[call as usize] else {
            return;
        };
        for index in 0..self.model_frames.len() {
            let stamp = Stamp {
                call,
                seq: self.down.number(call),
                at: self.now(),
                label: NO_LABEL,
            };
            let sent = self.models[model].send(self.model_frames[index].stamped(stamp));
            self.down.count(sent);
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        loop {
            let tcp = match self.listener.accept() {
                Ok((tcp, _)) => tcp,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            let socket = Socket::model(tcp, self.tls.clone())?;
            self.watch(&socket, MODEL_BIT | self.models.len() as u64)?;
            self.models.push(socket);
        }
    }

    fn watch(&self, socket: &Socket, number: u64) -> io::Result<()> {
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::ET;
        let data = EventData::new_u64(number);
        Ok(epoll::add(&self.epoll, socket.tcp.as_fd(), data, flags)?)
    }

    fn model_ready(&mut self, index: usize, flags: EventFlags) {
        let (began, up) = (self.began, &mut self.up);
        let model = &mut self.models[index];
        if flags.contains(EventFlags::OUT) {
            model.flush();
        }
        let mut call = model.call;
        let mut arrived = 0;
        model.receive(&mut self.scratch, |frame| {
            if let Some(stamp) = frame::stamp_of_caller(frame) {
                call = Some(stamp.call);
                arrived += 1;
                up.arrived(stamp, began.elapsed().as_nanos() as u64);
            }
        });
        let Some(call) = call else { return };
        if model.call.is_none() {
            model.call = Some(call);
            self.model_of[call as usize] = Some(index);
        }
        if self.traffic.in_flight().is_some() {
            (0..arrived).for_each(|_| self.send_up(call));
        }
    }

    fn caller_ready(&mut self, index: usize, flags: EventFlags) {
        let (began, down) = (self.began, &mut self.down);
        let caller = &mut self.callers[index];
        if flags.contains(EventFlags::OUT) {
            caller.flush();
        }
        caller.receive(&mut self.scratch, |frame| {
            if let Some(stamp) = frame::stamp_of_model(frame) {
                down.arrived(stamp, began.elapsed().as_nanos() as u64);
            }
        });
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        // The side that closes first keeps the port for a minute; after a reset nobody does, and
        // round after round of thousands of connections finds its ports free.
        for socket in self.callers.iter().chain(&self.models) {
            let _ = rustix::net::sockopt::set_socket_linger(&socket.tcp, Some(Duration::ZERO));
        }
    }
}
