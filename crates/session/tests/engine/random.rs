//! Whatever the dice give: the engine against the ledger.

use proptest::prelude::*;

use super::{
    schedule::{Op, schedules},
    world::World,
};

fn play(ops: &[Op], reborn_each_step: bool) {
    let mut world = World::new();
    for op in ops {
        world.play(op);
        if reborn_each_step {
            world.play(&Op::Restore);
        }
    }
    world.settle();
    world.play(&Op::End);
    world.finish();
}

/// At least so many cases; `PROPTEST_CASES` asks for more.
fn cases(least: u32) -> ProptestConfig {
    let asked = ProptestConfig::default();
    ProptestConfig {
        cases: asked.cases.max(least),
        max_shrink_iters: 50_000,
        failure_persistence: None,
        ..asked
    }
}

proptest! {
    #![proptest_config(cases(2_000))]

    #[test]
    fn every_schedule_keeps_every_promise(ops in schedules()) {
        play(&ops, false);
    }
}

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn a_session_that_is_restored_after_every_step_keeps_every_promise(ops in schedules()) {
        play(&ops, true);
    }
}
