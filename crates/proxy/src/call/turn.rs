//! Which sources of a call are worth asking.
//!
//! A call is woken for each frame, mostly by one of its sources: a socket, or a stream to a worker.
//! To ask the others too, and all of them again until none has anything more, costs more than the
//! frame: an idle WebSocket alone clears its read buffer for each time that it is asked. So each
//! source has a waker of its own, which notes that it is this source's turn and then wakes the call.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use futures_util::task::AtomicWaker;

/// Wakes the call's task, whichever of its sources asks for it.
#[derive(Clone, Debug, Default)]
pub(super) struct Bell(Arc<AtomicWaker>);

impl Bell {
    /// To be woken from now on. To come before any source is asked.
    pub(super) fn listen(&self, cx: &Context<'_>) {
        self.0.register(cx.waker());
    }
}

/// Whether it is one source's turn. At first it is.
#[derive(Debug)]
pub(super) struct Turn {
    flag: Arc<Flag>,
    waker: Waker,
    /// How the source was asked last.
    read: bool,
}

#[derive(Debug)]
struct Flag {
    is_due: AtomicBool,
    bell: Bell,
}

impl Turn {
    pub(super) fn new(bell: &Bell) -> Self {
        let flag = Arc::new(Flag {
            is_due: AtomicBool::new(true),
            bell: bell.clone(),
        });
        Self {
            waker: Waker::from(Arc::clone(&flag)),
            flag,
            read: false,
        }
    }

    /// Something was given to the source, which it has to see to.
    pub(super) fn call(&self) {
        self.flag.is_due.store(true, Ordering::Release);
    }

    /// Asks the source by `ask` if it is its turn, or if it is now to be `read` otherwise than
    /// before. It stays its turn for as long as it has something to tell.
    pub(super) fn take<T>(
        &mut self,
        read: bool,
        ask: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        let is_due = self.flag.is_due.swap(false, Ordering::AcqRel);
        if !is_due && read == self.read {
            return Poll::Pending;
        }
        self.read = read;
        let told = ask(&mut Context::from_waker(&self.waker));
        if told.is_ready() {
            self.call();
        }
        told
    }
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.is_due.store(true, Ordering::Release);
        self.bell.0.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Woken(AtomicBool);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    #[test]
    fn a_source_is_asked_at_first_then_while_it_tells_then_when_it_wakes() {
        let bell = Bell::default();
        let mut turn = Turn::new(&bell);
        let woken = Arc::new(Woken::default());
        bell.listen(&Context::from_waker(&Waker::from(Arc::clone(&woken))));

        assert_eq!(turn.take(true, |_| Poll::Ready(1)), Poll::Ready(1));
        let mut kept = None;
        let told = turn.take(true, |cx| {
            kept = Some(cx.waker().clone());
            Poll::<u8>::Pending
        });
        assert!(told.is_pending());
        assert!(
            turn.take(true, |_| Poll::Ready(2)).is_pending(),
            "nobody called"
        );

        kept.into_iter().for_each(Waker::wake);
        assert!(woken.0.load(Ordering::SeqCst));
        assert_eq!(turn.take(true, |_| Poll::Ready(3)), Poll::Ready(3));
    }

    #[test]
    fn a_source_is_asked_when_it_is_given_something_or_read_again() {
        let mut turn = Turn::new(&Bell::default());
        let quiet = |_: &mut Context<'_>| Poll::<u8>::Pending;
        assert!(turn.take(true, quiet).is_pending());
        turn.call();
        assert_eq!(turn.take(true, |_| Poll::Ready(1)), Poll::Ready(1));
        assert!(turn.take(true, quiet).is_pending());
        assert_eq!(turn.take(false, |_| Poll::Ready(2)), Poll::Ready(2));
    }
}
