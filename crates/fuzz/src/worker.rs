//! What legs, clock and workers do to a session. What workers say is in the wire's own form.

use crate::{reader::Reader, world::World};

pub(crate) fn run(bytes: &[u8]) {
    lived(bytes).finish();
}

fn lived(bytes: &[u8]) -> World {
    let mut reader = Reader::new(bytes);
    let mut world = World::new();
    while !reader.is_empty() && !world.is_over() {
        world.step(&mut reader);
    }
    world
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seeds;

    #[test]
    fn the_first_inputs_come_as_far_as_commits_losses_and_returns() {
        let mut sum = [0; 4];
        for seed in seeds("worker") {
            let account = *lived(&seed).account();
            let reached = [
                account.commits,
                account.losses,
                account.attachments,
                account.resumes,
            ];
            for (sum, reached) in sum.iter_mut().zip(reached) {
                *sum += reached;
            }
        }
        assert!(sum.iter().all(|reached| *reached > 0), "{sum:?}");
    }
}
