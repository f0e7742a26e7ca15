//! Files that change under what was made of them.
#![allow(clippy::unwrap_used)]

use std::{fs, path::Path, sync::Arc};

use holdline_tls::{Own, Reloading, TlsError};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use tempfile::TempDir;
use tokio::sync::mpsc;

/// A certificate and its key, in a folder of their own.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        let (certificate, key) = identity();
        replace(&files.own().certificate, &certificate);
        replace(&files.own().key, &key);
        files
    }

    fn own(&self) -> Own {
        Own {
            certificate: self.0.path().join("tls.crt"),
            key: self.0.path().join("tls.key"),
        }
    }
}

fn identity() -> (String, String) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    (cert.pem(), signing_key.serialize_pem())
}

fn replace(path: &Path, text: &str) {
    let fresh = path.with_extension("new");
    fs::write(&fresh, text).unwrap();
    fs::rename(fresh, path).unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_is_bad_changes_nothing_and_what_is_good_does() {
    let files = Files::new();
    let own = files.own();
    let reloading = Reloading::server(&own, None, b"h2").unwrap();
    let first = reloading.current();
    let (tell, mut tried) = mpsc::unbounded_channel();
    let watch = reloading.watch(|ok| tell.send(ok).unwrap());
    let change = async {
        let (certificate, key) = identity();
        // A swap caught half-way: the key is not that of the certificate.
        replace(&own.certificate, &certificate);
        assert_eq!(tried.recv().await, Some(false));
        assert!(Arc::ptr_eq(&first, &reloading.current()));
        replace(&own.key, &key);
        assert_eq!(tried.recv().await, Some(true));
        let second = reloading.current();
        assert!(!Arc::ptr_eq(&first, &second));

        // Gone for a while, and back as it was: told once, and nothing to be done.
        fs::remove_file(&own.key).unwrap();
        assert_eq!(tried.recv().await, Some(false));
        replace(&own.key, &key);
        let (certificate, key) = identity();
        replace(&own.certificate, &certificate);
        replace(&own.key, &key);
        assert_eq!(tried.recv().await, Some(true));
        assert!(!Arc::ptr_eq(&second, &reloading.current()));
    };
    tokio::select! {
        never = watch => match never {},
        () = change => {}
    }
}

#[test]
fn what_cannot_be_used_is_named_without_its_content() {
    let files = Files::new();
    let own = files.own();
    let key = fs::read_to_string(&own.key).unwrap();
    let secret = key.lines().nth(1).unwrap();
    let load = || {
        Reloading::server(&own, None, b"h2")
            .map(|_| ())
            .unwrap_err()
    };

    fs::write(&own.key, key.replace(secret, &format!("{secret}!"))).unwrap();
    let broken = load();
    assert!(matches!(broken, TlsError::File { .. }), "{broken}");
    for words in [broken.to_string(), format!("{broken:?}")] {
        assert!(
            words.contains("tls.key") && !words.contains(secret),
            "{words}"
        );
    }
    fs::write(&own.key, vec![b'x'; 5 << 20]).unwrap();
    assert!(load().to_string().contains("4 MiB"));
    fs::remove_file(&own.key).unwrap();
    assert!(matches!(load(), TlsError::Read { .. }));
    let nobody = Reloading::client(own.certificate.with_file_name("none"), None, b"h2");
    assert!(matches!(nobody, Err(TlsError::Read { .. })));
}
