//! What is going to happen, by time; what is due at one moment comes in the order it was planned.

use std::{cmp::Ordering, collections::BinaryHeap};

use crate::plan::Fault;

/// Something that will happen. Objects are named by their indices; an event whose object has
/// changed since is void.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Happening {
    /// A call comes in.
    Start { call: usize },
    /// The engine asked to be called.
    Wake { call: usize },
    /// The caller speaks.
    Caller { call: usize },
    /// The caller thinks better of a timer; `size` says which.
    Recant { call: usize, size: usize },
    /// The caller does what its plan says about the end.
    Farewell { call: usize },
    /// The caller's socket breaks, or a second one appears.
    CallerTrouble { call: usize },
    /// The caller comes back on a new socket.
    Return { call: usize },
    /// Nothing else has ended the call.
    LastResort { call: usize },
    /// The service behind an outbound leg speaks.
    Talk {
        call: usize,
        leg: usize,
        opening: u32,
    },
    /// A dialled leg opens or fails.
    Dialled {
        call: usize,
        leg: usize,
        opening: u32,
    },
    /// A socket takes bytes.
    Write {
        call: usize,
        leg: usize,
        opening: u32,
    },
    /// A closing socket is closed.
    Closed {
        call: usize,
        leg: usize,
        opening: u32,
    },
    /// The picker answers a seek.
    Found { call: usize, epoch: u64 },
    /// A message reaches the edge.
    Up { stream: usize },
    /// A message reaches the worker.
    Down { stream: usize },
    /// A worker has time for an attachment.
    Work { stream: usize },
    /// Work outside the worker is done.
    Outside { stream: usize, seq: u64 },
    /// The edge learns that a session is to leave its worker.
    MoveOff { stream: usize, why: u8 },
    /// A started worker is ready.
    Ready { worker: usize },
    /// A worker has its successor, and is to go.
    Replaced { worker: usize },
    /// A drained worker goes.
    Exit { worker: usize },
    /// The keepalive of a connection goes unanswered.
    Keepalive { edge: usize, worker: usize },
    /// Something goes wrong.
    Fault { fault: Fault },
}

impl Happening {
    /// The call at whose edge it happens, if it happens at an edge.
    pub(crate) fn call(&self) -> Option<usize> {
        match *self {
            Self::Wake { call }
            | Self::Caller { call }
            | Self::Recant { call, .. }
            | Self::Farewell { call }
            | Self::CallerTrouble { call }
            | Self::Return { call }
            | Self::LastResort { call }
            | Self::Talk { call, .. }
            | Self::Dialled { call, .. }
            | Self::Write { call, .. }
            | Self::Closed { call, .. }
            | Self::Found { call, .. } => Some(call),
            _ => None,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Due {
    at: u64,
    order: u64,
    what: Happening,
}

impl Ord for Due {
    /// The earliest is the greatest, as the heap wants it.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.order).cmp(&(self.at, self.order))
    }
}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[derive(Default)]
pub(crate) struct Queue {
    heap: BinaryHeap<Due>,
    order: u64,
}

impl Queue {
    /// Plans something for a moment in microseconds.
    pub(crate) fn push(&mut self, at: u64, what: Happening) {
        self.order += 1;
        let order = self.order;
        self.heap.push(Due { at, order, what });
    }

    pub(crate) fn pop(&mut self) -> Option<(u64, Happening)> {
        self.heap.pop().map(|due| (due.at, due.what))
    }
}
