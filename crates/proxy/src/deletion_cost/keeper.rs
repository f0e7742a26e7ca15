//! When the cost is written: after a change, and not more often than is asked for, whatever comes of it.

use std::time::Duration;

use tokio::{sync::watch, time::sleep};

/// Where the cost is written to.
pub(super) trait Write: Send {
    /// Writes it. True where it stands there now. Bounded in time.
    fn write(&mut self, cost: usize) -> impl Future<Output = bool> + Send;
}

/// Keeps what stands at `to` at the number of `calls`, with `interval` between two attempts. Over when
/// nobody counts calls any more.
pub(super) async fn keep(
    mut calls: watch::Receiver<usize>,
    interval: Duration,
    mut to: impl Write,
) {
    // A container that was restarted finds the cost of the one before it in its pod.
    let mut written = None;
    loop {
        let differs = |calls: &usize| written != Some(*calls);
        let Ok(cost) = calls.wait_for(differs).await.map(|calls| *calls) else {
            return;
        };
        // An attempt that failed may have had its effect.
        written = to.write(cost).await.then_some(cost);
        sleep(interval).await;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::{Arc, Mutex};

    use tokio::{task::yield_now, time::Instant};

    use super::*;

    const INTERVAL: Duration = Duration::from_secs(60);

    /// After so many seconds, what was to be written.
    #[derive(Clone, Default)]
    struct Notes(Arc<Mutex<Vec<(u64, usize)>>>);

    /// Notes what it is to write; the first ones fail.
    struct Paper {
        notes: Notes,
        since: Instant,
        fails: u32,
    }

    impl Write for Paper {
        async fn write(&mut self, cost: usize) -> bool {
            let at = self.since.elapsed().as_secs();
            self.notes.0.lock().unwrap().push((at, cost));
            let fails = self.fails > 0;
            self.fails = self.fails.saturating_sub(1);
            !fails
        }
    }

    impl Notes {
        fn all(&self) -> Vec<(u64, usize)> {
            self.0.lock().unwrap().clone()
        }
    }

    fn start(calls: &watch::Sender<usize>, fails: u32) -> Notes {
        let notes = Notes::default();
        let paper = Paper {
            notes: notes.clone(),
            since: Instant::now(),
            fails,
        };
        tokio::spawn(keep(calls.subscribe(), INTERVAL, paper));
        notes
    }

    async fn pass(seconds: u64) {
        sleep(Duration::from_secs(seconds)).await;
        yield_now().await;
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_written_upon_change_and_at_most_once_in_each_interval() {
        let calls = watch::Sender::new(0);
        let notes = start(&calls, 0);
        pass(10).await;
        for number in 1..=30 {
            calls.send_replace(number);
            pass(1).await;
        }
        pass(3_600).await;
        assert_eq!(notes.all(), [(0, 0), (60, 30)]);
        calls.send_replace(31);
        pass(1).await;
        assert_eq!(notes.all().last(), Some(&(3_640, 31)));
    }

    #[tokio::test(start_paused = true)]
    async fn what_fails_is_tried_again_at_the_next_time_with_the_number_of_then() {
        let calls = watch::Sender::new(7);
        let notes = start(&calls, 2);
        pass(30).await;
        calls.send_replace(8);
        pass(600).await;
        assert_eq!(notes.all(), [(0, 7), (60, 8), (120, 8)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_number_that_comes_back_within_the_interval_is_not_written_again() {
        let calls = watch::Sender::new(4);
        let notes = start(&calls, 0);
        pass(1).await;
        calls.send_replace(5);
        calls.send_replace(4);
        pass(600).await;
        assert_eq!(notes.all(), [(0, 4)]);
    }
}
