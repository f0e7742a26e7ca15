//! Until when a certificate is valid: for people, before it is too late. Whether a certificate is good is
//! decided by rustls alone; of what it cannot be asked, only this date is read here.

use std::{path::Path, time::Duration};

use crate::{TlsError, material::Pem};

const INTEGER: u8 = 0x02;
const SEQUENCE: u8 = 0x30;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// The version, which the oldest certificates do not have.
const VERSION: u8 = 0xa0;

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

/// RFC 5280, 4.1: version, serial number, algorithm and issuer stand before the two dates.
fn not_after(certificate: &[u8]) -> Option<Duration> {
    let (certificate, _) = element(certificate, SEQUENCE)?;
    let (mut rest, _) = element(certificate, SEQUENCE)?;
    if let Some((_, after)) = element(rest, VERSION) {
        rest = after;
    }
    for tag in [INTEGER, SEQUENCE, SEQUENCE] {
        (_, rest) = element(rest, tag)?;
    }
    let (dates, _) = element(rest, SEQUENCE)?;
    let time = |from| element(from, UTC_TIME).or_else(|| element(from, GENERALIZED_TIME));
    let (_, after) = time(dates)?;
    let (date, _) = time(after)?;
    unix(date)
}

/// The content of the first element, if it has this tag, and what stands behind it.
fn element(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&[found, first], rest) = bytes.split_first_chunk()?;
    let (length, rest) = match first {
        ..=0x7f => (usize::from(first), rest),
        // So many bytes of length follow; a certificate takes two or three.
        0x81..=0x84 => {
            let (length, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            let length = length
                .iter()
                .fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte));
            (usize::try_from(length).ok()?, rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    (found == tag).then_some((content, rest))
}

/// `YYMMDDhhmmssZ` until 2049, `YYYYMMDDhhmmssZ` after it.
fn unix(date: &[u8]) -> Option<Duration> {
    let digits = date.strip_suffix(b"Z")?;
    let (year, rest) = digits.split_at_checked(digits.len().checked_sub(10)?)?;
    let number = |digits: &[u8]| std::str::from_utf8(digits).ok()?.parse::<u64>().ok();
    let year = match (year.len(), number(year)?) {
        (2, year @ ..50) => 2000 + year,
        (2, year) => 1900 + year,
        (4, year) => year,
        _ => return None,
    };
    let mut parts = rest.chunks(2).map(number);
    let mut next = || parts.next().flatten();
    let (month, day) = (next()?, next()?);
    let seconds = next()? * 3_600 + next()? * 60 + next()?;
    let days = days(year, month, day)?;
    Some(Duration::from_secs(days * 86_400 + seconds))
}

/// Days from 1970 until this date. Years begin with March, so that a leap day is the last of one.
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    let (year, month) = match month {
        1..=2 => (year.checked_sub(1)?, month + 9),
        3..=12 => (year, month - 3),
        _ => return None,
    };
    let leap_days = year / 4 - year / 100 + year / 400;
    let before = (month * 153 + 2) / 5;
    (year * 365 + leap_days + before + day).checked_sub(719_469)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    const DAY: u64 = 86_400;

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
        // After 2049 dates are written in another way.
        assert_eq!(written(&[pem(2052, 2, 29)]), Some(2_592_777_600));
        let chain = [pem(2052, 2, 29), pem(2031, 2, 3)];
        assert_eq!(written(&chain), Some(1_927_843_200));
    }

    #[test]
    fn days_since_1970() {
        for (date, days_since) in [
            ((1970, 1, 1), 0),
            ((2000, 2, 29), 11_016),
            ((2000, 3, 1), 11_017),
        ] {
            assert_eq!(days(date.0, date.1, date.2), Some(days_since));
        }
        assert_eq!(unix(b"700102000001Z").unwrap().as_secs(), DAY + 1);
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
        for date in [
            &b""[..],
            b"Z",
            b"3102030000Z",
            b"311303000000Z",
            b"xx0203000000Z",
        ] {
            assert_eq!(unix(date), None, "{date:?}");
        }
    }
}
