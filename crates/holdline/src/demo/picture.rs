//! The demo's picture: how long every frame took, over time, with what was done to the workers.

use std::{
    fmt::Write as _,
    time::{Duration, Instant},
};

const WIDTH: f64 = 1200.0;
const HEIGHT: f64 = 520.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 70.0;
const BOTTOM: f64 = 60.0;
/// The delays shown, in milliseconds, on a logarithmic scale.
const DELAY_MIN: f64 = 0.1;
const DELAY_MAX: f64 = 5_000.0;
/// Frames of this much time share one bar.
const SLICE: Duration = Duration::from_millis(100);

/// One frame's way: when it set out and how long it took.
pub(super) type Delay = (Instant, Duration);

/// A moment worth a line across the picture.
#[derive(Debug, Clone)]
pub(super) struct Moment {
    /// When.
    pub(super) at: Instant,
    /// What.
    pub(super) text: String,
}

/// A set of frames with its colour.
pub(super) struct Series<'a> {
    pub(super) name: &'a str,
    pub(super) colour: &'a str,
    pub(super) delays: Vec<Delay>,
}

/// Draws an SVG.
pub(super) fn draw(
    start: Instant,
    length: Duration,
    series: &[Series<'_>],
    moments: &[Moment],
) -> String {
    let mut svg = String::new();
    let _ = write!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
         <text x=\"{LEFT}\" y=\"24\" font-size=\"17\" font-weight=\"600\">\
         Delay of every frame through the edge and its workers</text>\n"
    );
    axes(&mut svg, length);
    moments_on(&mut svg, start, length, moments);
    for (index, one) in series.iter().enumerate() {
        bars(&mut svg, start, length, one, index);
        legend(&mut svg, one, index);
    }
    svg.push_str("</svg>\n");
    svg
}

fn x_of(at: Duration, length: Duration) -> f64 {
    let share = at.as_secs_f64() / length.as_secs_f64().max(0.001);
    LEFT + share.clamp(0.0, 1.0) * (WIDTH - LEFT - RIGHT)
}

fn y_of(millis: f64) -> f64 {
    let span = (DELAY_MAX / DELAY_MIN).log10();
    let share = (millis.clamp(DELAY_MIN, DELAY_MAX) / DELAY_MIN).log10() / span;
    HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)
}

fn axes(svg: &mut String, length: Duration) {
    for (millis, label) in [
        (0.1, "0.1 ms"),
        (1.0, "1 ms"),
        (10.0, "10 ms"),
        (20.0, "20 ms"),
        (100.0, "100 ms"),
        (1_000.0, "1 s"),
    ] {
        let y = y_of(millis);
        let (dash, colour) = if (millis - 20.0).abs() < f64::EPSILON {
            ("4 3", "#888888")
        } else {
            ("none", "#e4e4e4")
        };
        let _ = writeln!(
            svg,
            "<line x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"{colour}\" \
             stroke-dasharray=\"{dash}\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\" \
             fill=\"#555555\">{label}</text>",
            WIDTH - RIGHT,
            LEFT - 6.0,
            y + 4.0
        );
    }
    let step = (length.as_secs() / 12).max(5).next_multiple_of(5);
    let mut second = 0;
    while second <= length.as_secs() {
        let x = x_of(Duration::from_secs(second), length);
        let _ = writeln!(
            svg,
            "<text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#555555\">{second} s</text>",
            HEIGHT - BOTTOM + 18.0
        );
        second += step;
    }
}

fn moments_on(svg: &mut String, start: Instant, length: Duration, moments: &[Moment]) {
    for (index, moment) in moments.iter().enumerate() {
        let x = x_of(moment.at.saturating_duration_since(start), length);
        let y = TOP - 22.0 + 12.0 * f64::from(u8::try_from(index % 2).unwrap_or(0));
        let _ = writeln!(
            svg,
            "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{:.1}\" y2=\"{:.1}\" stroke=\"#c0392b\" \
             stroke-opacity=\"0.35\"/><text x=\"{:.1}\" y=\"{y:.1}\" fill=\"#c0392b\" \
             font-size=\"10\">{}</text>",
            TOP - 8.0,
            HEIGHT - BOTTOM,
            x + 2.0,
            escape(&moment.text)
        );
    }
}

/// One bar a slice, from its median to its worst frame.
fn bars(svg: &mut String, start: Instant, length: Duration, series: &Series<'_>, index: usize) {
    let slices = usize::try_from(length.as_millis() / SLICE.as_millis()).unwrap_or(0) + 1;
    let mut buckets: Vec<Vec<Duration>> = vec![Vec::new(); slices];
    for (at, delay) in &series.delays {
        let slice = at.saturating_duration_since(start).as_millis() / SLICE.as_millis();
        if let Some(bucket) = usize::try_from(slice)
            .ok()
            .and_then(|at| buckets.get_mut(at))
        {
            bucket.push(*delay);
        }
    }
    let shift = f64::from(u8::try_from(index).unwrap_or(0)) * 0.8;
    let _ = write!(
        svg,
        "<path stroke=\"{}\" stroke-width=\"1\" fill=\"none\" d=\"",
        series.colour
    );
    for (slice, bucket) in (0u32..).zip(&mut buckets) {
        bucket.sort_unstable();
        let (Some(median), Some(worst)) = (bucket.get(bucket.len() / 2), bucket.last()) else {
            continue;
        };
        let x = x_of(SLICE * slice, length) + shift;
        let low = y_of(median.as_secs_f64() * 1_000.0);
        let high = y_of(worst.as_secs_f64() * 1_000.0).min(low - 0.8);
        let _ = write!(svg, "M{x:.1} {low:.1}V{high:.1}");
    }
    svg.push_str("\"/>\n");
}

fn legend(svg: &mut String, series: &Series<'_>, index: usize) {
    let x = LEFT + 330.0 * f64::from(u8::try_from(index).unwrap_or(0));
    let y = HEIGHT - 16.0;
    let _ = writeln!(
        svg,
        "<rect x=\"{x:.1}\" y=\"{:.1}\" width=\"12\" height=\"12\" fill=\"{}\"/>\
         <text x=\"{:.1}\" y=\"{y:.1}\">{}: median to worst of each 100 ms</text>",
        y - 10.0,
        series.colour,
        x + 18.0,
        escape(series.name)
    );
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_frame_and_its_cause_are_in_the_picture() {
        let start = Instant::now();
        let second = Duration::from_secs(1);
        let series = Series {
            name: "caller to model",
            colour: "#1f6feb",
            delays: vec![(start + second, Duration::from_millis(7))],
        };
        let moments = [Moment {
            at: start + second,
            text: "kill -9 <w1>".to_owned(),
        }];
        let svg = draw(start, 10 * second, &[series], &moments);
        assert!(svg.contains("kill -9 &lt;w1&gt;"));
        let x = x_of(second, 10 * second);
        assert!(svg.contains(&format!("M{x:.1} {:.1}V", y_of(7.0))), "{svg}");
    }
}
