//! The public contract between edge and worker: `holdline.worker.v1`.
//!
//! The `.proto` file is the contract; the Rust code beside it is generated from it, committed so
//! that no build needs a protobuf compiler, and kept fresh by `tests/freshness.rs`.

/// Messages, client and server of `holdline.worker.v1`.
pub mod v1 {
    #![allow(
        missing_docs,
        unreachable_pub,
        unused_qualifications,
        clippy::all,
        clippy::too_many_lines
    )]
    include!("generated/holdline.worker.v1.rs");
}

/// The revision of the protocol spoken by this build.
///
/// Raised when a message gains a meaning that the other side must know of.
pub const PROTOCOL_REVISION: u32 = 1;

/// Names of all commands of this revision, as told in `Attach` and asked for in `Describe`.
pub const COMMANDS: [&str; 6] = [
    "Send",
    "OpenLeg",
    "CloseLeg",
    "SetTimer",
    "CancelTimer",
    "EndSession",
];

/// The encoded file descriptor set, for gRPC server reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!("generated/descriptor.bin");

/// The longest name of a leg, an upstream or a timer, in bytes.
pub const MAX_NAME_BYTES: usize = 128;

/// The largest message on a `Serve` stream in bytes, save one that carries a single larger frame.
pub const MAX_MESSAGE_BYTES: usize = 1 << 20;
