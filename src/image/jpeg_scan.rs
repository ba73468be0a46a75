//! Is every block of a JPEG really there? Entropy decoding without pixels (ITU-T T.81, F.2 and G.2).
//!
//! A decoder that meets the end of the data in the middle of a scan reads zeros to the end and calls it a success (all
//! of the usual ones do): half of the photo is then invented. That happens when a photo was cut and "repaired" with an
//! end marker, or when a damaged code swallows the rest. Here the codes are only counted: a scan must hold as many
//! blocks as the frame asks for. Refinement scans of a progressive photo are skipped (their codes cannot be told apart
//! without all earlier coefficients); a photo that lacks them is merely softer, and gets a warning.

use super::jpeg::{Jpeg, Segments};
use crate::error::{Error, ImageFault, Result};

/// Codes resolved by one table look-up; longer ones are searched.
const FAST: u32 = 9;

/// A Huffman table, T.81 C.2.
struct Huffman {
    /// For the next [`FAST`] bits: (length, symbol), length 0 where the code is longer.
    fast: Vec<(u8, u8)>,
    /// By length: the first code, the number of codes, and the index of the first symbol.
    rows: [(u32, u32, usize); 17],
    symbols: Vec<u8>,
}

impl Huffman {
    /// From the counts by length and the symbols. `None` where the codes do not fit.
    fn new(counts: &[u8], symbols: &[u8]) -> Option<Self> {
        let (mut rows, mut fast) = ([(0, 0, 0); 17], vec![(0, 0); 1 << FAST]);
        let (mut code, mut index) = (0u32, 0usize);
        for length in 1..=16u32 {
            let n = u32::from(*counts.get(length as usize - 1)?);
            rows[length as usize] = (code, n, index);
            for i in 0..n {
                let symbol = *symbols.get(index + i as usize)?;
                if length <= FAST {
                    let from = ((code + i) << (FAST - length)) as usize;
                    fast.get_mut(from..from + (1 << (FAST - length)))?.fill((length as u8, symbol));
                }
            }
            code += n;
            index += n as usize;
            if code > 1 << length {
                return None;
            }
            code <<= 1;
        }
        Some(Self { fast, rows, symbols: symbols.get(..index)?.to_vec() })
    }
}

/// Bits of one scan, most significant first. At a marker or the end of the file it goes on with zeros and counts them.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
    word: u64,
    left: u32,
    /// Zero bits at the end of `word` that are not in the file.
    padding: u32,
}

impl<'a> Bits<'a> {
    fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at, word: 0, left: 0, padding: 0 }
    }

    /// At least 32 bits in `word`.
    fn fill(&mut self) {
        while self.left <= 56 {
            let byte = match (self.bytes.get(self.at), self.bytes.get(self.at + 1)) {
                (Some(0xff), Some(0)) => {
                    self.at += 2;
                    0xff
                }
                (Some(&b), _) if b != 0xff => {
                    self.at += 1;
                    b
                }
                _ => {
                    self.padding += 8;
                    0
                }
            };
            self.word = self.word << 8 | u64::from(byte);
            self.left += 8;
        }
    }

    fn peek(&self, n: u32) -> u32 {
        ((self.word >> (self.left - n)) & ((1 << n) - 1)) as u32
    }

    fn skip(&mut self, n: u32) {
        self.left -= n;
    }

    /// Whether bits were used that are not in the file.
    fn over(&self) -> bool {
        self.left < self.padding
    }

    /// The next symbol; `None` for a code that the table does not have. Leaves at least 16 bits.
    fn symbol(&mut self, table: &Huffman) -> Option<u8> {
        if self.left < 32 {
            self.fill();
        }
        let (length, symbol) = *table.fast.get(self.peek(FAST) as usize)?;
        if length > 0 {
            self.skip(length.into());
            return Some(symbol);
        }
        for length in FAST + 1..=16 {
            let (first, n, index) = table.rows[length as usize];
            let code = self.peek(length);
            if code >= first && code - first < n {
                self.skip(length);
                return table.symbols.get(index + (code - first) as usize).copied();
            }
        }
        None
    }

    /// Steps over a restart marker: drops the rest of the byte and anything before the marker.
    fn restart(&mut self) -> Option<()> {
        (self.word, self.left, self.padding) = (0, 0, 0);
        loop {
            match (self.bytes.get(self.at)?, self.bytes.get(self.at + 1)) {
                (0xff, Some(0xd0..=0xd7)) => {
                    self.at += 2;
                    return Some(());
                }
                (0xff, Some(0xff | 0)) | (0..=0xfe, _) => self.at += 1,
                _ => return None,
            }
        }
    }
}

/// The parameters of one scan, T.81 B.2.3.
struct Scan {
    /// Index into the frame's components, DC table, AC table.
    parts: Vec<(usize, usize, usize)>,
    first: u8,
    last: u8,
    /// Whether it refines bits of earlier scans (Ah > 0).
    refines: bool,
    /// The lowest bit that it brings (Al).
    low: u8,
}

fn corrupt(words: impl std::fmt::Display) -> Error {
    Error::image(ImageFault::Corrupt, words)
}

/// Counts the blocks of every scan. `false` where scans that would refine the photo are missing altogether.
///
/// # Errors
/// `image.truncated` where the data of a scan ends before its last block, `image.corrupt` for codes that no table has.
pub(crate) fn check(bytes: &[u8], jpeg: &Jpeg) -> Result<bool> {
    let (mut dc, mut ac): ([Option<Huffman>; 4], [Option<Huffman>; 4]) = Default::default();
    let mut interval = 0;
    // By component and coefficient: the lowest bit that has come, as the scans' successive approximation says.
    let mut lowest = [[u8::MAX; 64]; 4];
    let mut segments = Segments::new(bytes);
    while let Some(s) = segments.next()? {
        match s.code {
            0xc4 => tables(s.body, &mut dc, &mut ac)?,
            0xdd => interval = s.body.first_chunk::<2>().map_or(0, |&b| usize::from(u16::from_be_bytes(b))),
            0xda => {
                let scan = scan(s.body, jpeg)?;
                let band = if jpeg.progressive { scan.first.into()..=scan.last.into() } else { 0..=63 };
                for &(i, ..) in &scan.parts {
                    lowest[i][band.clone()].fill(if jpeg.progressive { scan.low } else { 0 });
                }
                blocks(&mut Bits::new(bytes, segments.at), jpeg, &scan, (&dc, &ac), interval)?;
            }
            _ => {}
        }
    }
    let lowest = &lowest[..jpeg.components.len()];
    match lowest.iter().position(|c| c[0] == u8::MAX) {
        Some(i) => Err(Error::image(ImageFault::Truncated, format!("component {i} is missing"))),
        None => Ok(lowest.iter().flatten().all(|&bit| bit == 0)),
    }
}

/// A DHT segment, T.81 B.2.4.2.
fn tables(mut body: &[u8], dc: &mut [Option<Huffman>; 4], ac: &mut [Option<Huffman>; 4]) -> Result<()> {
    while let Some((&[info, ref counts @ ..], rest)) = body.split_first_chunk::<17>() {
        let n: usize = counts.iter().map(|&c| usize::from(c)).sum();
        let symbols = rest.get(..n).ok_or_else(|| corrupt("a short Huffman table"))?;
        let slot = if info >> 4 == 0 { dc.get_mut(usize::from(info & 15)) } else { ac.get_mut(usize::from(info & 15)) };
        let slot = slot.ok_or_else(|| corrupt("a Huffman table of an unknown number"))?;
        *slot = Some(Huffman::new(counts, symbols).ok_or_else(|| corrupt("a Huffman table that does not fit"))?);
        body = &rest[n..];
    }
    Ok(())
}

fn scan(body: &[u8], jpeg: &Jpeg) -> Result<Scan> {
    let bad = || corrupt("a bad scan header");
    let (&n, rest) = body.split_first().ok_or_else(bad)?;
    let (parts, tail) = rest.split_at_checked(2 * usize::from(n)).ok_or_else(bad)?;
    let &[first, last, approximation] = tail else { return Err(bad()) };
    let mut scan = Scan { parts: Vec::new(), first, last, refines: approximation >> 4 != 0, low: approximation & 15 };
    for &[id, selectors] in parts.as_chunks::<2>().0 {
        let i = jpeg.components.iter().position(|c| c.id == id).ok_or_else(bad)?;
        scan.parts.push((i, usize::from(selectors >> 4), usize::from(selectors & 15)));
    }
    if scan.parts.is_empty() || scan.parts.len() > 4 || last > 63 || first > last {
        return Err(bad());
    }
    Ok(scan)
}

type Tables<'a> = (&'a [Option<Huffman>; 4], &'a [Option<Huffman>; 4]);

fn blocks(bits: &mut Bits, jpeg: &Jpeg, scan: &Scan, (dc, ac): Tables, interval: usize) -> Result<()> {
    if jpeg.progressive && scan.refines && scan.first > 0 {
        return Ok(());
    }
    // A scan of one component has no MCU padding (T.81 A.2.2): only the blocks that touch the picture.
    let (x, y, hmax, vmax) = jpeg.grid();
    let units = match scan.parts[..] {
        [(i, ..)] => {
            let c = jpeg.components[i];
            (jpeg.header.width * c.h).div_ceil(8 * hmax) * (jpeg.header.height * c.v).div_ceil(8 * vmax)
        }
        _ => x * y,
    };
    let cut = |unit: usize| {
        let percent = unit * 100 / units.max(1);
        Error::image(ImageFault::Truncated, format!("the data of a scan ends at {percent} % of the picture"))
    };
    let mut end_of_band = 0u32;
    for unit in 0..units {
        if interval > 0 && unit > 0 && unit.is_multiple_of(interval) {
            bits.restart().ok_or_else(|| cut(unit))?;
            end_of_band = 0;
        }
        for &(i, d, a) in &scan.parts {
            let c = jpeg.components[i];
            let n = if scan.parts.len() == 1 { 1 } else { c.h * c.v };
            for _ in 0..n {
                let (d, a) = (dc.get(d).and_then(Option::as_ref), ac.get(a).and_then(Option::as_ref));
                block(bits, jpeg.progressive, scan, d, a, &mut end_of_band)?;
            }
        }
        if bits.over() {
            return Err(cut(unit));
        }
    }
    Ok(())
}

/// One block of 8×8 coefficients.
fn block(bits: &mut Bits, progressive: bool, scan: &Scan, dc: Option<&Huffman>, ac: Option<&Huffman>, end_of_band: &mut u32) -> Result<()> {
    let missing = || corrupt("a Huffman table is missing");
    let code = || corrupt("a code that the Huffman table does not have");
    let mut k = u32::from(scan.first);
    let last = if progressive { u32::from(scan.last) } else { 63 };
    if k == 0 {
        if scan.refines {
            // DC refinement: one bit a block.
            if bits.left < 32 {
                bits.fill();
            }
            bits.skip(1);
            return Ok(());
        }
        let size = bits.symbol(dc.ok_or_else(missing)?).ok_or_else(code)?;
        if size > 16 {
            return Err(code());
        }
        bits.skip(size.into());
        k = 1;
        if progressive {
            return Ok(());
        }
    }
    if *end_of_band > 0 {
        *end_of_band -= 1;
        return Ok(());
    }
    let ac = ac.ok_or_else(missing)?;
    while k <= last {
        let symbol = bits.symbol(ac).ok_or_else(code)?;
        let (run, size) = (u32::from(symbol >> 4), u32::from(symbol & 15));
        match (run, size) {
            (15, 0) => k += 16,
            (_, 0) if progressive => {
                // The band ends here in this block and in the next 2^run - 1 + extra ones.
                *end_of_band = (1 << run) - 1 + if run > 0 { bits.peek(run) } else { 0 };
                bits.skip(run);
                break;
            }
            (_, 0) => break,
            _ => {
                bits.skip(size);
                k += run + 1;
            }
        }
    }
    Ok(())
}
