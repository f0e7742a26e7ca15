//! `session.hold`: words, files, and what is wrong with them.

#![allow(clippy::unwrap_used)]

use std::{path::Path, time::Duration};

use holdline_config::{Audio, Config, ConfigErrors, Hold, HoldSound};

/// The hold of a file beside these others.
fn read(hold: &str, folder: &Path) -> Result<Hold, ConfigErrors> {
    let text = format!(
        r#"
listeners:
  - name: any
    address: 127.0.0.1:0
    routes: [{{path: /call, profile: raw, workers: pool}}]
workers:
  pool: {{discovery: {{static: {{addresses: ["127.0.0.1:1"]}}}}}}
session: {{hold: {hold}}}
"#
    );
    let path = folder.join("holdline.yaml");
    std::fs::write(&path, text).unwrap();
    Config::load(&path).map(|config| config.session.hold)
}

#[test]
fn without_a_word_two_soft_tones_come_after_two_seconds() {
    let folder = tempfile::tempdir().unwrap();
    let hold = read("{}", folder.path()).unwrap();
    assert_eq!(hold.after, Duration::from_secs(2));
    assert_eq!(hold.give_up, Duration::from_secs(30));
    let audio = hold.sound.audio().unwrap();
    assert_eq!(audio.frames(), 200, "four seconds");
    assert_ne!(audio.frame(1), audio.frame(199), "tones, then silence");
    assert_eq!(audio.frame(199), [0xFF; Audio::FRAME]);
    assert_eq!(audio.frame(3), audio.frame(203), "over and over");
}

#[test]
fn off_is_silence() {
    let folder = tempfile::tempdir().unwrap();
    let hold = read("{sound: off, after: 0s}", folder.path()).unwrap();
    assert_eq!(
        (hold.sound.clone(), hold.after),
        (HoldSound::Off, Duration::ZERO)
    );
    assert!(hold.sound.audio().is_none());
}

#[test]
fn a_file_is_read_beside_the_configuration_and_filled_up_to_whole_frames() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("wait.ulaw"), [7; 161]).unwrap();
    let hold = read("{sound: wait.ulaw}", folder.path()).unwrap();
    let audio = hold.sound.audio().unwrap();
    assert_eq!(audio.frames(), 2);
    assert_eq!(audio.frame(0), [7; Audio::FRAME]);
    assert_eq!(audio.frame(1)[..2], [7, 0xFF]);
    assert_eq!(format!("{audio:?}"), "2 frames");
}

#[test]
fn what_cannot_be_played_is_told_at_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
    write("empty.ulaw", &[]);
    write("long.ulaw", &vec![0; 2_400_001]);
    write("huge.ulaw", &vec![0; 5_000_000]);
    write("video.avi", b"RIFF\0\0\0\0AVI LIST");
    std::fs::create_dir(folder.path().join("folder")).unwrap();
    for (sound, why) in [
        ("empty.ulaw", "cannot be the hold sound: it is empty"),
        ("long.ulaw", "it plays 301 s; 300 s are allowed"),
        ("huge.ulaw", "it has more than 4865536 bytes"),
        ("video.avi", "it is RIFF, but no WAV"),
        ("folder", "it is not a file"),
        ("nowhere.ulaw", "No such file"),
        (
            "[1]",
            "must be default, off or the name of a file, not a list",
        ),
    ] {
        let errors = read(&format!("{{sound: {sound}}}"), folder.path()).unwrap_err();
        let said = errors.to_string();
        assert!(said.contains(why), "{said}");
        assert!(said.contains("session.hold.sound"), "{said}");
    }
}
