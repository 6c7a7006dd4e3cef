//! Counts what is allocated, so that a target can say how much an input may cost.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes that are allocated now.
static LIVE: AtomicUsize = AtomicUsize::new(0);
/// The most that were allocated since the last reset.
static PEAK: AtomicUsize = AtomicUsize::new(0);

/// More than this is never given at once: a length that an input declares shows itself as a failed
/// allocation with its size, and not as a machine without memory.
const MOST_AT_ONCE: usize = 1 << 30;

/// What an input of `n` bytes may allocate above what was there before: `fixed + per_byte * n`.
#[derive(Debug, Clone, Copy)]
pub struct Bound {
    /// Bytes for any input.
    pub fixed: usize,
    /// Bytes for each byte of input.
    pub per_byte: usize,
}

/// Runs `run` and panics when it allocated more at one time than the bound allows.
pub fn bounded(bound: Bound, len: usize, run: impl FnOnce()) {
    let ((), peak) = measured(run);
    check(bound, len, peak);
}

/// Panics when `peak` is more than the bound allows.
pub fn check(bound: Bound, len: usize, peak: usize) {
    let Bound { fixed, per_byte } = bound;
    let allowed = fixed + per_byte * len;
    assert!(
        peak <= allowed,
        "{len} bytes of input made {peak} bytes of memory, more than {allowed} = {fixed} + \
         {per_byte} * {len}"
    );
}

/// Runs `run`; the most bytes that it had allocated at one time. Calls may be nested: what the
/// inner one saw counts for the outer one, too.
pub fn measured<T>(run: impl FnOnce() -> T) -> (T, usize) {
    let before = LIVE.load(Ordering::Relaxed);
    let outer = PEAK.swap(before, Ordering::Relaxed);
    let result = run();
    let peak = PEAK.fetch_max(outer, Ordering::Relaxed);
    (result, peak.saturating_sub(before))
}

/// The allocator of the system, with a count.
#[derive(Debug, Clone, Copy)]
pub struct Counting;

impl Counting {
    fn add(bytes: usize) {
        let live = LIVE.fetch_add(bytes, Ordering::Relaxed) + bytes;
        PEAK.fetch_max(live, Ordering::Relaxed);
    }

    fn sub(bytes: usize) {
        LIVE.fetch_sub(bytes, Ordering::Relaxed);
    }
}

// SAFETY: every call is handed to `System` with the arguments that came, and its answer is given
// back as it is, or null in place of a call, which every caller must expect. So blocks are made,
// resized and freed by `System` alone, with the layouts that callers vouch for, and its promises
// are ours. The counters are atomic numbers: they allocate nothing and cannot panic (wrapping
// around is allowed to `fetch_add` and `fetch_sub`; the one addition stays below the size of the
// address space, because all blocks are disjoint parts of it).
#[expect(
    unsafe_code,
    reason = "the trait of allocators is unsafe, and only one can count"
)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.size() > MOST_AT_ONCE {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller's promises about `layout` are those that `System` asks for.
        let block = unsafe { System.alloc(layout) };
        if !block.is_null() {
            Counting::add(layout.size());
        }
        block
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if layout.size() > MOST_AT_ONCE {
            return std::ptr::null_mut();
        }
        // SAFETY: as for `alloc`.
        let block = unsafe { System.alloc_zeroed(layout) };
        if !block.is_null() {
            Counting::add(layout.size());
        }
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: `block` came from one of the others here, so from `System`, with this layout.
        unsafe { System.dealloc(block, layout) };
        Counting::sub(layout.size());
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if size > MOST_AT_ONCE {
            return std::ptr::null_mut();
        }
        // Both are there while one is copied into the other.
        Counting::add(size);
        // SAFETY: as for `dealloc`; the caller vouches for `size`.
        let moved = unsafe { System.realloc(block, layout, size) };
        Counting::sub(if moved.is_null() { size } else { layout.size() });
        moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[global_allocator]
    static MEMORY: Counting = Counting;

    #[test]
    fn the_most_that_was_there_at_once_counts() {
        let (kept, peak) = measured(|| {
            drop(vec![1u8; 100_000]);
            vec![1u8; 1000]
        });
        assert!((100_000..101_000).contains(&peak), "{peak}");
        let (_, peak) = measured(|| {
            measured(|| drop(vec![1u8; 50_000]));
            kept.len()
        });
        assert!((50_000..51_000).contains(&peak), "{peak}");
        assert!(Vec::<u8>::new().try_reserve(MOST_AT_ONCE + 1).is_err());
    }

    #[test]
    #[should_panic(expected = "3 bytes of input made 5000 bytes of memory, more than 1300")]
    fn more_than_the_bound_allows_is_told() {
        let bound = Bound {
            fixed: 1000,
            per_byte: 100,
        };
        check(bound, 3, 5000);
    }
}
