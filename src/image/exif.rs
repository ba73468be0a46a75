//! The few EXIF tags that this program tells about (TIFF 6.0 and CIPA DC-008), read with bounded work.
//!
//! Own code, because the general readers follow every pointer as often as it is named: a directory of 5,000 pointers to
//! one directory of 5,000 entries (64 KB in all) becomes 25 million values. Here two directories are read once each, and
//! of the position only its presence is told, never its values.

/// Most entries of a directory that are looked at; cameras write fewer than a hundred.
const MAX_ENTRIES: usize = 1000;

/// What was found.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Exif {
    /// Tag 0x0112 as found, in range or not.
    pub orientation: Option<u16>,
    /// Tag 0x010F.
    pub make: Option<String>,
    /// Tag 0x0110.
    pub model: Option<String>,
    /// Tag 0x0131.
    pub software: Option<String>,
    /// Tag 0x0132: when the file was last changed, as written ("2024:05:01 12:00:00").
    pub changed: Option<String>,
    /// Tag 0x9003: when the photo was taken.
    pub taken: Option<String>,
    /// Whether there is a directory with a position (tag 0x8825).
    pub gps: bool,
}

/// A TIFF block with its byte order.
struct Tiff<'a> {
    bytes: &'a [u8],
    little: bool,
}

impl<'a> Tiff<'a> {
    fn u16(&self, at: usize) -> Option<u16> {
        let b = *self.bytes.get(at..)?.first_chunk::<2>()?;
        Some(if self.little { u16::from_le_bytes(b) } else { u16::from_be_bytes(b) })
    }

    fn u32(&self, at: usize) -> Option<u32> {
        let b = *self.bytes.get(at..)?.first_chunk::<4>()?;
        Some(if self.little { u32::from_le_bytes(b) } else { u32::from_be_bytes(b) })
    }

    /// Positions of the entries (12 bytes each) of the directory at `at`.
    fn entries(&self, at: usize) -> impl Iterator<Item = usize> + use<'a> {
        let n = usize::from(self.u16(at).unwrap_or(0)).min(MAX_ENTRIES);
        let len = self.bytes.len();
        (0..n).map(move |i| at + 2 + 12 * i).take_while(move |&e| e + 12 <= len)
    }

    /// A text value (type 2), up to its first zero.
    fn text(&self, entry: usize) -> Option<String> {
        let count = self.u32(entry + 4)? as usize;
        let at = if count <= 4 { entry + 8 } else { self.u32(entry + 8)? as usize };
        if self.u16(entry + 2)? != 2 {
            return None;
        }
        let bytes = self.bytes.get(at..at.checked_add(count.min(256))?)?;
        let bytes = bytes.split(|&b| b == 0).next()?;
        Some(String::from_utf8_lossy(bytes).trim().to_owned()).filter(|s| !s.is_empty())
    }

    /// A whole number: SHORT (type 3) or LONG (type 4).
    fn number(&self, entry: usize) -> Option<u32> {
        match self.u16(entry + 2)? {
            3 => self.u16(entry + 8).map(u32::from),
            4 => self.u32(entry + 8),
            _ => None,
        }
    }
}

/// Reads a TIFF block. What is damaged is left out.
pub fn read(bytes: &[u8]) -> Exif {
    let mut exif = Exif::default();
    let little = match bytes.get(..4) {
        Some(b"II*\0") => true,
        Some(b"MM\0*") => false,
        _ => return exif,
    };
    let tiff = Tiff { bytes, little };
    let Some(first) = tiff.u32(4) else { return exif };
    let mut sub = None;
    for e in tiff.entries(first as usize) {
        match tiff.u16(e) {
            Some(0x0112) => exif.orientation = exif.orientation.or(tiff.number(e).map(|n| u16::try_from(n).unwrap_or(u16::MAX))),
            Some(0x010f) => exif.make = tiff.text(e),
            Some(0x0110) => exif.model = tiff.text(e),
            Some(0x0131) => exif.software = tiff.text(e),
            Some(0x0132) => exif.changed = tiff.text(e),
            Some(0x8769) => sub = tiff.number(e),
            Some(0x8825) => exif.gps = true,
            _ => {}
        }
    }
    for e in sub.map(|at| tiff.entries(at as usize)).into_iter().flatten() {
        if tiff.u16(e) == Some(0x9003) {
            exif.taken = tiff.text(e);
        }
    }
    exif
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Entries (tag, type, count, value field) in big-endian order, then `tail` after the directory.
    fn block(entries: &[(u16, u16, u32, [u8; 4])], tail: &[u8]) -> Vec<u8> {
        let mut b = b"MM\0*\0\0\0\x08".to_vec();
        b.extend((entries.len() as u16).to_be_bytes());
        for (tag, kind, count, value) in entries {
            b.extend(tag.to_be_bytes());
            b.extend(kind.to_be_bytes());
            b.extend(count.to_be_bytes());
            b.extend(value);
        }
        b.extend([0; 4]);
        b.extend(tail);
        b
    }

    #[test]
    fn reads_inline_and_far_values() {
        let b = block(
            &[(0x0112, 3, 1, [0, 6, 0, 0]), (0x010f, 2, 4, *b"Oly\0"), (0x0110, 2, 9, [0, 0, 0, 62]), (0x8825, 4, 1, [0, 0, 0, 8])],
            b"Camera X\0",
        );
        let e = read(&b);
        assert_eq!(e.orientation, Some(6));
        assert_eq!((e.make.as_deref(), e.model.as_deref(), e.gps), (Some("Oly"), Some("Camera X"), true));
    }

    #[test]
    fn damage_is_left_out() {
        let far = block(&[(0x0110, 2, 9, [255; 4]), (0x0131, 2, u32::MAX, [0, 0, 0, 8]), (0x8769, 4, 1, [255; 4])], b"");
        assert_eq!(read(&far), Exif::default());
        for n in 0..far.len() {
            let _ = read(&far[..n]);
        }
        assert_eq!(read(b"II*\0\xff\xff\xff\xff"), Exif::default());
        // A directory that claims more entries than there are bytes.
        assert_eq!(read(b"II*\0\x08\0\0\0\xff\xff"), Exif::default());
    }
}
