//! What happens outside of a call is an input, once.

use holdline_session::{
    EndReason, Epoch, Event, External, FromWorker, InputKind, Limits, Report, Seq, Session,
    Snapshot, Taken,
};

use super::rig::{Rig, ms, text};

fn news(key: &str, words: &str) -> External {
    External {
        key: key.to_owned(),
        name: "news".to_owned(),
        payload: text(words),
    }
}

/// Tells it, and says what came of that.
fn tell(rig: &mut Rig, external: External) -> Taken {
    let key = external.key.clone();
    rig.feed(Event::External(external));
    let outs = rig.take();
    let mut said = outs.reports().filter_map(|report| match report {
        Report::External { key: of, taken } if *of == key => Some(*taken),
        _ => None,
    });
    let taken = said.next().unwrap();
    assert_eq!(said.next(), None, "one answer");
    taken
}

#[test]
fn it_comes_in_the_one_order_of_inputs_and_again_after_a_loss() {
    let (mut rig, epoch) = Rig::running(|_| {});
    rig.control("before");
    rig.feed(Event::External(news("1", "ready")));
    rig.control("after");
    let is_third = |kinds: &[InputKind]| matches!(&kinds[1], InputKind::External(external) if *external == news("1", "ready"));
    let outs = rig.take();
    let taken = Taken::Now(Seq(3));
    let key = "1".to_owned();
    assert!(outs.says(&Report::External { key, taken }));
    assert_eq!(outs.seqs(epoch), [2, 3, 4]);
    assert!(is_third(&outs.kinds(epoch)));
    rig.lose(epoch);
    let next = rig.attach();
    rig.commit(next, 2);
    let kinds = rig.take().kinds(next);
    assert!(
        matches!(&kinds[..], [_, InputKind::External(_)]),
        "{kinds:?}"
    );
}

#[test]
fn told_twice_it_is_an_input_once_even_after_it_was_committed_and_at_another_edge() {
    let (mut rig, epoch) = Rig::running(|_| {});
    assert_eq!(tell(&mut rig, news("1", "ready")), Taken::Now(Seq(2)));
    assert_eq!(tell(&mut rig, news("1", "ready")), Taken::Before);
    rig.commit(epoch, 2);
    assert_eq!(tell(&mut rig, news("1", "something else")), Taken::Before);
    let snapshot = rig.session.snapshot().to_bytes().unwrap();
    let snapshot = Snapshot::from_bytes(&snapshot).unwrap();
    rig.session = Session::restore(snapshot, Limits::default(), rig.now);
    assert_eq!(tell(&mut rig, news("1", "ready")), Taken::Before);
    assert_eq!(rig.view().last, Seq(2));
    assert_eq!(rig.session.account().externals, 1);
}

#[test]
fn the_last_256_keys_are_remembered() {
    let (mut rig, epoch) = Rig::running(|_| {});
    for number in 0..=256_u64 {
        assert_eq!(
            tell(&mut rig, news(&number.to_string(), "")),
            Taken::Now(Seq(number + 2))
        );
        rig.commit(epoch, number + 2);
    }
    assert_eq!(tell(&mut rig, news("1", "")), Taken::Before);
    assert_eq!(tell(&mut rig, news("0", "")), Taken::Now(Seq(259)));
}

#[test]
fn it_waits_elsewhere_while_the_log_is_deep_in_bytes_or_in_frames() {
    let (mut rig, epoch) = Rig::running(|limits| limits.log_bytes = 100);
    rig.lose(epoch);
    rig.control(&"x".repeat(49));
    let mut other = rig.session.clone();
    assert_eq!(tell(&mut rig, news("1", "y")), Taken::Now(Seq(3)));
    assert_eq!(
        tell(&mut rig, news("2", "y")),
        Taken::Full,
        "its payload counts"
    );
    assert_eq!(rig.view().last, Seq(3));
    std::mem::swap(&mut rig.session, &mut other);
    rig.control("y");
    assert_eq!(tell(&mut rig, news("1", "")), Taken::Full);
    let next = Epoch(epoch.0 + 1);
    rig.offer(next);
    rig.said(next, FromWorker::Accept);
    rig.commit(next, 3);
    assert_eq!(
        tell(&mut rig, news("1", "")),
        Taken::Now(Seq(4)),
        "a retry helps"
    );

    let (mut rig, epoch) = Rig::running(|limits| limits.log_frames = 4);
    rig.lose(epoch);
    rig.control("one");
    assert_eq!(tell(&mut rig, news("1", "")), Taken::Now(Seq(3)));
    assert_eq!(tell(&mut rig, news("2", "")), Taken::Full);
}

#[test]
fn what_is_too_large_or_too_late_is_refused() {
    let (mut rig, _) = Rig::running(|limits| (limits.key_bytes, limits.value_bytes) = (4, 9));
    assert_eq!(tell(&mut rig, news("long!", "")), Taken::TooLarge);
    let of_a_long_name = External {
        name: "names".to_owned(),
        ..news("1", "")
    };
    assert_eq!(tell(&mut rig, of_a_long_name), Taken::TooLarge);
    assert_eq!(tell(&mut rig, news("1", "ten bytes!")), Taken::TooLarge);
    assert_eq!(
        tell(&mut rig, news("four", "nine byte")),
        Taken::Now(Seq(2))
    );
    rig.feed(Event::End {
        reason: EndReason::Operator,
        detail: String::new(),
    });
    rig.take();
    assert_eq!(tell(&mut rig, news("2", "")), Taken::Ending);
    assert_eq!(
        tell(&mut rig, news("four", "")),
        Taken::Before,
        "it was one"
    );
    rig.advance(ms(1));
}
