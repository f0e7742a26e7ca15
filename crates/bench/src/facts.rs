//! What was found out: one number for each line, in a file that any tool can read.
//!
//! Tables and plots are made of nothing else, so that they can be made again, and facts of several
//! runs can be put together.

use std::{collections::BTreeSet, fmt::Write as _, io};

const HEAD: &str = "round,scenario,calls,subject,metric,value";

/// One number.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Fact {
    pub(crate) round: u32,
    /// What was done.
    pub(crate) scenario: String,
    pub(crate) calls: u32,
    /// To whom.
    pub(crate) subject: String,
    /// What was measured; its name ends with the unit.
    pub(crate) metric: String,
    pub(crate) value: f64,
}

/// All of them.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Facts(pub(crate) Vec<Fact>);

impl Facts {
    /// As comma-separated values.
    pub(crate) fn csv(&self) -> String {
        let mut text = format!("{HEAD}\n");
        for fact in &self.0 {
            let Fact {
                round,
                scenario,
                calls,
                subject,
                metric,
                value,
            } = fact;
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "{round},{scenario},{calls},{subject},{metric},{value}"
            );
        }
        text
    }

    /// Reads what [`csv`](Self::csv) wrote.
    ///
    /// # Errors
    /// If a line is none of ours.
    pub(crate) fn from_csv(text: &str) -> io::Result<Self> {
        let fact = |(number, line): (usize, &str)| {
            let found = fact(line);
            found.ok_or_else(|| io::Error::other(format!("line {} is no fact: {line}", number + 1)))
        };
        let lines = text.lines().enumerate();
        let lines = lines.filter(|(_, line)| *line != HEAD && !line.is_empty());
        lines.map(fact).collect::<io::Result<_>>().map(Self)
    }

    /// All scenarios, in the order in which they came.
    pub(crate) fn scenarios(&self) -> Vec<&str> {
        let mut scenarios = Vec::new();
        for fact in &self.0 {
            if !scenarios.contains(&fact.scenario.as_str()) {
                scenarios.push(fact.scenario.as_str());
            }
        }
        scenarios
    }

    /// The numbers of calls that a scenario was done with.
    pub(crate) fn calls(&self, scenario: &str, metric: &str) -> BTreeSet<u32> {
        let of = self.0.iter();
        let of = of.filter(|it| it.scenario == scenario && it.metric == metric);
        of.map(|it| it.calls).collect()
    }

    /// The subjects of a scenario, in the order in which they came.
    pub(crate) fn subjects(&self, scenario: &str, metric: &str) -> Vec<&str> {
        let mut subjects = Vec::new();
        for fact in &self.0 {
            let ours = fact.scenario == scenario && fact.metric == metric;
            if ours && !subjects.contains(&fact.subject.as_str()) {
                subjects.push(fact.subject.as_str());
            }
        }
        subjects
    }

    /// The median over all rounds; `None` where there was none.
    pub(crate) fn median(&self, key: Key<'_>) -> Option<f64> {
        median(self.of(key).map(|fact| fact.value).collect())
    }

    /// The smallest and the largest of all rounds.
    pub(crate) fn spread(&self, key: Key<'_>) -> Option<(f64, f64)> {
        let values = || self.of(key).map(|fact| fact.value);
        Some((values().reduce(f64::min)?, values().reduce(f64::max)?))
    }

    /// The median of the ratios to something else in the same round: what disturbs a round disturbs
    /// both.
    pub(crate) fn ratio(&self, key: Key<'_>, to: Key<'_>) -> Option<f64> {
        self.beside(key, to, |value, other| (other > 0.0).then(|| value / other))
    }

    /// The median of the differences to something else in the same round.
    pub(crate) fn difference(&self, key: Key<'_>, to: Key<'_>) -> Option<f64> {
        self.beside(key, to, |value, other| Some(value - other))
    }

    fn beside(
        &self,
        key: Key<'_>,
        to: Key<'_>,
        compared: impl Fn(f64, f64) -> Option<f64>,
    ) -> Option<f64> {
        let values = self.of(key).filter_map(|fact| {
            let beside = self.of(to).find(|it| it.round == fact.round)?;
            compared(fact.value, beside.value)
        });
        median(values.collect())
    }

    fn of<'a>(&'a self, key: Key<'a>) -> impl Iterator<Item = &'a Fact> {
        self.0.iter().filter(move |fact| {
            fact.calls == key.calls
                && fact.scenario == key.scenario
                && fact.subject == key.subject
                && fact.metric == key.metric
        })
    }
}

/// What a number is of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key<'a> {
    pub(crate) scenario: &'a str,
    pub(crate) calls: u32,
    pub(crate) subject: &'a str,
    pub(crate) metric: &'a str,
}

fn fact(line: &str) -> Option<Fact> {
    let mut parts = line.split(',');
    let mut next = || parts.next();
    let fact = Fact {
        round: next()?.parse().ok()?,
        scenario: next()?.to_owned(),
        calls: next()?.parse().ok()?,
        subject: next()?.to_owned(),
        metric: next()?.to_owned(),
        value: next()?.parse().ok()?,
    };
    next().is_none().then_some(fact)
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let (low, high) = (values.len().checked_sub(1)? / 2, values.len() / 2);
    Some(f64::midpoint(values[low], values[high]))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        let fact = |round, subject: &str, value| Fact {
            round,
            scenario: "callers".to_owned(),
            calls: 100,
            subject: subject.to_owned(),
            metric: "cpu_us_per_frame".to_owned(),
            value,
        };
        Facts(vec![
            fact(0, "nginx", 5.0),
            fact(0, "edge", 10.0),
            fact(1, "edge", 30.0),
            fact(1, "nginx", 10.0),
            fact(2, "edge", 7.0),
        ])
    }

    const EDGE: Key<'_> = Key {
        scenario: "callers",
        calls: 100,
        subject: "edge",
        metric: "cpu_us_per_frame",
    };

    #[test]
    fn facts_survive_their_file() {
        assert_eq!(Facts::from_csv(&facts().csv()).unwrap(), facts());
        assert!(Facts::from_csv("1,callers,100,edge").is_err());
    }

    #[test]
    fn ratios_are_taken_within_rounds() {
        let facts = facts();
        assert_eq!(facts.median(EDGE), Some(10.0));
        assert_eq!(facts.spread(EDGE), Some((7.0, 30.0)));
        let other = |subject| Key { subject, ..EDGE };
        assert_eq!(facts.ratio(EDGE, other("nginx")), Some(2.5));
        assert_eq!(facts.difference(EDGE, other("nginx")), Some(12.5));
        assert_eq!(facts.ratio(EDGE, other("envoy")), None);
    }
}
