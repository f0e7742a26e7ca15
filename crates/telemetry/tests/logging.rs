//! The log of a process whose disk is full for a while.

#![allow(clippy::unwrap_used)]

use std::{
    io::{self, Write},
    sync::{
        atomic::{AtomicBool, Ordering::SeqCst},
        mpsc,
    },
};

use holdline_telemetry::{
    Metrics,
    logging::{self, Format, lost_lines},
};

static FULL: AtomicBool = AtomicBool::new(false);

/// Tells of every line, and whether it found room.
struct Disk(mpsc::Sender<Option<String>>);

impl Write for Disk {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let full = FULL.load(SeqCst);
        let told = (!full).then(|| String::from_utf8(line.to_vec()).unwrap());
        self.0.send(told).unwrap();
        if full {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// One test: a process has one log.
#[test]
fn lines_that_are_lost_are_counted_and_told_when_the_log_goes_on() {
    let (sender, written) = mpsc::channel();
    let (guard, _) = logging::init(Format::Json, "info", Disk(sender)).unwrap();
    let line = || written.recv().unwrap();

    tracing::info!("before");
    assert!(line().unwrap().contains("\"message\":\"before\""));
    FULL.store(true, SeqCst);
    for _ in 0..3 {
        tracing::info!("lost");
        assert_eq!(line(), None);
    }
    FULL.store(false, SeqCst);
    tracing::info!("after");
    assert!(line().unwrap().contains("\"message\":\"after\""));
    assert!(line().unwrap().contains("\"lines_lost\":3"));
    assert_eq!(lost_lines(), 3);
    let metrics = Metrics::new().render();
    assert!(
        metrics.contains("\nholdline_log_lines_lost 3\n"),
        "{metrics}"
    );

    tracing::info!("last");
    drop(guard);
    assert!(written.try_recv().unwrap().unwrap().contains("last"));
}
