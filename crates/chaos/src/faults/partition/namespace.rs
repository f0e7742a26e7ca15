//! Network namespaces that leave nothing behind.
//!
//! A namespace lives as long as a process in it. Ours is kept by a child that waits for the end of
//! its input: when this program ends, in whichever way, so does the child, and the namespace.

use std::{
    ffi::OsString,
    fs::File,
    future::Future,
    io::{self, Write as _},
    net::Shutdown,
    os::fd::AsFd,
    os::unix::net::UnixStream,
    process::{Child, Command, Stdio},
    sync::Arc,
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// What to say to those who lack something.
const NEEDS: &str = "network namespaces need root, and the programs `ip`, `unshare` and `nsenter` \
                     (Debian: apt-get install iproute2 util-linux)";

/// A network namespace.
#[derive(Debug)]
pub(super) struct Namespace {
    keeper: Child,
    /// Its end is the keeper's end.
    input: UnixStream,
    handle: Arc<File>,
}

impl Namespace {
    /// A new one, with nothing in it.
    ///
    /// # Errors
    /// Without the rights or the programs; the error says what is needed.
    pub(super) fn new() -> io::Result<Self> {
        let (ours, theirs) = UnixStream::pair()?;
        let mut keeper = Command::new("unshare")
            .args(["--net", "--", "cat"])
            .stdin(Stdio::from(std::os::fd::OwnedFd::from(theirs.try_clone()?)))
            .stdout(Stdio::from(std::os::fd::OwnedFd::from(theirs)))
            .stderr(Stdio::null())
            .spawn()
            .map_err(lacking)?;
        // What comes back tells that the namespace is there.
        let mut echo = [0_u8; 1];
        (&ours).write_all(b"?")?;
        if io::Read::read(&mut (&ours), &mut echo)? == 0 {
            keeper.wait()?;
            return Err(io::Error::other(NEEDS));
        }
        let handle = File::open(format!("/proc/{}/ns/net", keeper.id()))?;
        Ok(Self {
            keeper,
            input: ours,
            handle: Arc::new(handle),
        })
    }

    /// Gives it a loopback.
    ///
    /// # Errors
    /// Without the rights or the programs.
    pub(super) fn with_loopback(&self) -> io::Result<()> {
        let mut words = self.prefix();
        words.extend(["ip", "link", "set", "lo", "up"].map(OsString::from));
        let status = Command::new(&words[0]).args(&words[1..]).status();
        match status.map_err(lacking)?.success() {
            true => Ok(()),
            false => Err(io::Error::other(NEEDS)),
        }
    }

    /// Words before a command that shall run inside.
    pub(super) fn prefix(&self) -> Vec<OsString> {
        let file = format!("--net=/proc/{}/ns/net", self.keeper.id());
        vec!["nsenter".into(), file.into(), "--".into()]
    }

    /// Does something on a thread that lives inside.
    ///
    /// # Errors
    /// If the thread cannot enter, or what it did failed.
    pub(super) fn inside<T: Send>(
        &self,
        doing: impl FnOnce() -> io::Result<T> + Send,
    ) -> io::Result<T> {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                enter(&self.handle)?;
                doing()
            });
            thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Runs a future on a runtime all of whose threads live inside: its sockets are of this
    /// namespace, and so are the processes that it starts.
    ///
    /// # Errors
    /// If a thread cannot enter, or what the future did failed.
    pub(super) fn block_on<'a, T, F>(
        &'a self,
        doing: impl FnOnce(&'a Self) -> F + Send,
    ) -> io::Result<T>
    where
        T: Send,
        F: Future<Output = io::Result<T>> + 'a,
    {
        self.inside(|| {
            let handle = Arc::clone(&self.handle);
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .enable_all()
                .on_thread_start(move || {
                    // The first thread did the same a moment ago.
                    let _ = enter(&handle);
                })
                .build()?;
            runtime.block_on(Box::pin(doing(self)))
        })
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // The keeper ends with its input; it is waited for, so that it does not stay as a zombie.
        let _ = self.input.shutdown(Shutdown::Both);
        let _ = self.keeper.wait();
    }
}

fn enter(handle: &File) -> io::Result<()> {
    move_into_link_name_space(handle.as_fd(), Some(LinkNameSpaceType::Network))?;
    Ok(())
}

fn lacking(error: io::Error) -> io::Error {
    io::Error::other(format!("{NEEDS}: {error}"))
}
