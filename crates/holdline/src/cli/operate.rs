//! Arguments of the commands that ask a running edge.

use std::{num::NonZeroUsize, path::PathBuf, time::Duration};

use clap::{Args, Subcommand, ValueEnum};

/// Which edge is asked, and how the answer is shown.
#[derive(Args, Debug)]
pub(crate) struct AdminArgs {
    /// The edge's admin port, over http or https.
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "HOLDLINE_ADMIN",
        default_value = "http://127.0.0.1:9090"
    )]
    pub(crate) admin: String,
    /// A file that holds the admin token; without it, HOLDLINE_ADMIN_TOKEN is looked at.
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "HOLDLINE_ADMIN_TOKEN_FILE"
    )]
    pub(crate) token_file: Option<PathBuf>,
    /// A table for people, or what the edge answered for programs.
    #[arg(long, short, global = true, value_enum, default_value_t = Form::Text)]
    pub(crate) output: Form,
    /// How long an answer may take.
    #[arg(long, global = true, value_name = "DURATION", default_value = "5s", value_parser = humantime::parse_duration)]
    pub(crate) timeout: Duration,
}

/// The form of what is printed.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum, Debug)]
pub(crate) enum Form {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// What follows the help of each of them.
pub(crate) const ADMIN_HELP: &str = "\
The token is never an argument, since others see those: put it into a file (--token-file) or into
HOLDLINE_ADMIN_TOKEN. Looking needs none on the edge's own machine; whatever changes something does.

Exit status 0: done. 1: the edge could not be reached. 2: the command line is wrong. 3: the edge
said no: there is no such call or worker, or the token is missing or wrong.";

/// Arguments of `sessions`.
#[derive(Args, Debug)]
pub(crate) struct SessionsArgs {
    /// Calls that ended, the last first: how, and whose fault it was.
    #[arg(long)]
    pub(crate) ended: bool,
    /// Only calls with this call SID.
    #[arg(long, value_name = "SID")]
    pub(crate) call_sid: Option<String>,
    /// Only calls whose worker has this version.
    #[arg(long, value_name = "VERSION")]
    pub(crate) version: Option<String>,
    /// Only calls at the worker with this address.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) worker: Option<String>,
    /// Only calls of this pool of workers.
    #[arg(long, value_name = "NAME")]
    pub(crate) pool: Option<String>,
    /// Only calls that have come so far: `starting`, `running`, `ending` or `ended`.
    #[arg(long, value_name = "WORD")]
    pub(crate) phase: Option<String>,
    /// Only calls that ended for this reason, such as `gave_up`.
    #[arg(long, value_name = "WORD")]
    pub(crate) reason: Option<String>,
    /// Only calls that ended by this fault, such as `worker`.
    #[arg(long, value_name = "WORD")]
    pub(crate) fault: Option<String>,
    /// So many at most.
    #[arg(long, value_name = "NUMBER", default_value_t = 100, value_parser = at_least_one)]
    pub(crate) limit: usize,
    #[command(flatten)]
    pub(crate) edge: AdminArgs,
}

fn at_least_one(text: &str) -> Result<usize, String> {
    let number: NonZeroUsize = text.parse().map_err(|error| format!("{error}"))?;
    Ok(number.get())
}

/// Arguments of what is about one call.
#[derive(Args, Debug)]
pub(crate) struct CallArgs {
    /// Its session id, or the carrier's call SID.
    pub(crate) session: String,
    #[command(flatten)]
    pub(crate) edge: AdminArgs,
}

/// Arguments of `workers`.
#[derive(Args, Debug)]
pub(crate) struct WorkersArgs {
    #[command(flatten)]
    pub(crate) edge: AdminArgs,
}

/// Arguments of `drain`.
#[derive(Args, Debug)]
pub(crate) struct DrainArgs {
    /// The worker's address, as `holdline workers` shows it.
    pub(crate) worker: String,
    /// Takes it back: the worker gets calls again.
    #[arg(long)]
    pub(crate) undo: bool,
    /// Stays until its last call has left it.
    #[arg(long, conflicts_with = "undo")]
    pub(crate) wait: bool,
    #[command(flatten)]
    pub(crate) edge: AdminArgs,
}

/// Arguments of `rollout`.
#[derive(Args, Debug)]
pub(crate) struct RolloutArgs {
    /// What is to be done; `show` where nothing is said.
    #[command(subcommand)]
    pub(crate) action: Option<RolloutAction>,
    /// The pool; needed where there are several and something is to change.
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) pool: Option<String>,
    #[command(flatten)]
    pub(crate) edge: AdminArgs,
}

/// What is to be done about rollout rules.
#[derive(Subcommand, Debug)]
pub(crate) enum RolloutAction {
    /// Shows the rules in force.
    Show,
    /// Sets the shares of calls, all at once: `weight v1=90 v2=10`; without any, there are none.
    Weight {
        /// VERSION=SHARE.
        #[arg(value_parser = share)]
        shares: Vec<(String, u32)>,
    },
    /// Pins calls with this attribute to a version: `pin parameter.tenant=acme v2`.
    Pin {
        /// ATTRIBUTE=VALUE.
        #[arg(value_parser = pair)]
        calls: (String, String),
        /// Where they belong.
        version: String,
    },
    /// Takes a pin away.
    Unpin {
        /// ATTRIBUTE=VALUE.
        #[arg(value_parser = pair)]
        calls: (String, String),
    },
    /// Takes a version out of service: it gets no calls, and its calls leave at once.
    Disable {
        /// Which; its share and its pins are taken away, too.
        version: String,
    },
    /// Takes `disable` back.
    Enable {
        /// Which.
        version: String,
    },
    /// When calls that are there go to a better version.
    Existing {
        /// `on_drain`, `eager` or `pinned`.
        when: String,
    },
    /// Lets the configuration's rules hold again.
    Reset,
}

fn share(text: &str) -> Result<(String, u32), String> {
    let (version, share) = pair(text)?;
    let share = share
        .parse()
        .map_err(|_| format!("`{share}` is no whole number"))?;
    Ok((version, share))
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("there must be a `=` in it")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Arguments of `top`.
#[derive(Args, Debug)]
pub(crate) struct TopArgs {
    /// Between two looks.
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = humantime::parse_duration)]
    pub(crate) interval: Duration,
    /// Prints it once, for a pipe.
    #[arg(long)]
    pub(crate) once: bool,
    #[command(flatten)]
    pub(crate) edge: AdminArgs,
}

pub(crate) const SESSIONS_HELP: &str = "\
For example:
  holdline sessions                          who is on the line
  holdline sessions --version v2             on which worker version
  holdline sessions --ended --fault worker   which calls were cut by workers, and why
  holdline sessions --output json | jq -r '.sessions[].call_sid'";

pub(crate) const SESSION_HELP: &str = "\
For example:
  holdline session CA0123456789abcdef0123456789abcdef

Shows its worker, legs, timers and the keys of its state with their sizes, and what happened to it:
attachments, handoffs with their gap, losses, holds, how it ended and whose fault that was. What is
said in the call, the state's values and secrets are never shown.";

pub(crate) const DRAIN_HELP: &str = "\
For example:
  holdline drain 10.0.3.17:50051 --wait
  holdline drain 10.0.3.17:50051 --undo

Its calls go to other workers, paced by `handoffs_per_second`; with no better place they stay. The
process itself is not told: stop it when its last call has left.";

pub(crate) const ROLLOUT_HELP: &str = "\
For example:
  holdline rollout                                  the rules in force
  holdline rollout weight v1=90 v2=10               a canary
  holdline rollout disable v2                       the kill switch
  holdline rollout pin parameter.tenant=acme v2
  holdline rollout reset                            what the configuration says

What is set here holds at once and on this edge alone: until the configuration has new rollout rules
for the pool, `reset`, or the edge's end. What is to stay belongs into the configuration.";

pub(crate) const TOP_HELP: &str = "\
For example:
  holdline top
  holdline top --once

Keys: q (or Ctrl-C) ends it, j and k or the arrows scroll. Where its output is no terminal, it is printed once.
Colours are left out with NO_COLOR or on a dumb terminal. Calls that are held come first, then those with the longest gap in a handoff.";
