//! What people see while the demo runs: a table that updates on a terminal, plain lines elsewhere.

use std::{
    io::{self, IsTerminal as _, Write as _},
    time::{Duration, Instant},
};

use holdline_testkit::{stage::WorkerRow, twilio::Progress};

/// Lines of the table that stay in view.
const NEWS_MAX: usize = 8;
/// How often plain lines tell the numbers.
const PLAIN_EVERY: Duration = Duration::from_secs(5);

/// The numbers of a moment.
#[derive(Debug, Default)]
pub(super) struct Now {
    pub(super) calls: Vec<Progress>,
    pub(super) workers: Vec<WorkerRow>,
    pub(super) handoffs: usize,
}

/// Shows it.
#[derive(Debug)]
pub(super) struct Show {
    start: Instant,
    terminal: bool,
    news: Vec<String>,
    drawn: usize,
    plain_at: Instant,
}

impl Show {
    pub(super) fn new(start: Instant) -> Self {
        Self {
            start,
            terminal: io::stdout().is_terminal(),
            news: Vec::new(),
            drawn: 0,
            plain_at: start,
        }
    }

    /// Something was done.
    pub(super) fn tell(&mut self, text: &str) {
        let line = format!("{:>6.1} s  {text}", self.start.elapsed().as_secs_f64());
        if self.terminal {
            self.news.push(line);
            if self.news.len() > NEWS_MAX {
                self.news.remove(0);
            }
        } else {
            say(&line);
        }
    }

    /// The numbers as they are now.
    pub(super) fn update(&mut self, now: &Now) {
        if self.terminal {
            self.draw(now);
        } else if self.plain_at.elapsed() >= PLAIN_EVERY {
            self.plain_at = Instant::now();
            self.tell(&one_line(now));
        }
    }

    /// Leaves the last table where it is.
    pub(super) fn end(&mut self) {
        self.drawn = 0;
    }

    fn draw(&mut self, now: &Now) {
        let mut lines = vec![String::new(), one_line(now), String::new()];
        lines.push("  worker             version    state        calls".to_owned());
        for row in now.workers.iter().filter(|row| !row.version.is_empty()) {
            lines.push(format!(
                "  {:<18} {:<10} {:<12} {:>5}",
                row.address, row.version, row.state, row.sessions
            ));
        }
        lines.push(String::new());
        lines.extend(self.news.iter().cloned());
        let mut out = String::new();
        if self.drawn > 0 {
            // Back to the first line of the table, and clear what is below.
            out.push_str(&format!("\x1b[{}A\x1b[J", self.drawn));
        }
        for line in &lines {
            out.push_str(line);
            out.push('\n');
        }
        self.drawn = lines.len();
        let mut stdout = io::stdout().lock();
        // A terminal that is gone must not end the calls.
        let _ = stdout
            .write_all(out.as_bytes())
            .and_then(|()| stdout.flush());
    }
}

fn one_line(now: &Now) -> String {
    let up = now.calls.iter().filter(|call| !call.over).count();
    let sum = |count: fn(&Progress) -> u64| now.calls.iter().map(count).sum::<u64>();
    let talking = now.calls.iter().filter(|call| call.speaking).count();
    let hearing = now.calls.iter().filter(|call| call.playing).count();
    format!(
        "{up} calls up ({talking} talking, {hearing} hearing)  frames out {}  in {}  \
         barge-ins {}  handoffs {}",
        sum(|call| call.frames_sent),
        sum(|call| call.frames_received),
        sum(|call| call.clears),
        now.handoffs
    )
}

/// One line on standard output; who closed it is not interested.
pub(super) fn say(line: &str) {
    let _ = writeln!(io::stdout().lock(), "{line}");
}
