//! A histogram as numbers, for those who plot it themselves.

use prometheus::{Histogram, core::Metric as _};

/// Upper bounds, each with how many observations were at most that; the smallest bound first, and without
/// the last one, which is infinite and stands for all.
#[must_use]
pub fn buckets(histogram: &Histogram) -> Vec<(f64, u64)> {
    let metric = histogram.metric();
    let buckets = metric.get_histogram().get_bucket();
    buckets
        .iter()
        .map(|bucket| (bucket.upper_bound(), bucket.cumulative_count()))
        .filter(|(bound, _)| bound.is_finite())
        .collect()
}

#[cfg(test)]
mod tests {
    use crate::Metrics;

    #[test]
    fn what_was_observed_is_counted_from_its_bound_on() {
        let trips = Metrics::new().attachments.round_trip_seconds;
        trips.observe(0.003);
        let buckets = super::buckets(&trips);
        assert!(buckets.len() > 3, "{buckets:?}");
        assert!(
            buckets
                .iter()
                .all(|(bound, count)| *count == u64::from(*bound >= 0.003)),
            "{buckets:?}"
        );
    }
}
