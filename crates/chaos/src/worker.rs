//! A voice worker that can be made to fail: the ready-made one, with a fault put in.

use std::{io, process};

use clap::Args;
use holdline_bridge::{Attached, Bridge, Config, Options};
use holdline_worker::{
    CALLER, Call, Description, Input, Job, JobResult, Settings, Worker, WorkerError, run_with,
};

/// Options of the hidden sub-command `worker`: those of the voice worker, and the faults.
#[derive(Args, Debug)]
pub(crate) struct WorkerArgs {
    #[command(flatten)]
    bridge: Options,
    /// Aborts the process when a caller presses this key.
    #[arg(long)]
    poison: Option<char>,
    /// Forgets so many bytes at every input.
    #[arg(long, default_value_t = 0)]
    leak: usize,
}

struct Faulty {
    bridge: Bridge,
    /// What the message of the key looks like.
    poison: Option<String>,
    leak: usize,
}

/// Serves until SIGTERM and until its calls have left.
///
/// # Errors
/// If it cannot serve.
pub(crate) async fn run(args: WorkerArgs) -> io::Result<()> {
    let mut config = Config::load(&args.bridge.config).map_err(io::Error::other)?;
    config.version = args.bridge.version_label;
    let worker = Faulty {
        bridge: Bridge::new(&config).map_err(io::Error::other)?,
        poison: args.poison.map(|key| format!("\"digit\":\"{key}\"")),
        leak: args.leak,
    };
    let mut settings = Settings::from_env().map_err(io::Error::other)?;
    settings.address = args.bridge.listen;
    settings.grace = args.bridge.grace;
    run_with(worker, settings).await.map_err(io::Error::other)
}

impl Worker for Faulty {
    type Session = Attached;

    fn describe(&self) -> Description {
        self.bridge.describe()
    }

    fn attach(&self, call: &mut Call) -> Result<Attached, WorkerError> {
        self.bridge.attach(call)
    }

    fn handle(
        &self,
        session: &mut Attached,
        call: &mut Call,
        input: Input,
    ) -> Result<(), WorkerError> {
        if let (Some(poison), Input::Frame(frame)) = (&self.poison, &input)
            && frame.leg == CALLER
            && frame
                .payload
                .as_str()
                .is_some_and(|text| text.contains(poison))
        {
            process::abort();
        }
        if self.leak > 0 {
            // Written to, so that it is not only promised by the system; and the compiler is not to
            // see that nobody ever reads it.
            std::mem::forget(std::hint::black_box(vec![1_u8; self.leak]));
        }
        self.bridge.handle(session, call, input)
    }

    async fn perform(&self, job: Job) -> JobResult {
        self.bridge.perform(job).await
    }
}
