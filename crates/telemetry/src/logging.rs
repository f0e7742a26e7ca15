//! The set-up of logs.
//!
//! A machine reads JSON, one object a line, fields at the top; people read text. Both go to a writer
//! of the caller's choice, so that standard output stays free for what a command prints. Who logs
//! never waits for that writer: see [`lines`].

mod lines;
mod pace;

use std::{
    env, fmt,
    io::{self, Write},
    sync::{Arc, OnceLock},
};

use tracing::Subscriber;
use tracing_subscriber::{
    EnvFilter,
    fmt::{
        MakeWriter, SubscriberBuilder,
        time::{FormatTime, SystemTime},
    },
    reload,
    util::SubscriberInitExt as _,
};

use self::lines::Queue;
pub use self::{
    lines::LogGuard,
    pace::{Pace, Paces},
};

/// The log of this process, once it is set up.
static OURS: OnceLock<Arc<Queue>> = OnceLock::new();

/// The environment variable that overrides the level.
const FILTER_VARIABLE: &str = "RUST_LOG";

/// Libraries whose errors their users tell, once and in other words; they would tell each attempt.
const OTHERS: &str = "kube_client=off";

/// The form of log lines. In both, times are RFC 3339 in UTC, to the microsecond.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Format {
    /// One JSON object a line: `timestamp`, `level`, `target`, `message` and all fields of the event
    /// side by side; fields of spans in `spans`.
    Json,
    /// Text for people, in colours on a terminal.
    Text,
}

/// Why logs could not be set up. The fault lies with whoever started this process.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// The filter cannot be read.
    #[error(
        "`{filter}` is no log filter: write a level such as info, or target=level pairs such as holdline_legs=debug,info ({why})"
    )]
    Filter {
        /// As it was written.
        filter: String,
        /// In the words of the filter's reader.
        why: String,
    },
    /// Something in this process has set up logs before.
    #[error("logs are set up already in this process")]
    AlreadySet,
    /// The system has no thread for them. A retry may help.
    #[error("there is no thread to write logs: {0}")]
    Thread(#[from] io::Error),
}

/// The level of this process's log, to be changed while it runs.
pub struct Level {
    /// `None`: `RUST_LOG` says what is logged.
    set: Option<Box<SetFilter>>,
}

type SetFilter = dyn Fn(EnvFilter) + Send + Sync;

impl Level {
    /// From now on this level (such as `info`) and above is logged, unless `RUST_LOG` was set when the
    /// process started: then nothing changes.
    ///
    /// # Errors
    /// If the level cannot be read; the one before stays.
    pub fn set(&self, level: &str) -> Result<(), LoggingError> {
        if let Some(set) = &self.set {
            set(read(&filter_of(level))?);
        }
        Ok(())
    }
}

impl fmt::Debug for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Level").finish_non_exhaustive()
    }
}

/// Sets up logs for this process: to `writer` (usually `std::io::stderr`), in `format`, at `level`
/// (such as `info`) and above. The environment variable `RUST_LOG` overrides `level`.
///
/// Lines are written by a thread of their own; at most 4 MiB of them wait for it. Those that find no
/// room, or that `writer` refuses, are lost and counted: [`lost_lines`], and a line when the log goes
/// on. The guard is to be kept until the end of the process: its end waits for the last lines.
///
/// # Errors
/// If the filter cannot be read, logs are set up already, or the system has no thread.
pub fn init<W>(format: Format, level: &str, writer: W) -> Result<(LogGuard, Level), LoggingError>
where
    W: Write + Send + 'static,
{
    let overriding = env::var(FILTER_VARIABLE).ok();
    let overriding = overriding.filter(|filter| !filter.trim().is_empty());
    let fixed = overriding.is_some();
    let filter = overriding.unwrap_or_else(|| filter_of(level));
    let (lines, guard) = lines::lines(writer)?;
    let queue = lines.queue();
    let (subscriber, set) = subscriber_at(format, &filter, lines, SystemTime)?;
    subscriber
        .try_init()
        .map_err(|_| LoggingError::AlreadySet)?;
    // Nobody else was here before: only one subscriber can be the process's.
    let _ = OURS.set(queue);
    let set = (!fixed).then_some(set);
    Ok((guard, Level { set }))
}

/// Lines of this process's log that were not written, since [`init`].
#[must_use]
pub fn lost_lines() -> u64 {
    OURS.get().map_or(0, |queue| queue.lost())
}

/// What [`init`] sets for the process, without setting it: for tests and for a log of one's own.
///
/// # Errors
/// If the filter cannot be read.
pub fn subscriber<W>(
    format: Format,
    filter: &str,
    writer: W,
) -> Result<Box<dyn Subscriber + Send + Sync>, LoggingError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    subscriber_at(format, filter, writer, SystemTime).map(|(subscriber, _)| subscriber)
}

type Built = (Box<dyn Subscriber + Send + Sync>, Box<SetFilter>);

fn subscriber_at<W>(
    format: Format,
    filter: &str,
    writer: W,
    time: impl FormatTime + Send + Sync + 'static,
) -> Result<Built, LoggingError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let builder = SubscriberBuilder::default()
        .with_env_filter(read(filter)?)
        .with_timer(time)
        // A line that cannot be written is told with `eprintln!`, which panics where standard error
        // is what cannot be written to: a full disk would end the task of whichever call logs.
        .log_internal_errors(false)
        .with_writer(writer);
    Ok(match format {
        Format::Json => {
            let builder = builder.json().flatten_event(true).with_current_span(false);
            let builder = builder.with_filter_reloading();
            let handle = builder.reload_handle();
            (Box::new(builder.finish()), setter(handle))
        }
        Format::Text => {
            use std::io::IsTerminal as _;
            let colours = io::stderr().is_terminal() && env::var_os("NO_COLOR").is_none();
            let builder = builder.with_ansi(colours).with_filter_reloading();
            let handle = builder.reload_handle();
            (Box::new(builder.finish()), setter(handle))
        }
    })
}

fn setter<S: 'static>(handle: reload::Handle<EnvFilter, S>) -> Box<SetFilter> {
    Box::new(move |filter| {
        // It fails where the subscriber is gone: then nothing is logged that could be filtered.
        let _ = handle.reload(filter);
    })
}

fn filter_of(level: &str) -> String {
    format!("{level},{OTHERS}")
}

fn read(filter: &str) -> Result<EnvFilter, LoggingError> {
    let refused = |error: tracing_subscriber::filter::ParseError| LoggingError::Filter {
        filter: filter.to_owned(),
        why: error.to_string(),
    };
    EnvFilter::builder().parse(filter).map_err(refused)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::Mutex;

    use tracing_subscriber::fmt::format::Writer;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Lines {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    struct Fixed;

    impl FormatTime for Fixed {
        fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
            writer.write_str("2026-09-21T14:13:20.000042Z")
        }
    }

    fn logged(format: Format, filter: &str, log: impl FnOnce()) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let (subscriber, _) = subscriber_at(format, filter, move || writer.clone(), Fixed).unwrap();
        tracing::subscriber::with_default(subscriber, log);
        lines.text()
    }

    #[test]
    fn json_has_one_flat_object_a_line() {
        let text = logged(Format::Json, "info", || {
            tracing::info!(session = "5f", gap_us = 1_500, "handoff");
            tracing::debug!("not told");
            let span = tracing::info_span!("call", call_sid = "CA1");
            span.in_scope(|| tracing::warn!("within"));
        });
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines,
            [
                r#"{"timestamp":"2026-09-21T14:13:20.000042Z","level":"INFO","message":"handoff","session":"5f","gap_us":1500,"target":"holdline_telemetry::logging::tests"}"#,
                r#"{"timestamp":"2026-09-21T14:13:20.000042Z","level":"WARN","message":"within","target":"holdline_telemetry::logging::tests","spans":[{"call_sid":"CA1","name":"call"}]}"#,
            ]
        );
    }

    #[test]
    fn text_is_for_people() {
        let text = logged(Format::Text, "info", || tracing::info!(worker = 7, "ready"));
        assert_eq!(
            text,
            "2026-09-21T14:13:20.000042Z  INFO holdline_telemetry::logging::tests: ready worker=7\n"
        );
    }

    #[test]
    fn filters_by_target() {
        let filter = "holdline_telemetry=debug,error";
        let text = logged(Format::Text, filter, || {
            tracing::debug!("told");
            tracing::warn!(target: "h2", "not told");
        });
        assert!(
            text.contains("told") && !text.contains("not told"),
            "{text}"
        );
    }

    #[test]
    fn the_level_changes_while_the_process_runs() {
        let lines = Lines::default();
        let writer = lines.clone();
        let built = subscriber_at(Format::Json, "info", move || writer.clone(), Fixed);
        let (subscriber, set) = built.unwrap();
        let level = Level { set: Some(set) };
        tracing::subscriber::with_default(subscriber, || {
            let step = |number| tracing::debug!(number, "step");
            step(1);
            level.set("debug").unwrap();
            step(2);
            assert!(level.set("holdline=loud").is_err());
            step(3);
            level.set("warn").unwrap();
            step(4);
        });
        let text = lines.text();
        let numbers = (1..=4).filter(|number| text.contains(&format!(r#""number":{number}"#)));
        assert_eq!(numbers.collect::<Vec<_>>(), [2, 3], "{text}");
    }

    #[test]
    fn a_filter_that_cannot_be_read() {
        let refused = subscriber(Format::Json, "holdline=loud", io::sink);
        let said = refused.err().unwrap().to_string();
        assert!(
            said.starts_with("`holdline=loud` is no log filter"),
            "{said}"
        );
    }

    #[test]
    fn times_are_rfc_3339_in_utc_to_the_microsecond() {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = subscriber(Format::Text, "info", move || writer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, || tracing::info!("now"));
        let text = lines.text();
        let shape: String = text
            .chars()
            .take(27)
            .map(|c| if c.is_ascii_digit() { '0' } else { c })
            .collect();
        assert_eq!(shape, "0000-00-00T00:00:00.000000Z");
    }

    #[test]
    fn twice_is_an_error_and_no_panic() {
        let first = init(Format::Json, "off", io::sink());
        let second = init(Format::Text, "off", io::sink());
        assert!(first.is_ok());
        assert!(matches!(second, Err(LoggingError::AlreadySet)));
    }
}
