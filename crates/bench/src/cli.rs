//! The command line of `holdline-bench`.

use std::{
    env, fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use clap::{Args, Parser, Subcommand};
use rustix::process::{Resource, Rlimit, getrlimit, setpriority_process, setrlimit};

use crate::{
    ext_proc,
    facts::Facts,
    proc::{Cores, Role},
    report,
    subject::{EdgeBuild, RIVALS, Subject},
    suite::{Case, Scenario, Suite},
    worker,
};

/// What the edge is called where nobody gave it a name.
const EDGE: &str = "edge";

/// Measures what a call costs: the edge with a worker behind it, and relays without one.
///
/// All subjects take turns under the same load; ratios within a round are the result. Files go to
/// the folder of --out: facts.csv, report.md, and plots.
#[derive(Parser, Debug)]
#[command(
    name = "holdline-bench",
    version,
    max_term_width = 100,
    after_help = "\
Examples:
  holdline-bench run                                          everything; more than an hour
  holdline-bench run --rounds 1 --scenario callers --calls 100
  holdline-bench run --edge before=/tmp/a/holdline --edge after=/tmp/b/holdline --without nginx
  holdline-bench report bench-results/facts.csv               the tables again, of facts that are there"
)]
pub struct Cli {
    #[command(subcommand)]
    command: Sub,
}

#[derive(Subcommand, Debug)]
enum Sub {
    /// Measures.
    Run(RunArgs),
    /// Makes tables and plots of facts.
    Report(ReportArgs),
    /// The worker behind the edge.
    #[command(hide = true)]
    Worker(worker::WorkerArgs),
    /// The processor behind Envoy.
    #[command(hide = true)]
    ExtProc(ext_proc::ExtProcArgs),
}

#[derive(Args, Debug)]
struct RunArgs {
    /// How often everything is done; medians are shown.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// What is done; else everything. May be repeated.
    #[arg(long, value_enum)]
    scenario: Vec<Scenario>,
    /// With how many calls, in place of each scenario's own numbers, such as 100,1000.
    #[arg(long, value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..=10_000))]
    calls: Vec<u32>,
    /// A build of the edge: NAME=HOLDLINE, or NAME=HOLDLINE,BENCH to take the worker from another
    /// build, too. May be repeated. Else `holdline` beside this program, as `edge`.
    #[arg(long, value_name = "NAME=HOLDLINE[,BENCH]", value_parser = build)]
    edge: Vec<EdgeBuild>,
    /// Subjects to leave out: edge, direct, nginx, haproxy, envoy, ext_proc, pushpin.
    #[arg(long, value_name = "SUBJECT", value_delimiter = ',')]
    without: Vec<String>,
    /// Where a rival's program is: NAME=FILE. Else it is looked for on PATH. May be repeated.
    #[arg(long, value_name = "NAME=FILE", value_parser = program)]
    program: Vec<(String, PathBuf)>,
    /// How long each trial is measured.
    #[arg(long, default_value = "4s", value_parser = humantime::parse_duration)]
    window: Duration,
    /// The core of the program under test, and that of everything else.
    #[arg(long, default_value = "0,1", value_parser = cores)]
    cores: Cores,
    /// Priority of everything, as `nice` has it, and of our session among others: a negative one,
    /// which needs root, keeps what else runs on the machine out of the measurement.
    #[arg(long, allow_negative_numbers = true,
        value_parser = clap::value_parser!(i32).range(-20..=19))]
    nice: Option<i32>,
    /// Where results go. Made if need be.
    #[arg(long, value_name = "FOLDER", default_value = "bench-results")]
    out: PathBuf,
}

#[derive(Args, Debug)]
struct ReportArgs {
    /// Files that `run` wrote; several are put together.
    #[arg(required = true)]
    facts: Vec<PathBuf>,
    /// Where results go; else beside the first file.
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

impl Cli {
    /// Does what the command line says.
    pub fn run(self) -> ExitCode {
        let done = match self.command {
            Sub::Run(args) => run(args),
            Sub::Report(args) => again(&args),
            Sub::Worker(args) => worker::run(args),
            Sub::ExtProc(args) => ext_proc::run(&args),
        };
        match done {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                tell(&format!("holdline-bench: {error}"));
                ExitCode::FAILURE
            }
        }
    }
}

fn run(args: RunArgs) -> io::Result<()> {
    raise_descriptors()?;
    args.cores.take(Role::Other)?;
    if let Some(nice) = args.nice {
        prioritise(nice)?;
    }
    fs::create_dir_all(&args.out)?;
    let suite = Suite {
        subjects: subjects(&args)?,
        cases: cases(&args),
        rounds: args.rounds,
        window: args.window,
        cores: args.cores,
    };
    let file = args.out.join("facts.csv");
    let facts = suite.run(tell, |facts| fs::write(&file, facts.csv()))?;
    finish(&facts, &args.out)
}

fn again(args: &ReportArgs) -> io::Result<()> {
    let mut all = Facts::default();
    for file in &args.facts {
        let mut facts = Facts::from_csv(&fs::read_to_string(file)?)?;
        // Rounds of different runs are different rounds.
        let shift = all.0.iter().map(|fact| fact.round + 1).max().unwrap_or(0);
        facts.0.iter_mut().for_each(|fact| fact.round += shift);
        all.0.append(&mut facts.0);
    }
    let beside = args.facts.first().and_then(|file| file.parent());
    let out = args.out.as_deref().or(beside).unwrap_or(Path::new("."));
    fs::create_dir_all(out)?;
    finish(&all, out)
}

/// Writes tables and plots, and shows the tables.
fn finish(facts: &Facts, out: &Path) -> io::Result<()> {
    for (name, picture) in report::plots(facts) {
        fs::write(out.join(name), picture)?;
    }
    let text = report::markdown(facts);
    fs::write(out.join("report.md"), &text)?;
    io::stdout().lock().write_all(text.as_bytes())
}

fn subjects(args: &RunArgs) -> io::Result<Vec<Subject>> {
    let wanted = |name: &str| !args.without.iter().any(|it| it == name);
    let mut subjects: Vec<_> = args.edge.iter().cloned().map(Subject::Edge).collect();
    if subjects.is_empty() && wanted(EDGE) {
        subjects.push(Subject::Edge(build_beside_us()?));
    }
    if wanted(Subject::Direct.name()) {
        subjects.push(Subject::Direct);
    }
    for rival in RIVALS {
        if !wanted(rival.name) {
            continue;
        }
        let named = args.program.iter().find(|(name, _)| name == rival.program);
        match rival.find(named.map(|(_, path)| path.as_path())) {
            Some(subject) => subjects.push(subject),
            None => tell(&format!(
                "left out: {}, since {} is not on PATH; {}",
                rival.name, rival.program, rival.how
            )),
        }
    }
    Ok(subjects)
}

fn cases(args: &RunArgs) -> Vec<Case> {
    let scenarios = match args.scenario.as_slice() {
        [] => <Scenario as clap::ValueEnum>::value_variants(),
        chosen => chosen,
    };
    let of = |&scenario: &Scenario| {
        let calls = match args.calls.as_slice() {
            [] => scenario.usual(),
            chosen => chosen,
        };
        calls.iter().map(move |&calls| Case { scenario, calls })
    };
    scenarios.iter().flat_map(of).collect()
}

fn build(text: &str) -> Result<EdgeBuild, String> {
    let wrong = || "is to be NAME=HOLDLINE or NAME=HOLDLINE,BENCH".to_owned();
    let (name, programs) = text.split_once('=').ok_or_else(wrong)?;
    let (edge, worker) = match programs.split_once(',') {
        Some((edge, worker)) => (edge, PathBuf::from(worker)),
        None => (
            programs,
            env::current_exe().map_err(|error| error.to_string())?,
        ),
    };
    if name.is_empty() || name.contains([',', '"']) {
        return Err(wrong());
    }
    Ok(EdgeBuild {
        name: name.to_owned(),
        edge: edge.into(),
        worker,
        under: Vec::new(),
    })
}

fn program(text: &str) -> Result<(String, PathBuf), String> {
    let (name, file) = text.split_once('=').ok_or("is to be NAME=FILE")?;
    Ok((name.to_owned(), file.into()))
}

fn build_beside_us() -> io::Result<EdgeBuild> {
    let us = env::current_exe()?;
    let edge = us.with_file_name("holdline");
    if !edge.is_file() {
        return Err(io::Error::other(
            "the program `holdline` is not beside this one: build both with `cargo build --release \
             -p holdline -p holdline-bench`, or name it with --edge",
        ));
    }
    Ok(EdgeBuild {
        name: EDGE.to_owned(),
        edge,
        worker: us,
        under: Vec::new(),
    })
}

fn cores(text: &str) -> Result<Cores, String> {
    let wrong = || "is to be two numbers, such as 0,1".to_owned();
    let (tested, others) = text.split_once(',').ok_or_else(wrong)?;
    Ok(Cores {
        tested: tested.parse().map_err(|_| wrong())?,
        others: others.parse().map_err(|_| wrong())?,
    })
}

/// Where the kernel shares the cores out among sessions, a process's own priority counts only
/// within its session.
fn prioritise(nice: i32) -> io::Result<()> {
    setpriority_process(None, nice)?;
    match fs::write("/proc/self/autogroup", nice.to_string()) {
        // A kernel that does not.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

/// Thousands of calls are twice as many sockets, for us and for every program that we start.
fn raise_descriptors() -> io::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    Ok(setrlimit(Resource::Nofile, raised)?)
}

/// One line of progress, on standard error; who closed it is not interested.
fn tell(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
