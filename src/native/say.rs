//! What the commands print on standard output.
//!
//! `println!` panics where the output cannot be written. A reader that has seen enough (`facext analyze PHOTO | head`) closes the pipe,
//! which is no fault: the command goes on, so that files that were asked for are still written. A full disk is one.

use std::fmt::Arguments;
use std::io::{ErrorKind, Write};

use crate::error::{Error, Result};

/// Prints a line, formatted as by `println!`.
macro_rules! say {
    ($($text:tt)*) => { $crate::native::say::line(std::io::stdout().lock(), format_args!($($text)*)) };
}
pub(crate) use say;

/// Writes a line to `out`, unless nobody reads it any more.
///
/// # Errors
/// [`Error::Io`] where it cannot be written for another reason.
pub fn line(mut out: impl Write, text: Arguments<'_>) -> Result<()> {
    match out.write_fmt(format_args!("{text}\n")).and_then(|()| out.flush()) {
        Err(e) if e.kind() != ErrorKind::BrokenPipe => Err(Error::Io(format!("standard output: {e}"))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Refuses(ErrorKind);

    impl Write for Refuses {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(self.0.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_closed_pipe_is_no_fault_and_a_full_disk_is() {
        let mut out = Vec::new();
        line(&mut out, format_args!("{} of {}", 1, 2)).unwrap();
        assert_eq!(out, b"1 of 2\n");
        assert!(line(Refuses(ErrorKind::BrokenPipe), format_args!("x")).is_ok());
        assert_eq!(line(Refuses(ErrorKind::StorageFull), format_args!("x")).unwrap_err().code(), "io.failed");
    }
}
