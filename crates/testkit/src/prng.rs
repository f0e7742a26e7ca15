//! A small seeded generator. Jitter and obfuscation strings must look random, yet be the
//! same in every run of a test; nothing here is fit for secrets.

/// SplitMix64: one word of state, good enough spread for jitter.
#[derive(Debug, Clone)]
pub struct Prng(u64);

impl Prng {
    /// The same seed gives the same numbers.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any number.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number in 0.0..1.0.
    pub fn unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A number below `end`, which must not be 0.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next_u64() % end
    }

    /// Letters and digits, as the obfuscation strings of the Realtime API have them.
    pub(crate) fn letters(&mut self, len: usize) -> String {
        const SET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        (0..len)
            .map(|_| char::from(SET[(self.next_u64() % 62) as usize]))
            .collect()
    }
}

/// 32 hexadecimal digits of real randomness, as Twilio's SIDs carry them. Falls back to the
/// clock where the system has no randomness: an id must differ, it need not be secret.
pub(crate) fn random_hex() -> String {
    let mut raw = [0u8; 16];
    if getrandom::fill(&mut raw).is_err() {
        let nanos = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |since| since.as_nanos());
        raw = nanos.to_be_bytes();
    }
    use std::fmt::Write as _;
    raw.iter()
        .fold(String::with_capacity(32), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}
