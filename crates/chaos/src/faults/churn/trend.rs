//! Least squares: does a series grow?

/// The straight line through points, in terms of their mean.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Trend {
    /// From the first point to the last, in their own unit.
    pub(super) length: f64,
    /// The mean of the values.
    pub(super) mean: f64,
    /// How much the line rises over that length, as a share of the mean.
    pub(super) growth: f64,
}

impl Trend {
    /// Of points `(time, value)` in the order of time; `None` of fewer than three, or where the mean
    /// is nothing.
    pub(super) fn of(points: &[(f64, f64)]) -> Option<Self> {
        let (first, last) = (points.first()?, points.last()?);
        let count = points.len() as f64;
        let middle = points.iter().map(|point| point.0).sum::<f64>() / count;
        let mean = points.iter().map(|point| point.1).sum::<f64>() / count;
        let spread: f64 = points.iter().map(|point| (point.0 - middle).powi(2)).sum();
        if points.len() < 3 || spread <= 0.0 || mean <= 0.0 {
            return None;
        }
        let product = |point: &(f64, f64)| (point.0 - middle) * (point.1 - mean);
        let slope = points.iter().map(product).sum::<f64>() / spread;
        let length = last.0 - first.0;
        Some(Self {
            length,
            mean,
            growth: slope * length / mean,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_found_under_noise() {
        let noise = [3.0, -1.0, -2.0, 2.0, -3.0, 1.0];
        let at = |index: usize| index as f64 * 10.0;
        let points = |slope: f64| -> Vec<_> {
            let value = |index: usize| 1_000.0 + slope * at(index) + noise[index % 6];
            (0..600).map(|index| (at(index), value(index))).collect()
        };
        let flat = Trend::of(&points(0.0)).unwrap();
        assert!(flat.growth.abs() < 0.001, "{flat:?}");
        let grows = Trend::of(&points(0.02)).unwrap();
        // 5,990 seconds at 0.02 a second, over a mean of 1,060.
        assert!((grows.growth - 0.113).abs() < 0.002, "{grows:?}");
        assert_eq!(grows.length, 5_990.0);
    }

    #[test]
    fn too_little_is_no_trend() {
        assert_eq!(Trend::of(&[]), None);
        assert_eq!(Trend::of(&[(0.0, 1.0), (1.0, 2.0)]), None);
        assert_eq!(Trend::of(&[(1.0, 1.0); 5]), None);
    }
}
