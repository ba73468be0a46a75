//! The command line's entry: arguments, then one function a command. Exit codes: 0 done (also "no usable face"),
//! 1 failed (a missing file too), 2 bad arguments, 3 the file is no picture that can be analysed, 4 the weights cannot be used.

use mimalloc::MiMalloc;

// Training allocates every intermediate tensor; glibc would map and unmap each of them, which costs a sixth of the time.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> std::process::ExitCode {
    facext::native::cli::run()
}
