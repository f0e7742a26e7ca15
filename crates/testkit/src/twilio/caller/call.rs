//! The call itself: runs the script, keeps time, follows redirects.
//!
//! One task, no task per frame. It waits for one of: the next deadline (a frame, a mark, a
//! step of the script), a message of the server, a command, a finished dial.

use std::collections::VecDeque;
use std::future::{Future as _, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};

use super::Progress;
use super::dial::{CallerError, dial};
use crate::identity::{StreamId, Voice};
use crate::net::Socket;
use crate::traffic::Traffic;
use crate::twilio::line::Line;
use crate::twilio::mouth::Mouth;
use crate::twilio::options::CallerOptions;
use crate::twilio::record::{CallRecord, StreamRecord};
use crate::twilio::script::{Action, Script};

/// Old streams kept open beside the newest.
const OLD_LIMIT: usize = 4;

/// A spell is quiet once nothing has come for so long: on a machine that has more to do than it can, an
/// answer takes longer than whoever chose the spell could know.
const QUIET: Duration = Duration::from_millis(500);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Talking,
    /// The quiet spell before the hang-up: `until` then, and while anything still comes until `latest`.
    Settling {
        until: Instant,
        latest: Instant,
    },
    /// Only closing handshakes are left.
    Ending,
}

struct Dial {
    task: JoinHandle<Result<Socket, CallerError>>,
    /// The voice, if its stream is gone already.
    mouth: Option<Mouth>,
}

pub(super) struct Call {
    options: Arc<CallerOptions>,
    started: Instant,
    steps: VecDeque<(Duration, Action)>,
    commands: mpsc::Receiver<Action>,
    commands_open: bool,
    progress: watch::Sender<Progress>,
    phase: Phase,
    main: Option<Line>,
    old: Vec<Line>,
    dial: Option<Dial>,
    redirects: u32,
    next_part: u32,
    done: Vec<StreamRecord>,
    done_marks: u64,
    done_traffic: Traffic,
    failed_connects: Vec<String>,
}

enum Event {
    Main(Option<Result<Message, WsError>>),
    Old(usize, Option<Result<Message, WsError>>),
    Dialled(Box<Result<Socket, CallerError>>),
    Command(Action),
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

impl Call {
    pub(super) fn start(
        options: Arc<CallerOptions>,
        socket: Socket,
        commands: mpsc::Receiver<Action>,
        script: Script,
        progress: watch::Sender<Progress>,
    ) -> Self {
        let started = now();
        let stream = StreamId {
            voice: Voice::Caller,
            call: options.call,
            part: 0,
        };
        let main = Line::open(Arc::clone(&options), socket, Mouth::new(stream), 0, started);
        Self {
            options,
            started,
            steps: script.into_steps(),
            commands,
            commands_open: true,
            progress,
            phase: Phase::Talking,
            main: Some(main),
            old: Vec::new(),
            dial: None,
            redirects: 0,
            next_part: 1,
            done: Vec::new(),
            done_marks: 0,
            done_traffic: Traffic::default(),
            failed_connects: Vec::new(),
        }
    }

    pub(super) async fn run(mut self) -> CallRecord {
        loop {
            let at = now();
            self.due(at);
            self.tell(at);
            if self.is_over() {
                break;
            }
            let deadline = tokio::time::Instant::from_std(self.next_due());
            tokio::select! {
                event = poll_fn(|cx| self.poll_event(cx)) => self.on_event(event),
                () = tokio::time::sleep_until(deadline) => {}
            }
        }
        self.finish()
    }

    fn due(&mut self, at: Instant) {
        while let Some((time, action)) = self.steps.pop_front() {
            if self.started + time > at {
                self.steps.push_front((time, action));
                break;
            }
            self.perform(action, at);
        }
        if let Phase::Settling { until, .. } = self.phase
            && until <= at
        {
            self.hang_up(at);
        }
        if self.phase != Phase::Ending && self.started + self.options.max_length <= at {
            self.hang_up(at);
        }
        for line in self.main.iter_mut().chain(&mut self.old) {
            line.due(at);
        }
        while let Some(index) = self.old.iter().position(|line| line.lingered(at)) {
            let line = self.old.swap_remove(index);
            self.keep(line, at);
        }
    }

    fn next_due(&self) -> Instant {
        let step = self.steps.front().map(|(time, _)| self.started + *time);
        let settled = match self.phase {
            Phase::Settling { until, .. } => Some(until),
            Phase::Talking | Phase::Ending => None,
        };
        let lines = self.main.iter().chain(&self.old).filter_map(Line::next_due);
        let end = self.started + self.options.max_length;
        let fallback = if self.phase == Phase::Ending {
            now() + Duration::from_secs(1)
        } else {
            end
        };
        lines
            .chain(step)
            .chain(settled)
            .fold(fallback, Instant::min)
    }

    fn is_over(&self) -> bool {
        let waiting = self.old.iter().any(Line::is_closing);
        match self.phase {
            Phase::Ending => !waiting,
            Phase::Talking | Phase::Settling { .. } => {
                self.main.is_none() && self.dial.is_none() && !waiting
            }
        }
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        if let Some(main) = &mut self.main
            && let Poll::Ready(message) = main.poll(cx)
        {
            return Poll::Ready(Event::Main(message));
        }
        for (index, line) in self.old.iter_mut().enumerate() {
            if let Poll::Ready(message) = line.poll(cx) {
                return Poll::Ready(Event::Old(index, message));
            }
        }
        if let Some(dial) = &mut self.dial
            && let Poll::Ready(result) = Pin::new(&mut dial.task).poll(cx)
        {
            let result =
                result.unwrap_or_else(|error| Err(CallerError::Aborted(error.to_string())));
            return Poll::Ready(Event::Dialled(Box::new(result)));
        }
        if self.commands_open {
            match self.commands.poll_recv(cx) {
                Poll::Ready(Some(action)) => return Poll::Ready(Event::Command(action)),
                Poll::Ready(None) => self.commands_open = false,
                Poll::Pending => {}
            }
        }
        Poll::Pending
    }

    fn on_event(&mut self, event: Event) {
        let at = now();
        match event {
            Event::Main(message) => {
                if let Phase::Settling { until, latest } = &mut self.phase {
                    *until = (*until).max((at + QUIET).min(*latest));
                }
                if self
                    .main
                    .as_mut()
                    .is_some_and(|line| line.on_message(message, at))
                {
                    self.main_ended(at);
                }
            }
            Event::Old(index, message) => {
                if self
                    .old
                    .get_mut(index)
                    .is_some_and(|line| line.on_message(message, at))
                {
                    let line = self.old.swap_remove(index);
                    self.keep(line, at);
                }
            }
            Event::Dialled(result) => self.dialled(*result, at),
            Event::Command(action) => self.perform(action, at),
        }
    }

    fn perform(&mut self, action: Action, at: Instant) {
        tracing::debug!(call = self.options.call, ?action, "the caller acts");
        match (action, &mut self.main) {
            (Action::HangUp { settle }, Some(line)) => {
                line.stop_media();
                self.phase = Phase::Settling {
                    until: at + settle,
                    latest: at + settle * 2,
                };
            }
            (Action::HangUp { .. }, None) => self.hang_up(at),
            (Action::Replace { url, keep_old }, _) => self.replace(url, keep_old, at),
            (Action::Reset, line) => {
                if let Some(mut line) = line.take() {
                    let mouth = line.take_mouth();
                    self.settle(&line);
                    self.done.push(line.reset(at));
                    self.redirect(mouth);
                }
            }
            (Action::CloseWithoutStop, line) => {
                if let Some(mut line) = line.take() {
                    line.close(at, false);
                    self.old.push(line);
                    self.phase = Phase::Ending;
                }
            }
            (Action::Say(utterance), Some(line)) => line.mouth().say(utterance),
            (Action::Hush, Some(line)) => line.mouth().hush(),
            (Action::Dtmf(digit), Some(line)) => line.dtmf(digit),
            (Action::Gap(length), Some(line)) => line.gap(at, length),
            (Action::RawText(text), Some(line)) => line.raw(Message::text(text)),
            (Action::RawBinary(bytes), Some(line)) => line.raw(Message::Binary(bytes)),
            // Between two streams nobody hears the caller.
            (_, None) => {}
        }
    }

    fn hang_up(&mut self, at: Instant) {
        self.phase = Phase::Ending;
        if let Some(dial) = self.dial.take() {
            dial.task.abort();
        }
        if let Some(mut line) = self.main.take() {
            line.close(at, true);
            self.old.push(line);
        }
    }

    fn replace(&mut self, url: Option<String>, keep_old: bool, at: Instant) {
        if self.dial.is_some() {
            return;
        }
        let mut mouth = None;
        if !keep_old && let Some(mut line) = self.main.take() {
            mouth = Some(line.take_mouth());
            line.close(at, true);
            self.retire(line, at);
        }
        let url = url.unwrap_or_else(|| self.options.url.clone());
        self.dial = Some(Dial {
            task: self.spawn_dial(url, Duration::ZERO),
            mouth,
        });
    }

    fn main_ended(&mut self, at: Instant) {
        let Some(mut line) = self.main.take() else {
            return;
        };
        let mouth = line.take_mouth();
        // Where the peer closed properly our answer must still leave.
        if line.is_closing() {
            self.retire(line, at)
        } else {
            self.keep(line, at)
        }
        self.redirect(mouth);
    }

    fn redirect(&mut self, mouth: Mouth) {
        let Some(redirect) = self.options.redirect.clone() else {
            return;
        };
        if self.phase == Phase::Talking && self.redirects < redirect.limit && self.dial.is_none() {
            self.redirects += 1;
            let task = self.spawn_dial(redirect.url, redirect.after);
            self.dial = Some(Dial {
                task,
                mouth: Some(mouth),
            });
        }
    }

    fn spawn_dial(&self, url: String, after: Duration) -> JoinHandle<Result<Socket, CallerError>> {
        let options = Arc::clone(&self.options);
        tokio::spawn(async move {
            tokio::time::sleep(after).await;
            dial(&options, &url).await
        })
    }

    fn dialled(&mut self, result: Result<Socket, CallerError>, at: Instant) {
        let Some(dial) = self.dial.take() else { return };
        let stream = StreamId {
            voice: Voice::Caller,
            call: self.options.call,
            part: self.next_part,
        };
        match result {
            Ok(socket) => {
                let old_mouth = self.main.take().map(|mut line| {
                    let mouth = line.take_mouth();
                    line.retire(at);
                    self.retire(line, at);
                    mouth
                });
                let mouth = old_mouth
                    .or(dial.mouth)
                    .map_or_else(|| Mouth::new(stream), |mouth| mouth.continue_on(stream));
                let mut line =
                    Line::open(Arc::clone(&self.options), socket, mouth, self.next_part, at);
                if self.phase != Phase::Talking {
                    line.stop_media();
                }
                self.main = Some(line);
                self.next_part += 1;
            }
            Err(error) => {
                self.failed_connects.push(error.to_string());
                if let Some(mouth) = dial.mouth {
                    self.redirect(mouth);
                }
            }
        }
    }

    fn retire(&mut self, line: Line, at: Instant) {
        if self.old.len() >= OLD_LIMIT {
            let oldest = self.old.remove(0);
            self.keep(oldest, at);
        }
        self.old.push(line);
    }

    fn keep(&mut self, line: Line, at: Instant) {
        self.settle(&line);
        self.done.push(line.finish(at));
    }

    /// Keeps the counts of a line that is not the call's any more.
    fn settle(&mut self, line: &Line) {
        self.done_marks += line.marks_echoed();
        self.done_traffic += line.traffic();
    }

    fn tell(&self, at: Instant) {
        let lines = || self.main.iter().chain(&self.old);
        let records = || lines().map(Line::record).chain(&self.done);
        let mut traffic = self.done_traffic;
        lines().for_each(|line| traffic += line.traffic());
        let progress = Progress {
            streams: u64::from(self.next_part),
            frames_sent: records().map(|record| record.sent.len() as u64).sum(),
            frames_received: records().map(|record| record.heard.len() as u64).sum(),
            hold_pieces: records().map(|record| record.hold.len() as u64).sum(),
            marks_echoed: self.done_marks + lines().map(Line::marks_echoed).sum::<u64>(),
            clears: records().map(|record| record.clears.len() as u64).sum(),
            violations: records().map(|record| record.violation_count).sum(),
            traffic,
            speaking: self.main.as_ref().is_some_and(Line::is_speaking),
            playing: self.main.as_ref().is_some_and(|line| line.is_playing(at)),
            over: false,
        };
        self.progress
            .send_if_modified(|last| std::mem::replace(last, progress) != progress);
    }

    fn finish(mut self) -> CallRecord {
        let ended = now();
        for line in std::mem::take(&mut self.old)
            .into_iter()
            .chain(self.main.take())
        {
            self.keep(line, ended);
        }
        self.done.sort_by_key(|stream| stream.part);
        self.progress.send_modify(|progress| {
            progress.over = true;
            progress.speaking = false;
            progress.playing = false;
        });
        CallRecord {
            call: self.options.call,
            call_sid: self.options.call_sid.clone(),
            streams: self.done,
            failed_connects: self.failed_connects,
            started: self.started,
            ended,
        }
    }
}
