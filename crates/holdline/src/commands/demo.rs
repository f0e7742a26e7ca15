//! `holdline demo`: the whole thing on one machine.

use crate::{
    Failure,
    demo::{self, DemoArgs},
};

/// Runs the demo; fails if the line did not hold.
pub(crate) fn demo(args: DemoArgs) -> Result<(), Failure> {
    let held = super::block_on(demo::run(args))?;
    if held {
        Ok(())
    } else {
        Err(Failure::Failed(
            "something was lost: see the account above".to_owned(),
        ))
    }
}
