//! A plot as SVG: a line for each subject, over the number of calls.
//!
//! Written by hand: it needs four kinds of elements, and no library that brings fonts with it.

use std::fmt::Write as _;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 400.0;
/// Room for the scale.
const LEFT: f64 = 60.0;
/// Room for the title.
const TOP: f64 = 50.0;
/// Room for the subjects' names.
const RIGHT: f64 = 130.0;
/// Room for the numbers of calls.
const BOTTOM: f64 = 50.0;
/// Parts of the scale.
const PARTS: u32 = 5;
const COLOURS: [&str; 8] = [
    "#0b3d91", "#888888", "#2e8b57", "#c0392b", "#e69f00", "#7d3c98", "#00a0b0", "#5d4037",
];

/// A subject's values: which of the numbers of calls, and how much.
#[derive(Clone, Debug)]
pub(super) struct Line<'a> {
    pub(super) name: &'a str,
    pub(super) points: Vec<(usize, f64)>,
}

/// The whole picture. The numbers of calls stand at equal distances, since they grow by factors.
pub(super) fn svg(title: &str, calls: &[u32], lines: &[Line<'_>]) -> String {
    let values = lines.iter().flat_map(|line| &line.points);
    let top = ceiling(values.map(|&(_, value)| value).fold(0.0, f64::max));
    let x = |index: usize| {
        let last = calls.len().saturating_sub(1).max(1);
        LEFT + (WIDTH - LEFT - RIGHT) * index as f64 / last as f64
    };
    let y = |value: f64| HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / top;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n\
         <text x=\"{LEFT}\" y=\"24\" font-size=\"15\">{title}</text>\n"
    );
    // Writing to a String cannot fail, here and below.
    for part in 0..=PARTS {
        let value = top * f64::from(part) / f64::from(PARTS);
        let (at, right) = (y(value), WIDTH - RIGHT);
        let _ = writeln!(
            text,
            "<path d=\"M{LEFT} {at:.1}H{right}\" stroke=\"#ddd\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{value}</text>",
            LEFT - 6.0,
            at + 4.0
        );
    }
    for (index, calls) in calls.iter().enumerate() {
        let _ = writeln!(
            text,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{calls} calls</text>",
            x(index),
            HEIGHT - BOTTOM + 20.0
        );
    }
    for (line, colour) in lines.iter().zip(COLOURS.iter().cycle()) {
        let at = |&(index, value): &(usize, f64)| format!("{:.1},{:.1}", x(index), y(value));
        let points: Vec<_> = line.points.iter().map(at).collect();
        let _ = writeln!(
            text,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
            points.join(" ")
        );
    }
    names(&mut text, lines, y);
    text + "</svg>\n"
}

/// Each name beside the end of its line, moved down where another stands there already.
fn names(text: &mut String, lines: &[Line<'_>], y: impl Fn(f64) -> f64) {
    let mut ends: Vec<_> = lines
        .iter()
        .zip(COLOURS.iter().cycle())
        .filter_map(|(line, colour)| Some((y(line.points.last()?.1), line.name, colour)))
        .collect();
    ends.sort_by(|one, other| one.0.total_cmp(&other.0));
    let mut free = TOP;
    for (end, name, colour) in ends {
        let at = end.max(free);
        free = at + 14.0;
        let _ = writeln!(
            text,
            "<text x=\"{:.1}\" y=\"{:.1}\" fill=\"{colour}\">{name}</text>",
            WIDTH - RIGHT + 8.0,
            at + 4.0
        );
    }
}

/// The next number above that has one digit other than zero, or two and a half times that.
fn ceiling(value: f64) -> f64 {
    if value <= 0.0 {
        return 1.0;
    }
    let power = 10_f64.powf(value.log10().floor());
    let steps = [1.0, 2.0, 2.5, 5.0, 10.0];
    let fits = steps.into_iter().find(|step| step * power >= value);
    fits.unwrap_or(10.0) * power
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scale_ends_above_the_largest_value() {
        let ceilings = [0.0, 0.7, 1.0, 1.3, 21.0, 30.0, 999.0].map(ceiling);
        assert_eq!(ceilings, [1.0, 1.0, 1.0, 2.0, 25.0, 50.0, 1_000.0]);
    }

    #[test]
    fn every_subject_has_its_line_and_its_name() {
        let line = |name, value| Line {
            name,
            points: vec![(0, value), (1, 2.0 * value)],
        };
        let picture = svg("CPU", &[10, 100], &[line("edge", 4.0), line("nginx", 5.0)]);
        assert_eq!(picture.matches("<polyline").count(), 2);
        // The higher value is nearer to the top.
        assert!(
            picture.contains("points=\"60.0,230.0 590.0,110.0\""),
            "{picture}"
        );
        assert!(picture.contains(">edge</text>") && picture.contains(">nginx</text>"));
    }
}
