//! Services behind outbound legs: they speak in bursts, are read only where the engine allows it,
//! and close whenever they like.

use holdline_session::{Class, Event, Fault, Frame};

use crate::{
    coverage::Mark,
    program::text,
    queue::Happening,
    sockets::State,
    world::{World, ms},
};

/// Logs of at most so many bytes meet frames larger than themselves; others would only cost time.
const SMALL_LOG: u64 = 4_096;

impl World {
    /// The service behind a leg speaks, or ends it.
    pub(crate) fn talk(&mut self, call: usize, leg: usize, opening: u32) {
        let socket = &self.calls[call].sockets[leg];
        if socket.opening != opening || !matches!(socket.state, State::Open | State::Closing) {
            return;
        }
        match self.rng.below(100) {
            0..3 => {
                self.coverage.mark(Mark::ModelClosed);
                let code = if self.rng.percent(70) { 1000 } else { 1001 };
                return self.closes(call, leg, code, Fault::None);
            }
            3..7 => {
                self.coverage.mark(Mark::ModelBroke);
                let (code, fault) = if self.rng.percent(50) {
                    (1006, Fault::Network)
                } else {
                    (1011, Fault::Peer)
                };
                return self.closes(call, leg, code, fault);
            }
            _ => {}
        }
        let name = self.names[leg].clone();
        for _ in 0..self.rng.range(1, 7) {
            if self.calls[call].over || self.calls[call].sockets[leg].state != State::Open {
                break;
            }
            if !self.calls[call].shell.reads(&name) {
                self.coverage.mark(Mark::ModelPaused);
                break;
            }
            self.counter += 1;
            let size = self.frame_size();
            let payload = text('M', self.counter, size);
            let class = Class::Media { ms: 20 };
            let leg = self.leg_ref(call, leg);
            let frame = Frame { class, payload };
            self.feed(call, Event::Frame { leg, frame });
        }
        let at = self.now.0 + self.rng.range(ms(20), ms(240));
        self.queue.push(at, Happening::Talk { call, leg, opening });
    }

    /// Now and then one frame is as large as the whole log of a call, or larger.
    fn frame_size(&mut self) -> usize {
        let log = self.plan_limits().log_bytes;
        if log < SMALL_LOG && self.rng.percent(3) {
            self.coverage.mark(Mark::HugeFrame);
            return self.rng.range(log / 3, log * 3 / 2) as usize;
        }
        self.rng.range(8, 40) as usize
    }
}
