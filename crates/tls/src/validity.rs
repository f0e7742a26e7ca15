//! Until when a certificate is valid: for people, before it is too late. Whether a certificate is good is
//! decided by rustls alone; of what it cannot be asked, only this date is read here.

use std::{path::Path, time::Duration};

use x509_parser::parse_x509_certificate;

use crate::{TlsError, material::Pem};

/// When the first of the certificates in a PEM file expires, since 1970; `None` where a date cannot be
/// read. Reads the file.
///
/// # Errors
/// The file cannot be read, or holds none.
pub fn expiry(file: &Path) -> Result<Option<Duration>, TlsError> {
    let certificates = Pem::read(file)?.certificates()?;
    let all: Option<Vec<_>> = certificates.iter().map(|it| not_after(it)).collect();
    Ok(all.and_then(|all| all.into_iter().min()))
}

fn not_after(certificate: &[u8]) -> Option<Duration> {
    let (_, certificate) = parse_x509_certificate(certificate).ok()?;
    let seconds = certificate.validity().not_after.timestamp();
    u64::try_from(seconds).ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    fn pem(year: i32, month: u8, day: u8) -> String {
        let mut params = CertificateParams::new(["edge.test".to_owned()]).unwrap();
        params.not_after = date_time_ymd(year, month, day);
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().pem()
    }

    #[test]
    fn the_first_date_of_a_chain_counts() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("chain.pem");
        let written = |chain: &[String]| {
            std::fs::write(&file, chain.concat()).unwrap();
            expiry(&file).unwrap().map(|time| time.as_secs())
        };
        // date -ud 2031-02-03 +%s
        assert_eq!(written(&[pem(2031, 2, 3)]), Some(1_927_843_200));
        assert_eq!(written(&[pem(2000, 2, 29)]), Some(11_016 * 86_400));
        // After 2049 dates are written in another way.
        assert_eq!(written(&[pem(2052, 2, 29)]), Some(2_592_777_600));
        let chain = [pem(2052, 2, 29), pem(2031, 2, 3)];
        assert_eq!(written(&chain), Some(1_927_843_200));
    }

    #[test]
    fn what_cannot_be_read_has_no_date() {
        for bytes in [
            &b""[..],
            b"\x30",
            b"\x30\x84\xff\xff\xff\xff",
            b"\x30\x80\0\0",
            b"\x30\x02\x30\x00",
        ] {
            assert_eq!(not_after(bytes), None, "{bytes:?}");
        }
    }
}
