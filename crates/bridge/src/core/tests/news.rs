//! News from outside of the call.

#![allow(clippy::unwrap_used)]

use serde_json::Value;

use super::world::{Input, World, created, done};
use crate::core::Note;

const READY: Input = Input::News("message", "Dr. Lund is on the line.");

#[test]
fn a_message_is_told_in_words_and_asks_for_an_answer() {
    let mut world = World::greeted();
    world.put(5_000, &READY);
    assert_eq!(
        world.model_types(),
        ["conversation.item.create", "response.create"]
    );
    let item = &world.model_heard()[0]["item"];
    assert_eq!(item["role"], "system");
    assert_eq!(item["content"][0]["text"], "Dr. Lund is on the line.");
}

#[test]
fn the_answer_waits_until_the_model_has_finished() {
    let mut world = World::greeted();
    world.model(5_000, &created("R2"));
    world.put(5_100, &READY);
    assert_eq!(world.model_types(), ["conversation.item.create"]);
    world.model(5_900, &done("R2", "completed"));
    assert_eq!(world.model_types(), ["response.create"]);
}

#[test]
fn a_note_is_known_and_not_talked_about() {
    let mut world = World::greeted();
    world.put(5_000, &Input::News("note", "The caller is a member."));
    assert_eq!(world.model_types(), ["conversation.item.create"]);
}

#[test]
fn what_no_bridge_knows_is_noted_and_left() {
    let mut world = World::greeted();
    for input in [Input::News("gossip", "x"), Input::News("message", "")] {
        world.put(5_000, &input);
        assert!(world.model_heard().is_empty());
        let noted: Vec<_> = world.notes().collect();
        assert!(matches!(noted[..], [Note::NewsIgnored { .. }]), "{noted:?}");
    }
}

#[test]
fn news_that_come_while_a_model_is_awaited_are_told_to_it_once() {
    let mut world = World::greeted();
    world.put(5_000, &Input::ModelClosed(1, 1006));
    world.put(5_100, &READY);
    let mut told = world.model_heard();
    world.put(5_500, &Input::ModelOpened(2));
    told.extend(world.model_heard());
    let news = |event: &&Value| event["item"]["content"][0]["text"] == "Dr. Lund is on the line.";
    assert_eq!(told.iter().filter(news).count(), 1, "{told:?}");
}
