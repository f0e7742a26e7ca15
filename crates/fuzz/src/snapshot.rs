//! A session's snapshot. It comes without its checksum, which would keep everything else out.

use crc::{CRC_32_ISCSI, Crc};
use holdline_session::{Session, Snapshot};

use crate::world::{NOW, World, limits};

const CHECKSUM: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

pub(crate) fn run(bytes: &[u8]) {
    // As it is: the checksum must keep it out, or be right by chance.
    let _ = Snapshot::from_bytes(bytes);
    let Ok(snapshot) = Snapshot::from_bytes(&with_checksum(bytes)) else {
        return;
    };
    let written = snapshot.to_bytes().expect("memory can be had");
    let again = Snapshot::from_bytes(&written).expect("what was written can be read");
    assert_eq!(snapshot, again);
    let session = Session::restore(snapshot, limits(), NOW);
    World::restored(session).finish();
}

fn with_checksum(bytes: &[u8]) -> Vec<u8> {
    let sum = CHECKSUM.checksum(bytes.get(1..).unwrap_or_default());
    [bytes, &sum.to_le_bytes()].concat()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn what_a_session_writes_is_read_once_it_has_its_checksum() {
        let written = World::new().snapshot().to_bytes().unwrap();
        let (body, _checksum) = written.split_last_chunk::<4>().unwrap();
        assert_eq!(with_checksum(body), written);
        run(body);
    }
}
