//! `holdline dev`: edge and worker in one command.

use crate::{
    Failure,
    dev::{self, DevArgs},
};

/// Runs both until the edge has drained.
pub(crate) fn dev(args: DevArgs) -> Result<(), Failure> {
    super::block_on(dev::run(args))
}
