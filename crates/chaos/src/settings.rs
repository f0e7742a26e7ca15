//! What every fault can be told.

use std::{
    env,
    ffi::OsString,
    io::{self, Write as _},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use clap::Args;

/// Options of every fault.
#[derive(Args, Debug, Clone)]
pub struct Settings {
    /// Simultaneous calls.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=200))]
    pub calls: u32,
    /// How often the fault is done, in place of its own number.
    #[arg(long, value_name = "TIMES", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub repeat: Option<u32>,
    /// Does it again and again for this long, such as 10m.
    #[arg(long = "for", value_name = "DURATION", value_parser = humantime::parse_duration, conflicts_with = "repeat")]
    pub lasting: Option<Duration>,
    /// Worker processes.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(2..=16))]
    pub workers: u8,
    /// For everything that is left to chance. Processes have their own timing, so that the same
    /// seed means the same plan, not the same run.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// The program under test; else `holdline` beside this program, or one folder up.
    #[arg(long, value_name = "FILE")]
    pub holdline: Option<PathBuf>,
    /// Keeps the files and logs of all processes here. Made if need be.
    #[arg(long, value_name = "FOLDER")]
    pub keep: Option<PathBuf>,
    /// Prints the table in Markdown.
    #[arg(long)]
    pub markdown: bool,
}

impl Settings {
    /// The program under test.
    ///
    /// # Errors
    /// If it is not there.
    pub(crate) fn program(&self) -> io::Result<PathBuf> {
        let found = match &self.holdline {
            Some(path) => path.canonicalize().ok(),
            None => beside_us("holdline"),
        };
        found.ok_or_else(|| {
            io::Error::other(
                "the program `holdline` is not there: build it with `cargo build --bin holdline`, \
                 or name it with --holdline",
            )
        })
    }

    /// How often, and until when.
    pub(crate) fn rounds(&self, usual: u32) -> Rounds {
        Rounds {
            left: match self.lasting {
                Some(_) => u32::MAX,
                None => self.repeat.unwrap_or(usual),
            },
            until: self.lasting.map(|lasting| Instant::now() + lasting),
            done: 0,
        }
    }
}

/// The command of the worker whose faults are wanted: this very program.
///
/// # Errors
/// If the system does not know what runs.
pub(crate) fn faulty_worker(options: &[&str]) -> io::Result<Vec<OsString>> {
    let mut words = vec![env::current_exe()?.into_os_string(), "worker".into()];
    words.extend(options.iter().map(OsString::from));
    Ok(words)
}

/// Repetitions of a fault.
#[derive(Debug)]
pub(crate) struct Rounds {
    left: u32,
    until: Option<Instant>,
    /// How many were begun.
    pub(crate) done: u32,
}

impl Rounds {
    /// Whether there is another one, which then counts as begun.
    pub(crate) fn another(&mut self) -> bool {
        let time_is_up = self.until.is_some_and(|until| Instant::now() >= until);
        if self.left == 0 || time_is_up {
            return false;
        }
        self.left -= 1;
        self.done += 1;
        true
    }
}

fn beside_us(name: &str) -> Option<PathBuf> {
    let us = env::current_exe().ok()?;
    let folder = us.parent()?;
    // An example of cargo's lives one folder further down.
    let places = [folder, folder.parent().unwrap_or(Path::new("/"))];
    let candidate = |place: &Path| place.join(name);
    places.into_iter().map(candidate).find(|it| it.is_file())
}

/// One line of progress, on standard error; who closed it is not interested.
pub(crate) fn tell(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}
