//! A handler hears of a timer once, and only of its latest setting.

use holdline_wire::v1::{self, command::Command, input::Kind};

use crate::{
    edge::{Served, frame, fresh, input, texts, with_state},
    script::Script,
};

fn fired(seq: u64, name: &str, tag: u64, stale: bool) -> v1::Input {
    let fired = v1::TimerFired {
        name: name.to_owned(),
        tag,
        stale,
    };
    input(seq, Kind::TimerFired(fired))
}

fn tags(commit: &v1::Commit) -> Vec<u64> {
    let commands = commit.commands.iter();
    let tags = commands.filter_map(|command| match command.command.as_ref()? {
        Command::SetTimer(timer) => Some(timer.tag),
        _ => None,
    });
    tags.collect()
}

const HEARD: &str = r#"TimerFired { name: "t" }"#;

#[tokio::test]
async fn only_the_fire_of_the_latest_setting_is_heard() {
    let served = Served::start(Script::new()).await;
    let mut stream = served.attach_as(3, fresh()).await;
    stream
        .inputs(vec![frame(1, "timer t 20"), frame(2, "timer t 30")])
        .await;
    let tags = tags(&stream.commit().await);
    assert_eq!(tags, [3 << 32 | 1, 3 << 32 | 2]);

    stream
        .inputs(vec![
            fired(3, "t", tags[0], false),
            fired(4, "t", tags[1], true),
        ])
        .await;
    let commit = stream.commit().await;
    assert_eq!(
        commit.through_seq, 4,
        "outdated fires are inputs all the same"
    );
    assert!(texts(&commit).is_empty());

    stream.inputs(vec![fired(5, "t", tags[1], false)]).await;
    assert_eq!(texts(&stream.commit().await), [HEARD]);
    stream.inputs(vec![fired(6, "t", tags[1], false)]).await;
    assert!(texts(&stream.commit().await).is_empty(), "heard twice");
}

#[tokio::test]
async fn a_cancelled_timer_is_not_heard() {
    let served = Served::start(Script::new()).await;
    let mut stream = served.attach(fresh()).await;
    stream.inputs(vec![frame(1, "timer t 20")]).await;
    let tag = tags(&stream.commit().await)[0];

    stream
        .inputs(vec![frame(2, "cancel t"), fired(3, "t", tag, false)])
        .await;
    let commit = stream.commit().await;
    assert!(texts(&commit).is_empty());
    assert!(matches!(
        commit.commands[0].command,
        Some(Command::CancelTimer(_))
    ));
}

#[tokio::test]
async fn a_timer_of_an_earlier_attachment_is_heard() {
    let served = Served::start(Script::new()).await;
    let mut attach = with_state(&[], 8);
    attach.timers = vec![v1::Timer {
        name: "t".to_owned(),
        remaining_us: 0,
        tag: 1 << 32 | 5,
    }];
    let mut stream = served.attach_as(2, attach).await;
    stream.inputs(vec![fired(8, "t", 1 << 32 | 5, false)]).await;
    assert_eq!(texts(&stream.commit().await), [HEARD]);
}
