//! The edge's admin port as a browser uses it that has the dashboard open.
//!
//! It asks for what the page asks for (`crates/proxy/src/admin/dashboard`): its files, the stream of
//! events, and once that is live the past of the calls in sight, a few at a time. Then it only listens.

use std::{
    io::{self, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

const FILES: [&str; 8] = [
    "/",
    "/dashboard/style.css",
    "/dashboard/app.js",
    "/dashboard/book.js",
    "/dashboard/draw.js",
    "/dashboard/events.js",
    "/dashboard/rows.js",
    "/dashboard/words.js",
];
/// Lines of the list that a large window shows.
const IN_SIGHT: usize = 40;
/// Calls that the page asks for at once.
const AT_ONCE: usize = 4;
/// What stands before a session's id in the events, and how long the id is.
const ID: (&[u8], usize) = (br#""id":""#, 32);
const LIVE: &[u8] = b"event: live\n";
/// Longest silence of the edge; it tells its counters every second.
const PATIENCE: Duration = Duration::from_secs(60);

/// An open page, on a thread of its own.
pub(crate) struct Page {
    events: TcpStream,
    live: Arc<AtomicBool>,
    listening: JoinHandle<io::Result<()>>,
}

impl Page {
    /// Begins to open it.
    ///
    /// # Errors
    /// If the edge's admin port cannot be reached.
    pub(crate) fn open(admin: SocketAddr) -> io::Result<Self> {
        for file in FILES {
            get(admin, file)?;
        }
        let events = ask(admin, "/events")?;
        let live = Arc::new(AtomicBool::new(false));
        let (stream, told) = (events.try_clone()?, Arc::clone(&live));
        Ok(Self {
            events,
            live,
            listening: thread::spawn(move || listen(stream, admin, &told)),
        })
    }

    /// Whether all is shown, and from now on only changes come. True also where it failed:
    /// [`close`](Self::close) tells.
    pub(crate) fn is_there(&self) -> bool {
        self.live.load(Ordering::Acquire) || self.listening.is_finished()
    }

    /// Closes it.
    ///
    /// # Errors
    /// If the edge had stopped telling before.
    pub(crate) fn close(self) -> io::Result<()> {
        let ended = self.listening.is_finished();
        self.events.shutdown(Shutdown::Both)?;
        let listened = self.listening.join();
        let listened = listened.map_err(|_| io::Error::other("the page's thread panicked"))?;
        if ended {
            listened?;
            return Err(io::Error::other("the edge ended its stream of events"));
        }
        Ok(())
    }
}

/// The whole answer, head and body, of one request on a connection of its own.
///
/// # Errors
/// If there is none within a minute, or it is not 200.
pub(crate) fn get(admin: SocketAddr, path: &str) -> io::Result<Vec<u8>> {
    let mut answer = Vec::new();
    ask(admin, path)?.read_to_end(&mut answer)?;
    if answer.starts_with(b"HTTP/1.1 200 ") {
        return Ok(answer);
    }
    let line = answer.split(|byte| *byte == b'\r').next();
    let line = String::from_utf8_lossy(line.unwrap_or_default());
    Err(io::Error::other(format!(
        "{path} was answered with `{line}`"
    )))
}

fn ask(admin: SocketAddr, path: &str) -> io::Result<TcpStream> {
    let mut socket = TcpStream::connect(admin)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.set_nodelay(true)?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n");
    socket.write_all(request.as_bytes())?;
    Ok(socket)
}

/// Listens until the stream ends.
fn listen(mut events: TcpStream, admin: SocketAddr, live: &AtomicBool) -> io::Result<()> {
    let mut piece = vec![0; 64 << 10];
    let mut beginning = Vec::new();
    loop {
        let len = events.read(&mut piece)?;
        if len == 0 {
            return Ok(());
        }
        if live.load(Ordering::Relaxed) {
            continue;
        }
        beginning.extend_from_slice(&piece[..len]);
        if beginning.windows(LIVE.len()).any(|some| some == LIVE) {
            look(admin, &ids(&beginning))?;
            beginning = Vec::new();
            live.store(true, Ordering::Release);
        }
    }
}

/// The sessions that come first; one that two pieces of the stream share is passed over.
fn ids(events: &[u8]) -> Vec<String> {
    let (name, len) = ID;
    let at = events.windows(name.len()).enumerate();
    let at = at.filter_map(|(at, some)| (some == name).then_some(at + name.len()));
    let id = at.filter_map(|at| str::from_utf8(events.get(at..at + len)?).ok());
    let whole = id.filter(|id| id.bytes().all(|byte| byte.is_ascii_hexdigit()));
    whole.take(IN_SIGHT).map(str::to_owned).collect()
}

/// Asks what happened to these calls before the page was there.
fn look(admin: SocketAddr, ids: &[String]) -> io::Result<()> {
    let share = ids.len().div_ceil(AT_ONCE).max(1);
    thread::scope(|scope| {
        let some = |ids: &[String]| -> io::Result<()> {
            ids.iter()
                .try_for_each(|id| get(admin, &format!("/sessions/{id}")).map(drop))
        };
        let looking: Vec<_> = ids
            .chunks(share)
            .map(|ids| scope.spawn(move || some(ids)))
            .collect();
        let panicked = |_| Err(io::Error::other("a thread that looks panicked"));
        let mut looking = looking.into_iter();
        looking.try_for_each(|it| it.join().unwrap_or_else(panicked))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_found_among_the_events() {
        let id = "0123456789abcdef0123456789abcdef";
        let events = format!(
            "event: snapshot\ndata: {{\"id\":7}}\n\nevent: sessions\ndata: \
             [{{\"id\":\"{id}\"}},{{\"id\":\"01234\r\n1000\r\n\"}}]\n\n"
        );
        assert_eq!(ids(events.as_bytes()), [id]);
    }
}
