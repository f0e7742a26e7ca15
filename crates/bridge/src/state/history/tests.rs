#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use super::*;

fn saved(history: &mut History, store: &mut BTreeMap<String, Vec<u8>>) -> usize {
    let mut touched = 0;
    history.save(&mut |change| {
        touched += 1;
        match change {
            Change::Put(key, value) => drop(store.insert(key, value)),
            Change::Delete(key) => drop(store.remove(&key)),
        }
    });
    touched
}

fn loaded(store: &BTreeMap<String, Vec<u8>>) -> History {
    History::load(&|key| store.get(key).map(|value| Bytes::from(value.clone()))).unwrap()
}

fn caller(words: &str) -> What {
    What::Caller {
        words: Private::from(words.to_owned()),
    }
}

#[test]
fn it_comes_back_as_it_was_and_only_changes_are_written() {
    let (mut history, mut store) = (History::default(), BTreeMap::new());
    history.add(&ItemId::new("U1"), caller(""));
    history.agent_said(&ItemId::new("A1"), "Good morning.");
    assert_eq!(saved(&mut history, &mut store), 3);
    history.caller_said(&ItemId::new("U1"), "Hello?");
    assert_eq!(
        saved(&mut history, &mut store),
        2,
        "the entry and the index"
    );
    assert_eq!(saved(&mut history, &mut store), 0);
    assert!(loaded(&store).entries().eq(history.entries()));
}

#[test]
fn what_was_cut_stays_cut() {
    let mut history = History::default();
    let item = ItemId::new("A1");
    history.agent_said(&item, "one two three four");
    history.agent_cut(&item, None, 50, 100);
    history.agent_said(&item, "one two three four");
    let heard = history.entries().next().unwrap();
    assert!(matches!(&heard.what, What::Agent { words, cut: true } if words.expose() == "one two"));
}

#[test]
fn four_hours_of_talk_stay_within_a_quarter_of_a_mebibyte() {
    let (mut history, mut store) = (History::default(), BTreeMap::new());
    // A turn of each side every ten seconds, and now and then a talkative function.
    for turn in 0..4 * 360 {
        let words = "a word and another one. ".repeat(4 + turn % 13);
        history.caller_said(&ItemId::new(format!("item_user_{turn:020}")), &words);
        history.agent_said(&ItemId::new(format!("item_agent_{turn:020}")), &words);
        if turn % 50 == 0 {
            let call = CallId::new(format!("call_{turn}"));
            let output = Private::from("\"\u{1}".repeat(4 << 10));
            history.add(
                &ItemId::new(format!("out{turn}")),
                What::Output { call, output },
            );
        }
        saved(&mut history, &mut store);
        let bytes: usize = store
            .iter()
            .map(|(key, value)| key.len() + value.len())
            .sum();
        assert!(bytes < 256 << 10, "turn {turn}: {bytes} bytes");
        assert!(store.len() <= MAX_ENTRIES + 1);
    }
    assert!(history.forgotten() > 0);
    assert!(loaded(&store).entries().eq(history.entries()));
}

#[test]
fn an_entry_of_a_newer_version_is_skipped_and_not_lost() {
    let mut store = BTreeMap::new();
    store.insert(
        "history".to_owned(),
        br#"{"first":0,"next":1,"colour":"red"}"#.to_vec(),
    );
    store.insert(
        key(0),
        br#"{"item":"X","what":"hologram","depth":3}"#.to_vec(),
    );
    let mut history = loaded(&store);
    assert_eq!(history.entries().next().unwrap().what, What::Unknown);
    history.caller_said(&ItemId::new("U1"), "Hello");
    saved(&mut history, &mut store);
    assert!(store[&key(0)].ends_with(b"\"depth\":3}"));
}
