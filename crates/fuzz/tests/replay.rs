//! The committed inputs, each through its target: the corpus, and all that once found something.
#![allow(clippy::unwrap_used)]

use std::{
    fs,
    path::{Path, PathBuf},
};

use holdline_fuzz::TARGETS;

fn folder(kind: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz")
        .join(kind)
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn replay(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name).unwrap();
    let corpus = entries(&folder("corpus").join(name));
    assert!(corpus.len() >= 5, "{name} has {} inputs", corpus.len());
    for path in corpus
        .into_iter()
        .chain(entries(&folder("regressions").join(name)))
    {
        let bytes = fs::read(&path).unwrap();
        let run = std::panic::catch_unwind(|| (target.run)(&bytes));
        assert!(run.is_ok(), "{} made the target panic", path.display());
    }
}

macro_rules! targets {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            replay(stringify!($name));
        })*

        #[test]
        fn every_target_is_replayed_and_every_folder_belongs_to_one() {
            let mut names: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
            assert_eq!(names, [$(stringify!($name)),*]);
            names.push("README.md");
            for path in entries(&folder("corpus")).iter().chain(&entries(&folder("regressions"))) {
                let name = path.file_name().unwrap().to_str().unwrap();
                assert!(names.contains(&name), "{}", path.display());
            }
        }
    };
}

targets! { twilio openai upgrade webhook config worker snapshot sdk }

#[test]
fn the_corpus_stays_small_enough_to_keep_in_the_repository() {
    let files = TARGETS
        .iter()
        .flat_map(|target| entries(&folder("corpus").join(target.name)));
    let bytes: u64 = files.map(|path| fs::metadata(path).unwrap().len()).sum();
    assert!(bytes <= 300 << 10, "{bytes} bytes");
}
