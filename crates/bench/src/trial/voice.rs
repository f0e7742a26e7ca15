//! What edge and bridge cost together when people speak: calls as they are, with both vendors'
//! dialects, speech, answers and interruptions.

use std::{
    io,
    time::{Duration, Instant},
};

use holdline_testkit::{
    openai::{OpenAiSim, SimOptions},
    stage::{ANSWER_WITHIN, Callers, Calling, Plan, Stage},
};
use rustix::process::Pid;
use tokio::time::sleep;

use super::Finding;
use crate::{
    proc::{self, Role},
    subject::{EdgeBuild, Ground},
};

/// By then everybody has said something and was answered.
const UNDER_WAY: Duration = Duration::from_secs(8);
/// When the first caller says something; each of the others a little later.
const FIRST_WORDS: Duration = Duration::from_secs(1);
/// No call lasts longer, whatever happens.
const LONGEST: Duration = Duration::from_secs(600);

/// Measures for `window`.
///
/// # Errors
/// If something does not start, or a call is not answered.
pub(crate) fn run(
    build: &EdgeBuild,
    ground: &Ground,
    calls: u32,
    window: Duration,
) -> io::Result<Vec<Finding>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(Box::pin(async {
        let options = SimOptions {
            max_connections: u16::MAX,
            ..SimOptions::default()
        };
        let model = OpenAiSim::bind(([127, 0, 0, 1], 0).into(), options).await;
        let model = model.map_err(io::Error::other)?;
        let plan = Plan::new(&ground.folder, &build.edge, model.local_addr(), 1);
        // Both processes are under test; what is started has the cores of who starts it.
        ground.cores.take(Role::Tested)?;
        let stage = Stage::set_up(plan, "v1").await;
        ground.cores.take(Role::Other)?;
        let stage = stage?;
        let calling = Calling {
            first: 1,
            calls,
            longest: LONGEST,
            first_words: FIRST_WORDS,
            answer_within: ANSWER_WITHIN,
            keep_audio: false,
        };
        let callers = Callers::dial(stage.url(), calling).await?;
        sleep(UNDER_WAY).await;
        let before = costs(&stage)?;
        let began = Instant::now();
        sleep(window).await;
        let after = costs(&stage)?;
        let percent = |index: usize| {
            let cpu = after[index] - before[index];
            100.0 * cpu.as_secs_f64() / began.elapsed().as_secs_f64() / f64::from(calls)
        };
        let lost = calls as usize - callers.up();
        Ok(vec![
            ("cpu_percent_per_call", percent(0) + percent(1)),
            ("edge_percent_per_call", percent(0)),
            ("bridge_percent_per_call", percent(1)),
            ("lost_calls", lost as f64),
        ])
    }))
}

/// CPU times so far of the edge and of the bridge.
fn costs(stage: &Stage) -> io::Result<[Duration; 2]> {
    let nobody = || io::Error::other("the bridge is gone");
    let bridge: Pid = stage.worker(0).ok_or_else(nobody)?.pid();
    Ok([proc::cpu(stage.edge().pid())?, proc::cpu(bridge)?])
}
