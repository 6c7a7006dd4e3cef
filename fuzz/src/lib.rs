//! What the fuzz targets share: a bound on memory, a server without sockets, and files whose
//! checksums are right, so that what lies behind them is reached.

pub mod files;
pub mod memory;
pub mod node;

/// A target: no panic, and no more memory than `bound` allows for an input.
///
/// ```ignore
/// zooid_fuzz::target!(Bound { fixed: 1 << 20, per_byte: 64 }, |input: &[u8]| { ... });
/// ```
#[macro_export]
macro_rules! target {
    ($bound:expr, $run:expr) => {
        #[global_allocator]
        static MEMORY: $crate::memory::Counting = $crate::memory::Counting;

        libfuzzer_sys::fuzz_target!(|input: &[u8]| {
            $crate::memory::bounded($bound, input.len(), || $run(input));
        });
    };
}

/// Takes an input apart; what is missing at its end is zeros.
#[derive(Debug, Clone, Copy)]
pub struct Bytes<'a>(pub &'a [u8]);

impl<'a> Bytes<'a> {
    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or(0)
    }

    /// The next two bytes as a number.
    pub fn short(&mut self) -> usize {
        usize::from(u16::from_be_bytes([self.byte(), self.byte()]))
    }

    /// Up to `n` bytes.
    pub fn take(&mut self, n: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(n.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// Whether there are no more.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
