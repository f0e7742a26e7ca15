//! How fast sessions leave a draining worker.

use std::time::Duration;

use tokio::time::Instant;

/// Moves per second: the configured pace, or what the worker's remaining time requires if that is
/// more.
pub(crate) fn rate(per_second: u32, sessions: usize, left: Option<Duration>) -> f64 {
    let required = match left {
        Some(left) if left.is_zero() => f64::INFINITY,
        Some(left) => sessions as f64 / left.as_secs_f64(),
        None => 0.0,
    };
    f64::from(per_second).max(required)
}

/// Hands out moves at a given rate, with no burst after a pause.
#[derive(Debug)]
pub(crate) struct Pacer {
    credit: f64,
    last: Instant,
}

impl Pacer {
    /// One move is due at once.
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            credit: 1.0,
            last: now,
        }
    }

    /// How many moves are due. What is not taken is lost, but for the first.
    pub(crate) fn due(&mut self, now: Instant, rate: f64, longest: Duration) -> usize {
        let passed = now.saturating_duration_since(self.last).min(longest);
        self.last = now;
        if rate.is_infinite() {
            return usize::MAX;
        }
        self.credit += rate * passed.as_secs_f64();
        let whole = self.credit.floor();
        self.credit -= whole;
        // A float to integer cast saturates.
        whole as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_millis(10);

    #[test]
    fn the_greater_of_the_configured_and_the_required_pace_rules() {
        assert_eq!(rate(100, 50, None), 100.0);
        assert_eq!(rate(100, 50, Some(Duration::from_secs(10))), 100.0);
        assert_eq!(rate(100, 5_000, Some(Duration::from_secs(10))), 500.0);
        assert!(rate(100, 1, Some(Duration::ZERO)).is_infinite());
    }

    #[test]
    fn moves_come_evenly_and_none_is_lost_to_rounding() {
        let start = Instant::now();
        let mut pacer = Pacer::new(start);
        let moves: Vec<usize> = (0..=100)
            .map(|n| pacer.due(start + TICK * n, 150.0, TICK * 2))
            .collect();
        assert!(moves.iter().all(|due| *due <= 2));
        let sum: usize = moves.iter().sum();
        assert!((150..=151).contains(&sum), "{sum}");
    }

    #[test]
    fn a_pause_is_not_made_up_for() {
        let start = Instant::now();
        let mut pacer = Pacer::new(start);
        assert_eq!(pacer.due(start, 100.0, TICK), 1);
        let later = start + Duration::from_secs(60);
        assert_eq!(pacer.due(later, 100.0, TICK), 1);
    }

    #[test]
    fn with_no_time_left_all_go_at_once() {
        let start = Instant::now();
        assert_eq!(
            Pacer::new(start).due(start, f64::INFINITY, TICK),
            usize::MAX
        );
    }
}
