//! What a call weighs: the slope between few calls and many, so that a program's fixed part, its
//! code and its first pages, does not count.

use std::{io, time::Duration};

use super::{Finding, REST};
use crate::{
    load::{Load, Traffic},
    subject::{Ground, PATH, Rig, Subject},
};

/// One part of so many of the calls is there when memory is first looked at.
const FEW: u32 = 5;
/// How long nobody speaks before an idle call is weighed.
const QUIET: Duration = Duration::from_secs(1);

/// What calls do while they are weighed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Doing {
    /// Nothing any more.
    Nothing,
    /// Both sides speak, for this long by then.
    Talking(Duration),
}

/// Weighs calls.
///
/// # Errors
/// If the subject does not serve all calls, or there is no program to be weighed.
pub(crate) fn weigh(
    subject: &Subject,
    ground: &Ground,
    calls: u32,
    doing: Doing,
) -> io::Result<Vec<Finding>> {
    let mut load = Load::new(ground.model_tls())?;
    let rig = subject.start(ground, &mut load)?;
    let mut weigh = |calls| {
        let weight = with(&rig, &mut load, calls, doing);
        weight.map_err(|error| rig.blame(error))
    };
    let few = (calls / FEW).max(1);
    let (light, heavy) = (weigh(few)?, weigh(calls)?);
    let kib = heavy.saturating_sub(light) as f64 / 1_024.0;
    Ok(vec![
        ("kib_per_call", kib / f64::from(calls - few)),
        ("process_mib", heavy as f64 / f64::from(1 << 20)),
    ])
}

fn with(rig: &Rig, load: &mut Load, calls: u32, doing: Doing) -> io::Result<u64> {
    load.connect(calls, rig.entry, PATH)?;
    let resident = match doing {
        Doing::Nothing => {
            load.warm_up()?;
            load.run(QUIET)?;
            rig.resident()?
        }
        Doing::Talking(time) => {
            load.begin(Traffic::Bursts);
            load.run(time)?;
            rig.resident()?
        }
    };
    load.finish(REST)?;
    Ok(resident)
}
