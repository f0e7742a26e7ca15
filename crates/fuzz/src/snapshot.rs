//! A session's snapshot. It comes without its checksum, which would keep everything else out.

use crc::{CRC_32_ISCSI, Crc};
use holdline_session::{Session, Snapshot};

use crate::world::{NOW, World, limits};

const CHECKSUM: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

pub(crate) fn run(bytes: &[u8]) {
    // As it is: the checksum must keep it out, or be right by chance.
    let _ = Snapshot::from_bytes(bytes);
    let sum = CHECKSUM.checksum(bytes.get(1..).unwrap_or_default());
    let Ok(snapshot) = Snapshot::from_bytes(&[bytes, &sum.to_le_bytes()].concat()) else {
        return;
    };
    let written = snapshot.to_bytes().expect("memory can be had");
    let again = Snapshot::from_bytes(&written).expect("what was written can be read");
    assert_eq!(snapshot, again);
    let session = Session::restore(snapshot, limits(), NOW);
    World::restored(session).finish();
}
