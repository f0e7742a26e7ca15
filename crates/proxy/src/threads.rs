//! The threads that calls live on, each with a single-threaded runtime of its own.
//!
//! A frame passes through several tasks: its socket's, the worker's stream and connection, and back.
//! Where these share a thread, none of them has to wake another core or wait for a lock, which saves
//! a quarter of the time that a frame costs on a runtime of all cores. So a connection is given to a
//! thread when it is accepted, and all that comes of it stays there: the call, the legs that it
//! dials, its streams to workers and the connections under them.
//!
//! What is not a call (discovery, health, the admin port, drain) runs where the edge was started,
//! and a flood of frames cannot hold it up.

use std::{convert::Infallible, io, sync::Arc, thread};

use tokio::{
    runtime::{Builder, Handle},
    sync::oneshot,
};

use nap::Naps;

mod nap;

/// The threads of one edge. Dropping it stops them, and cuts what still runs there.
#[derive(Debug)]
pub(crate) struct Threads {
    handles: Arc<[Handle]>,
    _running: Vec<oneshot::Sender<Infallible>>,
}

impl Threads {
    /// Starts so many threads, one at least.
    ///
    /// # Errors
    /// If the system has no thread or no file descriptor left for it.
    pub(crate) fn start(count: usize) -> io::Result<Self> {
        let threads: Vec<_> = (0..count.max(1)).map(start).collect::<Result<_, _>>()?;
        let (handles, running): (Vec<_>, _) = threads.into_iter().unzip();
        Ok(Self {
            handles: handles.into(),
            _running: running,
        })
    }

    /// Picks the thread with the fewest tasks, each time that it is called: a call has as many as
    /// any other, so that is the thread with the fewest calls.
    pub(crate) fn choice(&self) -> impl Fn() -> Handle + Send + Sync + use<> {
        let handles = Arc::clone(&self.handles);
        let fewest = move || {
            handles
                .iter()
                .min_by_key(|handle| handle.metrics().num_alive_tasks())
                .cloned()
        };
        // There is one at least.
        move || fewest().unwrap_or_else(Handle::current)
    }

    /// Counts the tasks on all threads, each time that it is called.
    pub(crate) fn tasks(&self) -> impl Fn() -> usize + Send + Sync + use<> {
        let handles = Arc::clone(&self.handles);
        move || {
            let tasks = handles.iter().map(|it| it.metrics().num_alive_tasks());
            tasks.sum()
        }
    }
}

/// A thread that runs until its sender is dropped.
fn start(index: usize) -> io::Result<(Handle, oneshot::Sender<Infallible>)> {
    let naps = Arc::new(Naps::new());
    let (parks, unparks) = (Arc::clone(&naps), naps);
    let runtime = Builder::new_current_thread()
        .enable_all()
        .on_thread_park(move || parks.park())
        .on_thread_unpark(move || unparks.unpark())
        .build()?;
    let handle = runtime.handle().clone();
    let (running, stopped) = oneshot::channel::<Infallible>();
    thread::Builder::new()
        .name(format!("calls-{index}"))
        .spawn(move || {
            let _ = runtime.block_on(stopped);
            // A name that is being looked up cannot be called back, and nobody waits for it.
            runtime.shutdown_background();
        })?;
    Ok((handle, running))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::{collections::BTreeSet, future::pending};

    use tokio::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn work_is_spread_evenly_and_stays_on_its_thread() {
        let threads = Threads::start(3).unwrap();
        let choose = threads.choice();
        let (tell, mut told) = mpsc::unbounded_channel();
        for _ in 0..6 {
            let tell = tell.clone();
            choose().spawn(async move {
                tell.send(thread::current().name().map(str::to_owned))
                    .unwrap();
                pending::<()>().await;
            });
        }
        let mut names = Vec::new();
        for _ in 0..6 {
            names.push(told.recv().await.unwrap().unwrap());
        }
        names.sort();
        let expected = [
            "calls-0", "calls-0", "calls-1", "calls-1", "calls-2", "calls-2",
        ];
        assert_eq!(names, expected);
        assert_eq!(threads.tasks()(), 6);
    }

    #[tokio::test]
    async fn what_runs_is_cut_when_they_are_dropped() {
        let threads = Threads::start(2).unwrap();
        let (held, mut gone) = mpsc::channel::<()>(1);
        let choose = threads.choice();
        let mut ids = BTreeSet::new();
        for _ in 0..2 {
            let held = held.clone();
            let handle = choose();
            ids.insert(handle.id().to_string());
            handle.spawn(async move {
                let _held = held;
                pending::<()>().await;
            });
        }
        drop(held);
        assert_eq!(ids.len(), 2);
        drop(threads);
        assert_eq!(gone.recv().await, None);
    }
}
