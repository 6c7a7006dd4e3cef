//! Choices from a seed. Each is a hash of the seed, the stream that asks and a counter, so that
//! taking one choice away leaves all others as they were.

/// A choice: the same for the same arguments, always.
pub fn hash(seed: u64, stream: u64, counter: u64) -> u64 {
    let z = mix(seed ^ mix(stream.wrapping_mul(0x9E37_79B9_7F4A_7C15)));
    mix(z.wrapping_add(counter.wrapping_mul(0xD1B5_4A32_D192_ED03)))
}

/// SplitMix64's finish.
fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// The choices of one stream, one after the other.
#[derive(Debug, Clone)]
pub struct Dice {
    seed: u64,
    stream: u64,
    counter: u64,
}

impl Dice {
    /// The stream from its first choice on.
    pub fn new(seed: u64, stream: u64) -> Dice {
        Dice {
            seed,
            stream,
            counter: 0,
        }
    }

    /// Any number.
    pub fn any(&mut self) -> u64 {
        self.counter += 1;
        hash(self.seed, self.stream, self.counter)
    }

    /// A number below `end`, 0 if `end` is 0.
    pub fn below(&mut self, end: u64) -> u64 {
        self.any() % end.max(1)
    }

    /// Whether something happens that happens once in `n` times.
    pub fn once_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// One of several values.
    pub fn of<T: Clone>(&mut self, values: &[T]) -> T {
        values[self.below(values.len() as u64) as usize].clone()
    }
}
