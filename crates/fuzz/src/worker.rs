//! What legs, clock and workers do to a session. What workers say is in the wire's own form.

use crate::{reader::Reader, world::World};

pub(crate) fn run(bytes: &[u8]) {
    let mut reader = Reader::new(bytes);
    let mut world = World::new();
    while !reader.is_empty() && !world.is_over() {
        world.step(&mut reader);
    }
    world.finish();
}
