//! What the command line says.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

mod operate;

pub(crate) use operate::{
    AdminArgs, CallArgs, DrainArgs, Form, RolloutAction, RolloutArgs, SessionsArgs, TopArgs,
    WorkersArgs,
};

use operate::{ADMIN_HELP, DRAIN_HELP, ROLLOUT_HELP, SESSION_HELP, SESSIONS_HELP, TOP_HELP};

/// Holds the line while you deploy.
///
/// Holdline owns the two sockets of a phone call, the carrier's and the model's, and sends what
/// comes over them to workers over gRPC. A worker can be rolled, rolled back, crash or hang at any
/// moment of a call: the caller hears nothing of it.
#[derive(Parser, Debug)]
#[command(name = "holdline", version, after_long_help = AFTER_HELP, max_term_width = 100)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

const AFTER_HELP: &str = "\
Begin:
  holdline demo                               no accounts, no set-up: see a deploy under live calls
  holdline dev --public-url wss://...         a real call, with edge and worker in one command
  holdline bridge --config bridge.yaml        a voice worker: Twilio callers talk to OpenAI
  holdline check --config holdline.yaml       is the edge's file right, and what is in force
  holdline doctor --config holdline.yaml      would it do well here: secrets, model, workers, limits
  holdline run --config holdline.yaml         the edge
  holdline probe http://127.0.0.1:9090/readyz does it take calls
  holdline top                                what it is doing

Exit status:
  0  done; for `run`: drained, after SIGTERM
  1  it failed, for example an address is in use or a probe had no success
  2  the command line or a configuration file is wrong
  3  a running edge said no";

/// What to do.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Shows it all on this machine: live calls while workers are rolled, killed and frozen.
    #[command(after_long_help = crate::demo::AFTER_HELP)]
    Demo(crate::demo::DemoArgs),
    /// Runs an edge and a voice worker, for a real number of Twilio and a real key of OpenAI.
    #[command(after_long_help = crate::dev::AFTER_HELP)]
    Dev(crate::dev::DevArgs),
    /// Runs the edge until SIGTERM, then until its last call is over.
    Run(RunArgs),
    /// Checks a configuration and prints what is in force, defaults included.
    Check(CheckArgs),
    /// Finds out, before an edge goes live, whether it would do well, and says what to mend.
    #[command(after_long_help = DOCTOR_HELP)]
    Doctor(DoctorArgs),
    /// Asks a URL, and fails unless the answer is a success: for probes and hooks without a shell.
    #[command(after_long_help = PROBE_HELP)]
    Probe(ProbeArgs),
    /// Lists the calls of a running edge, or those that ended.
    #[command(after_long_help = helps(&[SESSIONS_HELP, ADMIN_HELP]))]
    Sessions(SessionsArgs),
    /// Shows one call: what it is doing, and what happened to it.
    #[command(after_long_help = helps(&[SESSION_HELP, ADMIN_HELP]))]
    Session(CallArgs),
    /// Has a call leave its worker for another.
    #[command(after_long_help = ADMIN_HELP)]
    Move(CallArgs),
    /// Ends a call.
    #[command(after_long_help = ADMIN_HELP)]
    End(CallArgs),
    /// Lists workers, and how far those that drain are left.
    #[command(after_long_help = ADMIN_HELP)]
    Workers(WorkersArgs),
    /// Has all calls leave a worker.
    #[command(after_long_help = helps(&[DRAIN_HELP, ADMIN_HELP]))]
    Drain(DrainArgs),
    /// Shows and sets rollout rules at run time: shares, pins, the kill switch.
    #[command(after_long_help = helps(&[ROLLOUT_HELP, ADMIN_HELP]))]
    Rollout(RolloutArgs),
    /// Shows a running edge at a glance, live.
    #[command(after_long_help = helps(&[TOP_HELP, ADMIN_HELP]))]
    Top(TopArgs),
    /// Prints the JSON Schema of the configuration, for editors.
    Schema,
    /// Prints a completion script for a shell.
    #[command(after_long_help = COMPLETIONS_HELP)]
    Completions(CompletionsArgs),
    /// Runs the ready-made voice worker: Twilio callers talk to a model of OpenAI.
    Bridge(Box<holdline_bridge::Options>),
}

fn helps(parts: &[&str]) -> String {
    parts.join("\n\n")
}

/// Which file an edge is configured by.
#[derive(Args, Debug)]
pub(crate) struct ConfigFile {
    /// The edge's configuration.
    #[arg(
        long,
        short,
        value_name = "FILE",
        env = "HOLDLINE_CONFIG",
        default_value = "holdline.yaml"
    )]
    pub(crate) config: PathBuf,
}

/// Arguments of `run`.
#[derive(Args, Debug)]
#[command(after_long_help = RUN_HELP)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) file: ConfigFile,
}

const RUN_HELP: &str = "\
Signals:
  SIGTERM, SIGINT   drain: /readyz fails at once; calls are still taken for `drain.lame_duck`, then
                    refused with 503; live calls go on until they end or `drain.deadline` comes.
                    Set the orchestrator's patience (terminationGracePeriodSeconds) above that.
  SIGHUP            reads the configuration again, as is done when its file changes. A file that is
                    wrong changes nothing. What needs a restart is named in the log.
  a second one      goes to the deadline at once: live calls are closed in good order.

The soft limit of open files is raised to the hard one: a call takes two sockets and more.
RUST_LOG overrides `log.level`, for example RUST_LOG=info,holdline_workers=debug.";

/// Arguments of `check`.
#[derive(Args, Debug)]
#[command(after_long_help = CHECK_HELP)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    pub(crate) file: ConfigFile,
}

const CHECK_HELP: &str = "\
Everything that is wrong is told at once, each with its line and its path, and the exit status is 2.
Otherwise standard output is the whole configuration as YAML, every default filled in and secrets
masked. Files and environment variables that the configuration names are read too, so run it where
the edge will run.";

/// Arguments of `doctor`.
#[derive(Args, Debug)]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    pub(crate) file: ConfigFile,
    /// How to tell what was found.
    #[arg(long, short, value_enum, default_value = "table")]
    pub(crate) output: DoctorOutput,
    /// How long to wait for workers and for the API server. Upstreams have their `connect_timeout`.
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = humantime::parse_duration)]
    pub(crate) timeout: Duration,
}

/// For whom findings are told.
#[derive(Clone, Copy, clap::ValueEnum, Debug)]
pub(crate) enum DoctorOutput {
    /// For people.
    Table,
    /// For programs: `verdict`, the worst of all, and `findings`.
    Json,
}

const DOCTOR_HELP: &str = "\
Run it where the edge will run, in its pod or as its user. It looks at the configuration; at
secrets, which it never shows; opens a WebSocket to each upstream, says nothing on it and closes it,
which costs nothing; compares the clock with the upstream's; meets each worker; does the sums for
files, memory and ports; and asks the API server of Kubernetes for the rights that the configuration
needs.

Exit status 0: calls would go well; there may be warnings. 1: calls would fail, and it says why. 2:
the configuration is wrong: see `holdline check`.";

/// Arguments of `probe`.
#[derive(Args, Debug)]
pub(crate) struct ProbeArgs {
    /// What to ask by GET, over http or https.
    pub(crate) url: String,
    /// How long each answer may take.
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = humantime::parse_duration)]
    pub(crate) timeout: Duration,
    /// How long to ask again, once a second, while the answer is no success.
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = humantime::parse_duration)]
    pub(crate) wait: Duration,
}

const PROBE_HELP: &str = "\
For example:
  holdline probe http://127.0.0.1:9090/readyz
  holdline probe --wait 1m http://line-holdline-admin:9090/readyz

Exit status 0: the answer's status was 2xx. 1: it was not, or there was none; standard error says
which, with the first line of the answer. Redirections are not followed. With https the system's
authorities are trusted.";

/// Arguments of `completions`.
#[derive(Args, Debug)]
pub(crate) struct CompletionsArgs {
    /// For which shell.
    pub(crate) shell: Shell,
}

const COMPLETIONS_HELP: &str = "\
For example:
  holdline completions bash > /etc/bash_completion.d/holdline
  holdline completions zsh > \"${fpath[1]}/_holdline\"
  holdline completions fish > ~/.config/fish/completions/holdline.fish";

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_help_fits_a_terminal() {
        for command in Cli::command().get_subcommands_mut() {
            let help = command.render_long_help().to_string();
            let widest = help.lines().map(str::len).max().unwrap_or_default();
            assert!(widest <= 100, "{widest} columns:\n{help}");
        }
    }
}
