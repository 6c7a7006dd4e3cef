//! The stream format of snappy-java: a header of 16 bytes, then blocks of a length and a raw
//! snappy block. There is no end mark and no checksum.

use std::io::{self, Read, Write};

/// First bytes of the stream.
pub const MAGIC: [u8; 8] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];

const VERSION: i32 = 1;
/// Input bytes per block, as snappy-java cuts them by default.
const BLOCK: usize = 32 << 10;
/// Longest block that is read; snappy-java's largest block size gives less.
const MAX_BLOCK: usize = 64 << 20;
/// No snappy block grows by more: a copy of three bytes gives 64.
const MAX_RATIO: usize = 64;

/// Compresses into a writer.
#[derive(Debug)]
pub struct Encoder<W> {
    out: W,
    block: Vec<u8>,
    started: bool,
}

impl<W: Write> Encoder<W> {
    /// An encoder; the header is written with the first block.
    pub fn new(out: W) -> Encoder<W> {
        Encoder {
            out,
            block: Vec::with_capacity(BLOCK),
            started: false,
        }
    }

    /// Writes the last block and gives the writer back.
    pub fn finish(mut self) -> io::Result<W> {
        self.write_block()?;
        Ok(self.out)
    }

    fn write_block(&mut self) -> io::Result<()> {
        if !self.started {
            self.out.write_all(&MAGIC)?;
            self.out.write_all(&VERSION.to_be_bytes())?;
            self.out.write_all(&VERSION.to_be_bytes())?;
            self.started = true;
        }
        if !self.block.is_empty() {
            let compressed = snap::raw::Encoder::new().compress_vec(&self.block)?;
            let len = u32::try_from(compressed.len()).map_err(io::Error::other)?;
            self.out.write_all(&len.to_be_bytes())?;
            self.out.write_all(&compressed)?;
            self.block.clear();
        }
        Ok(())
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let n = rest.len().min(BLOCK - self.block.len());
            self.block.extend_from_slice(&rest[..n]);
            rest = &rest[n..];
            if self.block.len() == BLOCK {
                self.write_block()?;
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Decompresses from a reader.
#[derive(Debug)]
pub struct Decoder<R> {
    input: R,
    block: Vec<u8>,
    at: usize,
    started: bool,
}

impl<R: Read> Decoder<R> {
    /// A decoder at the start of the stream.
    pub fn new(input: R) -> Decoder<R> {
        Decoder {
            input,
            block: Vec::new(),
            at: 0,
            started: false,
        }
    }

    /// Reads the next block; `false` at the end of the stream.
    fn next_block(&mut self) -> io::Result<bool> {
        loop {
            let head = self.take(4)?;
            match <[u8; 4]>::try_from(head.as_slice()) {
                Err(_) if head.is_empty() && self.started => return Ok(false),
                Err(_) => return Err(damaged("the stream ends in the length of a block")),
                // A stream may be made of several, each with its header.
                Ok(head) if head == MAGIC[..4] => {
                    let rest = self.take(12)?;
                    if rest.len() < 12 || rest[..4] != MAGIC[4..] {
                        return Err(damaged("this is no stream of snappy-java"));
                    }
                    let compatible = i32::from_be_bytes([rest[8], rest[9], rest[10], rest[11]]);
                    if compatible > VERSION {
                        return Err(damaged("a later version of snappy-java is needed"));
                    }
                    self.started = true;
                }
                Ok(_) if !self.started => return Err(damaged("this is no stream of snappy-java")),
                Ok(head) => {
                    let len = usize::try_from(i32::from_be_bytes(head)).unwrap_or(usize::MAX);
                    if len > MAX_BLOCK {
                        return Err(damaged("a block has an impossible length"));
                    }
                    let compressed = self.take(len)?;
                    if compressed.len() < len {
                        return Err(damaged("the stream ends inside a block"));
                    }
                    self.decompress(&compressed)?;
                    if !self.block.is_empty() {
                        return Ok(true);
                    }
                }
            }
        }
    }

    fn decompress(&mut self, compressed: &[u8]) -> io::Result<()> {
        let len = snap::raw::decompress_len(compressed).map_err(wrong)?;
        if len > MAX_BLOCK || len > compressed.len().saturating_mul(MAX_RATIO) {
            return Err(damaged("a block claims more than it can hold"));
        }
        self.block.resize(len, 0);
        let n = snap::raw::Decoder::new()
            .decompress(compressed, &mut self.block)
            .map_err(wrong)?;
        self.block.truncate(n);
        self.at = 0;
        Ok(())
    }

    /// Up to `n` bytes, fewer at the end; memory grows with what arrives.
    fn take(&mut self, n: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.input.by_ref().take(n as u64).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

impl<R: Read> Read for Decoder<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.at == self.block.len() && !buf.is_empty() && !self.next_block()? {
            return Ok(0);
        }
        let n = (self.block.len() - self.at).min(buf.len());
        buf[..n].copy_from_slice(&self.block[self.at..self.at + n]);
        self.at += n;
        Ok(n)
    }
}

fn damaged(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

fn wrong(error: snap::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compress(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = Encoder::new(Vec::new());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn decompress(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        Decoder::new(bytes).read_to_end(&mut out)?;
        Ok(out)
    }

    #[test]
    fn blocks_are_cut_where_snappy_java_cuts_them() {
        let input: Vec<u8> = (0..100_000u32)
            .map(|i| (i.wrapping_mul(i) >> 3) as u8)
            .collect();
        let stream = compress(&input);
        assert_eq!(
            stream[..16],
            [
                0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1
            ]
        );
        let (mut at, mut sizes) = (16, Vec::new());
        while at < stream.len() {
            let len = u32::from_be_bytes(stream[at..at + 4].try_into().unwrap()) as usize;
            sizes.push(snap::raw::decompress_len(&stream[at + 4..at + 4 + len]).unwrap());
            at += 4 + len;
        }
        assert_eq!(sizes, [32768, 32768, 32768, 1696]);
        assert_eq!(decompress(&stream).unwrap(), input);
    }

    #[test]
    fn a_header_may_come_again() {
        let stream = [compress(b"one "), compress(b"two")].concat();
        assert_eq!(decompress(&stream).unwrap(), b"one two");
        assert_eq!(decompress(&compress(b"")).unwrap(), b"");
    }

    #[test]
    fn lies_about_lengths_are_refused() {
        let good = compress(b"some bytes, some bytes, some bytes");
        for cut in (1..good.len()).filter(|cut| *cut != 16) {
            assert!(decompress(&good[..cut]).is_err(), "cut at {cut}");
        }
        assert!(decompress(b"").is_err());
        let mut long = good.clone();
        long[16..20].copy_from_slice(&i32::MAX.to_be_bytes());
        assert!(decompress(&long).is_err());
        let mut bomb = good[..16].to_vec();
        bomb.extend_from_slice(&5i32.to_be_bytes());
        bomb.extend_from_slice(&[0xff, 0xff, 0xff, 0x0f, 0]);
        assert!(decompress(&bomb).is_err());
    }
}
