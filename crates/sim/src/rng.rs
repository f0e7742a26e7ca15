//! Dice. All that is random in a seed comes from here, in an order that the seed alone decides.

/// `SplitMix64` (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014):
/// 64 bits of state, equally distributed, good from the first number on. Not for secrets.
#[derive(Clone, Debug)]
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(mix(seed ^ 0x005E_ED0F_5EED))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0)
    }

    /// A number below `end`; 0 where `end` is 0. The bias is below one in 2^32 for any use here.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(end)) >> 64) as u64
    }

    /// A number from `low` to `high`, both included.
    pub(crate) fn range(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    /// True in so many of a hundred cases.
    pub(crate) fn percent(&mut self, share: u64) -> bool {
        self.below(100) < share
    }

    /// An index below `len`; 0 where `len` is 0.
    pub(crate) fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).unwrap_or(0)
    }

    /// One of a table of weighted choices, which must not be empty.
    pub(crate) fn weighted<T: Copy>(&mut self, table: &[(u64, T)]) -> T {
        let total = table.iter().map(|(weight, _)| weight).sum();
        let mut left = self.below(total);
        for (weight, choice) in table {
            if left < *weight {
                return *choice;
            }
            left -= weight;
        }
        table[0].1
    }
}

/// The finalizer of `SplitMix64`: every bit of the result depends on every bit of `z`.
pub(crate) const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_numbers_and_all_choices_occur() {
        let (mut a, mut b) = (Rng::new(7), Rng::new(7));
        assert!((0..100).all(|_| a.next() == b.next()));
        assert!(Rng::new(8).next() != Rng::new(7).next());
        let mut counts = [0u32; 4];
        for _ in 0..4_000 {
            counts[usize::from(a.weighted(&[(1, 0u8), (1, 1), (2, 3)]))] += 1;
        }
        assert_eq!(counts[2], 0);
        assert!(counts[3] > counts[0] && counts[0] > 800 && counts[1] > 800);
        assert!((0..1_000).all(|_| (3..=5).contains(&a.range(3, 5))));
    }
}
