//! The file that a failing seed leaves: how it was run, and its event log. The log is there to be
//! read and compared; the run itself follows from seed and options alone.

use crate::{
    runner::{Outcome, run_seed},
    shell::Bug,
    world::Options,
};

const MAGIC: &str = "# holdline-sim event log 1";

/// What a log says of how it was made.
#[derive(Clone, Debug)]
pub(crate) struct Recipe {
    pub(crate) seed: u64,
    pub(crate) bug: Option<Bug>,
    pub(crate) lines: Vec<String>,
}

/// The event log of a seed, which is run once more for it, as `holdline-sim replay` reads it.
#[must_use]
pub fn log_of(seed: u64, options: Options) -> String {
    let record = Options {
        record: true,
        ..options
    };
    write(&run_seed(seed, record), record)
}

/// The whole log as text.
fn write(outcome: &Outcome, options: Options) -> String {
    let mut text = format!("{MAGIC}\n# seed {}\n", outcome.seed);
    if let Some(bug) = options.bug {
        text += &format!("# planted {}\n", bug.as_str());
    }
    if let Some(violation) = &outcome.violation {
        text += &format!(
            "# step {}, call s{}: {}: {}\n",
            violation.step,
            violation.call,
            violation.rule,
            violation.detail.replace('\n', " ")
        );
    }
    text += "#  step       ms what\n";
    for line in &outcome.lines {
        text += &line.replace('\n', " ");
        text.push('\n');
    }
    text
}

/// Reads a log back.
///
/// # Errors
/// What is wrong with it, in words.
pub(crate) fn read(text: &str) -> Result<Recipe, String> {
    let mut lines = text.lines();
    if lines.next() != Some(MAGIC) {
        return Err(format!(
            "this is no event log: its first line is not \"{MAGIC}\""
        ));
    }
    let (mut seed, mut bug, mut rest) = (None, None, Vec::new());
    for line in lines {
        let Some(comment) = line.strip_prefix("# ") else {
            rest.push(line.to_owned());
            continue;
        };
        if let Some(number) = comment.strip_prefix("seed ") {
            seed = Some(
                number
                    .parse()
                    .map_err(|error| format!("seed {number}: {error}"))?,
            );
        } else if let Some(name) = comment.strip_prefix("planted ") {
            let known = Bug::ALL.iter().find(|bug| bug.as_str() == name);
            bug = Some(*known.ok_or_else(|| format!("no planted bug is called {name}"))?);
        }
    }
    let seed = seed.ok_or("it names no seed")?;
    Ok(Recipe {
        seed,
        bug,
        lines: rest,
    })
}
