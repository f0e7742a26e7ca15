#![allow(clippy::unwrap_used)]

use super::*;

const MS: u64 = 8;

fn at(ms: u64) -> Time {
    Time(ms * 1_000)
}

fn send(playback: &mut Playback, ms: u64, item: &str, length_ms: u64) -> String {
    playback.sent(at(ms), (item, 0), &ResponseId::new("R"), 1, length_ms * MS)
}

#[test]
fn marks_name_generation_item_and_length() {
    let mut playback = Playback::default();
    assert_eq!(send(&mut playback, 0, "A", 200), "g0:A:200");
    assert_eq!(send(&mut playback, 5, "A", 250), "g0:A:450");
    playback.interrupt(at(10));
    assert_eq!(send(&mut playback, 20, "B", 200), "g1:B:200");
}

#[test]
fn heard_is_the_last_mark_and_the_time_since() {
    let mut playback = Playback::default();
    send(&mut playback, 1_000, "A", 3_000);
    assert!(playback.echoed(at(1_350), "g0:A:300"));
    let cut = playback.interrupt(at(1_400)).remove(0);
    assert_eq!((cut.heard_ms, cut.sent_ms), (350, 3_000));
}

#[test]
fn heard_is_never_more_than_the_clock_or_what_was_sent() {
    let mut playback = Playback::default();
    send(&mut playback, 1_000, "A", 200);
    assert_eq!(playback.clone().interrupt(at(1_100))[0].heard_ms, 100);
    assert_eq!(playback.clone().interrupt(at(9_000))[0].heard_ms, 200);
}

#[test]
fn echoes_after_an_interrupt_say_nothing() {
    let mut playback = Playback::default();
    let mark = send(&mut playback, 0, "A", 200);
    playback.interrupt(at(10));
    assert!(!playback.echoed(at(11), &mark));
    for mark in [
        "", "g", "g1", "g1:", "g1:A", "g1:A:x", "gx:A:1", "g1:B:1", "other",
    ] {
        assert!(!playback.echoed(at(12), mark), "{mark}");
    }
}

#[test]
fn an_item_that_was_heard_completely_is_not_cut() {
    let mut playback = Playback::default();
    let mark = send(&mut playback, 0, "A", 200);
    playback.complete(at(1), &ItemId::new("A"));
    assert!(playback.is_playing(at(150)));
    assert!(playback.echoed(at(230), &mark));
    assert!(!playback.is_playing(at(230)));
    assert_eq!(playback.interrupt(at(240)), []);
}

#[test]
fn queued_items_that_were_not_heard_at_all_are_cut_at_nothing() {
    let mut playback = Playback::default();
    send(&mut playback, 0, "A", 1_000);
    playback.complete(at(1), &ItemId::new("A"));
    send(&mut playback, 2, "B", 500);
    let cuts = playback.interrupt(at(400));
    assert_eq!(cuts.len(), 2);
    assert_eq!((cuts[0].heard_ms, cuts[1].heard_ms), (400, 0));
}

#[test]
fn the_next_item_begins_when_the_one_before_it_is_known_to_have_ended() {
    let mut playback = Playback::default();
    let mark = send(&mut playback, 0, "A", 1_000);
    playback.complete(at(1), &ItemId::new("A"));
    send(&mut playback, 2, "B", 500);
    playback.echoed(at(1_300), &mark);
    assert_eq!(playback.interrupt(at(1_400))[0].heard_ms, 100);
}

#[test]
fn a_mark_of_a_later_item_says_that_the_earlier_were_heard() {
    let mut playback = Playback::default();
    send(&mut playback, 0, "A:1", 100);
    let mark = send(&mut playback, 1, "B", 100);
    assert!(playback.echoed(at(230), &mark));
    let cuts = playback.interrupt(at(231));
    assert_eq!(cuts.len(), 1);
    assert_eq!(cuts[0].item.as_str(), "B");
}

#[test]
fn a_carrier_without_echoes_cannot_make_it_grow() {
    let mut playback = Playback::default();
    for item in 0..1_000 {
        send(&mut playback, item, &format!("item{item}"), 20);
    }
    assert!(playback.items.len() <= MAX_ITEMS);
}
