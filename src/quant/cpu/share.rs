//! Work in shares: jobs that run on all threads there are.
//!
//! Natively the threads are rayon's. In the browser there is one, unless the page is isolated from other sites: then the door to the
//! browser starts helpers on the same memory and puts in a `Runner`. Trap: a helper must not allocate and must not touch what belongs to
//! a thread, because the browser's build knows no locks. So a job works in a room that was made before, and calls nothing but arithmetic.

use std::marker::PhantomData;

/// How many jobs can run at the same time.
pub fn threads() -> usize {
    #[cfg(feature = "native")]
    return rayon::current_num_threads();
    #[cfg(not(feature = "native"))]
    helped::threads()
}

/// Runs `job(room, i)` for every `i < count`. Jobs that run at the same time have different rooms; with one room they run one after
/// another, here.
///
/// # Panics
/// If there are more rooms than one and fewer than [`threads`].
pub fn each<R: Send>(count: usize, rooms: &mut [R], job: impl Fn(&mut R, usize) + Sync) {
    if rooms.len() == 1 || count <= 1 {
        let room = rooms.first_mut().expect("a room");
        (0..count).for_each(|i| job(room, i));
        return;
    }
    assert!(rooms.len() >= threads(), "a room for each thread");
    let rooms = Shared::new(rooms);
    // SAFETY: a thread runs one job at a time, and its number is no other's.
    let job = |slot: usize, i: usize| job(unsafe { rooms.one(slot) }, i);
    #[cfg(feature = "native")]
    {
        use rayon::prelude::*;
        (0..count).into_par_iter().for_each(|i| job(rayon::current_thread_index().expect("a thread of the pool"), i));
    }
    #[cfg(not(feature = "native"))]
    helped::run(count, &job);
}

/// Runs `job(room, i, piece)` for every piece of `size` values of `all` (the last may be shorter).
pub fn pieces<T: Send, R: Send>(all: &mut [T], size: usize, rooms: &mut [R], job: impl Fn(&mut R, usize, &mut [T]) + Sync) {
    let (len, size) = (all.len(), size.max(1));
    let all = Shared::new(all);
    each(len.div_ceil(size), rooms, |room, i| {
        // SAFETY: pieces do not overlap, and each is one job's.
        job(room, i, unsafe { all.some(i * size, size.min(len - i * size)) })
    });
}

/// Integer multiply-adds below which a second thread costs more than it brings (some 30 µs of work). Those in floats count twice.
const WORTH: usize = 1 << 19;

/// What passing a value once costs, in multiply-adds: norms, roundings, activations.
pub const EASY: usize = 8;

/// How many threads so many multiply-adds are worth.
pub fn threads_for(work: usize) -> usize {
    if work >= WORTH { threads() } else { 1 }
}

/// A room for each thread that so many multiply-adds are worth.
pub fn rooms<R>(work: usize, make: impl Fn() -> R) -> Vec<R> {
    (0..threads_for(work)).map(|_| make()).collect()
}

/// A slice of which jobs take parts that do not overlap.
pub struct Shared<'a, T> {
    at: *mut T,
    len: usize,
    of: PhantomData<&'a mut [T]>,
}

// SAFETY: it hands out parts of a slice of `T: Send`; that they do not overlap is what `some` asks.
unsafe impl<T: Send> Sync for Shared<'_, T> {}

impl<'a, T> Shared<'a, T> {
    /// The whole slice, borrowed.
    pub fn new(all: &'a mut [T]) -> Self {
        Self { at: all.as_mut_ptr(), len: all.len(), of: PhantomData }
    }

    /// `len` values from `from` on.
    ///
    /// # Safety
    /// No other part that overlaps this one may exist at the same time.
    ///
    /// # Panics
    /// If the slice ends before.
    #[allow(clippy::mut_from_ref, reason = "what `Safety` says")]
    pub unsafe fn some(&self, from: usize, len: usize) -> &mut [T] {
        assert!(from <= self.len && len <= self.len - from);
        unsafe { std::slice::from_raw_parts_mut(self.at.add(from), len) }
    }

    /// The value at `i`; see [`Self::some`].
    #[allow(clippy::mut_from_ref, reason = "what `Safety` says")]
    unsafe fn one(&self, i: usize) -> &mut T {
        unsafe { &mut self.some(i, 1)[0] }
    }
}

#[cfg(not(feature = "native"))]
pub use helped::{Runner, Task, help_with};

#[cfg(not(feature = "native"))]
mod helped {
    use std::sync::OnceLock;

    /// A job that can be called from a helper, by address: `call(data, slot, i)`.
    #[derive(Clone, Copy)]
    pub struct Task {
        data: *const (),
        call: unsafe fn(*const (), usize, usize),
    }

    impl Task {
        /// Job `i`, as thread `slot`.
        ///
        /// # Safety
        /// The task must still be running, and `slot` be no other's.
        pub unsafe fn run(&self, slot: usize, i: usize) {
            unsafe { (self.call)(self.data, slot, i) }
        }
    }

    /// Runs all jobs `0 .. count` of a task, and returns when the last is done.
    pub type Runner = fn(usize, Task);

    static RUNNER: OnceLock<(usize, Runner)> = OnceLock::new();

    /// Takes helpers into use, so that there are `threads`; once.
    pub fn help_with(threads: usize, runner: Runner) {
        let _ = RUNNER.set((threads, runner));
    }

    pub fn threads() -> usize {
        RUNNER.get().map_or(1, |(threads, _)| *threads)
    }

    pub fn run<F: Fn(usize, usize) + Sync>(count: usize, job: &F) {
        unsafe fn call<F: Fn(usize, usize)>(data: *const (), slot: usize, i: usize) {
            // SAFETY: `data` is the `job` below, which lives until all jobs are done.
            unsafe { (*data.cast::<F>())(slot, i) }
        }
        match RUNNER.get() {
            Some((_, runner)) => runner(count, Task { data: std::ptr::from_ref(job).cast(), call: call::<F> }),
            None => (0..count).for_each(|i| job(0, i)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_piece_is_done_once_and_rooms_are_not_shared() {
        for (len, size) in [(0, 3), (1, 3), (1000, 7), (64, 64), (65, 64)] {
            let mut all = vec![0usize; len];
            let mut rooms: Vec<(bool, usize)> = super::rooms(WORTH, || (false, 0));
            pieces(&mut all, size, &mut rooms, |(busy, done), i, piece| {
                assert!(!std::mem::replace(busy, true), "another job is in this room");
                piece.iter_mut().for_each(|v| *v += i + 1);
                std::thread::yield_now();
                *done += piece.len();
                *busy = false;
            });
            assert!(all.iter().enumerate().all(|(i, v)| *v == i / size + 1), "{len} by {size}");
            assert_eq!(rooms.iter().map(|(_, done)| done).sum::<usize>(), len);
        }
    }

    #[test]
    #[should_panic]
    fn a_part_beyond_the_end_is_refused() {
        let mut all = [0; 4];
        let all = Shared::new(&mut all);
        // SAFETY: it is the only part.
        let _ = unsafe { all.some(3, 2) };
    }
}
