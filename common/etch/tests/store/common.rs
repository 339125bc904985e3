//! Shared by the tests: deterministic random numbers, cells with references, and a disk that can be cut.
#![allow(dead_code, unreachable_pub, missing_docs)] // each test binary uses its part

pub mod disk;

use etch::Key;

/// SplitMix64: small, fixed, good enough to pick cut points.
pub struct Rng(pub u64);

impl Rng {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    pub fn bytes(&mut self, n: usize) -> Vec<u8> {
        (0..n).map(|_| self.next() as u8).collect()
    }
}

/// A test cell: number of references, the references, filler. Not a cell of the protocol: the store does not care.
pub fn cell(children: &[Key], filler: &[u8]) -> Vec<u8> {
    let mut e = vec![children.len() as u8];
    for c in children {
        e.extend_from_slice(c);
    }
    e.extend_from_slice(filler);
    e
}

/// References of a test cell.
pub fn branches(encoding: &[u8]) -> Result<Vec<Key>, &'static str> {
    let (n, rest) = encoding.split_first().ok_or("empty")?;
    let n = usize::from(*n);
    if rest.len() < n * 32 {
        return Err("references cut short");
    }
    Ok(rest[..n * 32]
        .chunks_exact(32)
        .map(|c| c.try_into().unwrap())
        .collect())
}

pub fn sha3(e: &[u8]) -> Key {
    crypto::sha3_256(e)
}
