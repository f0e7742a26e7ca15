//! Lines on their way out of the process.
//!
//! Why by a thread of their own: whoever reads the log may stop to, and the disk that it goes to may
//! be full. No call is to wait for either. So a line goes into a bounded queue; what finds no room
//! there, or cannot be written, is counted, and the log tells so as soon as it goes on. Nothing is
//! waited for before it does: each line is tried.

use std::{
    collections::VecDeque,
    io::{self, Write},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use tracing_subscriber::fmt::MakeWriter;

/// Bytes of lines that may wait to be written.
const QUEUE_BYTES: usize = 4 << 20;
/// How long the end of the process waits for them.
const FLUSH_WITHIN: Duration = Duration::from_secs(2);

/// The log of this process. Dropping it waits until all lines are written, for two seconds at most,
/// and ends the log.
#[derive(Debug)]
#[must_use = "dropping it ends the log"]
pub struct LogGuard(Arc<Queue>);

impl Drop for LogGuard {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Where lines are put.
#[derive(Debug, Clone)]
pub(super) struct Lines(Arc<Queue>);

#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    /// Something is to be written, or nothing more will be.
    more: Condvar,
    /// Nothing is left to be written.
    empty: Condvar,
    lost: AtomicU64,
}

#[derive(Debug, Default)]
struct Waiting {
    lines: VecDeque<Vec<u8>>,
    /// Of these lines, and of the one that is being written.
    bytes: usize,
    ended: bool,
}

/// Starts a thread that writes to `to` what is put into the lines.
///
/// # Errors
/// If the system has no thread.
pub(super) fn lines(to: impl Write + Send + 'static) -> io::Result<(Lines, LogGuard)> {
    let queue = Arc::new(Queue::default());
    let ours = Arc::clone(&queue);
    thread::Builder::new()
        .name("log".to_owned())
        .spawn(move || write_lines(&ours, to))?;
    Ok((Lines(Arc::clone(&queue)), LogGuard(queue)))
}

impl Lines {
    /// For who wants to count.
    pub(super) fn queue(&self) -> Arc<Queue> {
        Arc::clone(&self.0)
    }
}

impl MakeWriter<'_> for Lines {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// Takes a whole line with each `write`, as the subscriber hands it over. Never waits, never fails.
impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Queue {
    /// Lines that were not written, since the beginning.
    pub(super) fn lost(&self) -> u64 {
        self.lost.load(Relaxed)
    }

    fn push(&self, line: &[u8]) {
        let mut waiting = self.lock();
        let bytes = waiting.bytes + line.len();
        if waiting.ended || bytes > QUEUE_BYTES {
            self.lost.fetch_add(1, Relaxed);
            return;
        }
        waiting.bytes = bytes;
        waiting.lines.push_back(line.to_vec());
        drop(waiting);
        self.more.notify_one();
    }

    /// The next line, waited for; `None` at the end.
    fn next(&self) -> Option<Vec<u8>> {
        let idle = |waiting: &mut Waiting| waiting.lines.is_empty() && !waiting.ended;
        let waiting = self.more.wait_while(self.lock(), idle);
        let mut waiting = waiting.unwrap_or_else(PoisonError::into_inner);
        waiting.lines.pop_front()
    }

    /// A line was written, or could not be.
    fn done(&self, line: &[u8]) {
        let mut waiting = self.lock();
        waiting.bytes -= line.len();
        if waiting.bytes == 0 {
            self.empty.notify_all();
        }
    }

    fn end(&self) {
        let left = |waiting: &mut Waiting| waiting.bytes > 0;
        let waiting = self
            .empty
            .wait_timeout_while(self.lock(), FLUSH_WITHIN, left);
        let (mut waiting, _) = waiting.unwrap_or_else(PoisonError::into_inner);
        waiting.ended = true;
        drop(waiting);
        self.more.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn write_lines(queue: &Queue, to: impl Write) {
    let mut out = Out { to, torn: false };
    let mut told = 0;
    while let Some(line) = queue.next() {
        if out.write(&line).is_err() {
            queue.lost.fetch_add(1, Relaxed);
        } else if queue.lost() > told {
            told = queue.lost();
            // This line too goes through the queue; if it is lost, the next one tells of more.
            tracing::warn!(
                lines_lost = told,
                "the log goes on; lines were lost since its beginning, because they could not be \
                 written or not fast enough"
            );
        }
        queue.done(&line);
    }
}

/// Writes line by line.
struct Out<W> {
    to: W,
    /// Whether a line was broken off: the next one must not be joined to it.
    torn: bool,
}

impl<W: Write> Out<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        if self.torn {
            self.to.write_all(b"\n")?;
            self.torn = false;
        }
        let mut rest = line;
        while !rest.is_empty() {
            match self.to.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    rest = &rest[written..];
                    self.torn = !rest.is_empty();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::mpsc;

    use super::*;

    /// Takes so many bytes, and then fails.
    struct Disk {
        room: usize,
        written: Vec<u8>,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = bytes.len().min(self.room);
            if taken == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.room -= taken;
            self.written.extend_from_slice(&bytes[..taken]);
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_that_was_broken_off_spoils_no_other() {
        let disk = Disk {
            room: 6,
            written: Vec::new(),
        };
        let mut out = Out {
            to: disk,
            torn: false,
        };
        out.write(b"one\n").unwrap();
        out.write(b"two\n").unwrap_err();
        out.write(b"three\n").unwrap_err();
        out.to.room = 100;
        out.write(b"four\n").unwrap();
        out.write(b"five\n").unwrap();
        assert_eq!(out.to.written, b"one\ntw\nfour\nfive\n");
    }

    /// Waits for a word before each line that it takes.
    struct Stuck {
        go: mpsc::Receiver<()>,
        taken: mpsc::Sender<usize>,
    }

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.go.recv().map_err(io::Error::other)?;
            self.taken.send(bytes.len()).map_err(io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_who_has_stopped_costs_lines_and_no_time() {
        let (go, gone) = mpsc::channel();
        let (taken, seen) = mpsc::channel();
        let (mut lines, guard) = lines(Stuck { go: gone, taken }).unwrap();
        let line = vec![b'x'; QUEUE_BYTES / 8];
        for _ in 0..20 {
            lines.write_all(&line).unwrap();
        }
        assert_eq!(guard.0.lost(), 12);
        for _ in 0..8 {
            go.send(()).unwrap();
        }
        assert_eq!(seen.iter().take(8).sum::<usize>(), QUEUE_BYTES);
        // There is room again, and the end waits for what is written.
        go.send(()).unwrap();
        go.send(()).unwrap();
        lines.write_all(b"last\n").unwrap();
        drop(guard);
        assert_eq!(seen.try_recv().unwrap(), 5);
    }
}
