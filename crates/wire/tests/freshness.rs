//! The committed code is what the `.proto` file says. After a change of the contract run
//! `HOLDLINE_REGENERATE=1 cargo test -p holdline-wire`.
#![allow(clippy::unwrap_used)]

use std::{env, fs, path::Path};

use prost::Message as _;

#[test]
fn generated_code_is_fresh() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let proto = root.join("proto");
    let generated = root.join("src/generated");
    let out = tempfile::tempdir().unwrap();

    let descriptors = protox::compile([proto.join("holdline/worker/v1/worker.proto")], [&proto])
        .expect("the .proto file compiles");
    let mut reflection = descriptors.clone();
    for file in &mut reflection.file {
        // Comments are for readers of the file, not for reflection.
        file.source_code_info = None;
    }
    tonic_prost_build::configure()
        .bytes(".")
        .btree_map(".")
        .out_dir(out.path())
        .compile_fds(descriptors)
        .unwrap();

    let fresh = [
        (
            "holdline.worker.v1.rs",
            fs::read(out.path().join("holdline.worker.v1.rs")).unwrap(),
        ),
        ("descriptor.bin", reflection.encode_to_vec()),
    ];
    for (name, content) in fresh {
        let committed = generated.join(name);
        if env::var_os("HOLDLINE_REGENERATE").is_some() {
            fs::write(&committed, &content).unwrap();
        }
        assert!(
            fs::read(&committed).unwrap_or_default() == content,
            "{name} is stale: run HOLDLINE_REGENERATE=1 cargo test -p holdline-wire"
        );
    }
}
