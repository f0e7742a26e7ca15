//! `holdline doctor`: would an edge do well, here and now, and what is to be mended.

use std::io;

use holdline_proxy::{Finding, Verdict};
use serde::Serialize;

use crate::{
    Failure,
    cli::{DoctorArgs, DoctorOutput},
};

/// Columns of a table that people read.
const WIDTH: usize = 100;

/// Looks at all that an edge needs, tells it, and fails if calls would.
pub(crate) fn doctor(args: &DoctorArgs) -> Result<(), Failure> {
    let config = super::load(&args.file.config)?;
    let findings = super::block_on(async {
        let examined = holdline_proxy::examine(&config, args.timeout).await;
        examined.map_err(|error| Failure::misconfigured(&error))
    })?;
    let worst = findings.iter().map(|finding| finding.verdict).max();
    let worst = worst.unwrap_or(Verdict::Ok);
    let text = match args.output {
        DoctorOutput::Table => table(&findings),
        DoctorOutput::Json => json(worst, &findings)?,
    };
    super::print(text.as_bytes())?;
    let failed = findings.iter().filter(|it| it.verdict == Verdict::Failed);
    match failed.count() {
        0 => Ok(()),
        1 => Err(Failure::Failed("1 check failed".to_owned())),
        count => Err(Failure::Failed(format!("{count} checks failed"))),
    }
}

#[derive(Serialize)]
struct Report<'a> {
    verdict: Verdict,
    findings: &'a [Finding],
}

fn json(verdict: Verdict, findings: &[Finding]) -> io::Result<String> {
    let report = Report { verdict, findings };
    let mut text = serde_json::to_string_pretty(&report)?;
    text.push('\n');
    Ok(text)
}

/// A line for each check, and below it what to do.
fn table(findings: &[Finding]) -> String {
    let wide = |column: fn(&Finding) -> &str| {
        let widths = findings.iter().map(|it| column(it).chars().count());
        widths.max().unwrap_or(0)
    };
    let (check, about) = (wide(|it| it.check), wide(|it| &it.about));
    let mut text = String::new();
    for it in findings {
        let word = match it.verdict {
            Verdict::Ok => "ok     ",
            Verdict::Warning => "warning",
            Verdict::Failed => "FAILED ",
        };
        let line = format!(
            "{word}  {:check$}  {:about$}  {}",
            it.check, it.about, it.found
        );
        text.push_str(line.trim_end());
        text.push('\n');
        for line in wrapped(&it.advice, WIDTH - 9) {
            text.push_str("         ");
            text.push_str(&line);
            text.push('\n');
        }
    }
    text
}

/// Lines of whole words, the first of which begins with an arrow.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            Some(_) => lines.push(format!("   {word}")),
            None => lines.push(format!("-> {word}")),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(verdict: Verdict, about: &str, advice: &str) -> Finding {
        Finding {
            check: "upstream",
            about: about.to_owned(),
            verdict,
            found: "cannot be reached".to_owned(),
            advice: advice.to_owned(),
        }
    }

    #[test]
    fn what_to_do_stands_below_what_was_found() {
        let findings = [
            finding(Verdict::Ok, "upstream a", ""),
            finding(Verdict::Failed, "upstream other", "look at `url`"),
        ];
        assert_eq!(
            table(&findings),
            "ok       upstream  upstream a      cannot be reached\n\
             FAILED   upstream  upstream other  cannot be reached\n         -> look at `url`\n"
        );
    }

    #[test]
    fn long_advice_is_wrapped() {
        let lines = wrapped(&"word ".repeat(40), 60);
        assert!(lines.len() > 2 && lines.iter().all(|line| line.chars().count() <= 60));
    }
}
