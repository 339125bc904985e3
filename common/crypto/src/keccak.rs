//! The Keccak-f[1600] permutation (FIPS 202 §3), written once over a lane word.
//!
//! With `u64` as the word it permutes one state; with a SIMD vector of `u64` it permutes as many independent
//! states as the vector has elements. [`Lanes`] is the small instruction set that the permutation needs.

/// Words of a Keccak-f[1600] state.
pub(crate) const STATE_WORDS: usize = 25;

/// Iota round constants (FIPS 202 §3.2.5).
const ROUND_CONSTANTS: [u64; 24] = [
    0x0000_0000_0000_0001,
    0x0000_0000_0000_8082,
    0x8000_0000_0000_808a,
    0x8000_0000_8000_8000,
    0x0000_0000_0000_808b,
    0x0000_0000_8000_0001,
    0x8000_0000_8000_8081,
    0x8000_0000_0000_8009,
    0x0000_0000_0000_008a,
    0x0000_0000_0000_0088,
    0x0000_0000_8000_8009,
    0x0000_0000_8000_000a,
    0x0000_0000_8000_808b,
    0x8000_0000_0000_008b,
    0x8000_0000_0000_8089,
    0x8000_0000_0000_8003,
    0x8000_0000_0000_8002,
    0x8000_0000_0000_0080,
    0x0000_0000_0000_800a,
    0x8000_0000_8000_000a,
    0x8000_0000_8000_8081,
    0x8000_0000_0000_8080,
    0x0000_0000_8000_0001,
    0x8000_0000_8000_8008,
];

/// `N` independent 64-bit values in one word, and the operations that Keccak and its sponge use on them.
#[cfg_attr(
    not(target_arch = "x86_64"),
    allow(dead_code, reason = "only lanes side by side need all")
)]
pub(crate) trait Lanes<const N: usize>: Copy {
    /// `N` values of 64 bits.
    type Word: Copy;

    fn splat(self, value: u64) -> Self::Word;
    fn gather(self, values: [u64; N]) -> Self::Word;
    fn scatter(self, word: Self::Word) -> [u64; N];
    fn and(self, a: Self::Word, b: Self::Word) -> Self::Word;
    fn xor(self, a: Self::Word, b: Self::Word) -> Self::Word;
    fn xor3(self, a: Self::Word, b: Self::Word, c: Self::Word) -> Self::Word;
    /// `a ^ (!b & c)`
    fn chi(self, a: Self::Word, b: Self::Word, c: Self::Word) -> Self::Word;
    /// Rotates left by `L`; `R` is `64 - L` (spelled out because shift-based sets need it as a constant).
    fn rotate<const L: i32, const R: i32>(self, a: Self::Word) -> Self::Word;

    /// Loads 8 consecutive words of each row; result `[w]` holds word `w` of every row.
    #[inline(always)]
    fn load8(self, rows: [&[u8; 64]; N]) -> [Self::Word; 8] {
        std::array::from_fn(|w| {
            self.gather(
                rows.map(|row| row.as_chunks::<8>().0[w])
                    .map(u64::from_le_bytes),
            )
        })
    }
}

/// One state, plain integers.
#[derive(Clone, Copy)]
pub(crate) struct Scalar;

impl Lanes<1> for Scalar {
    type Word = u64;

    #[inline(always)]
    fn splat(self, value: u64) -> u64 {
        value
    }
    #[inline(always)]
    fn gather(self, [value]: [u64; 1]) -> u64 {
        value
    }
    #[inline(always)]
    fn scatter(self, word: u64) -> [u64; 1] {
        [word]
    }
    #[inline(always)]
    fn and(self, a: u64, b: u64) -> u64 {
        a & b
    }
    #[inline(always)]
    fn xor(self, a: u64, b: u64) -> u64 {
        a ^ b
    }
    #[inline(always)]
    fn xor3(self, a: u64, b: u64, c: u64) -> u64 {
        a ^ b ^ c
    }
    #[inline(always)]
    fn chi(self, a: u64, b: u64, c: u64) -> u64 {
        a ^ (!b & c)
    }
    #[inline(always)]
    fn rotate<const L: i32, const R: i32>(self, a: u64) -> u64 {
        a.rotate_left(L.unsigned_abs())
    }
}

#[cfg(target_arch = "x86_64")]
pub(crate) mod x86 {
    //! Four lanes with AVX2, eight with AVX-512. The tokens prove that the CPU has the instructions.

    use super::Lanes;
    use core::arch::x86_64::{__m256i, __m512i};
    use pulp::x86::{V3, V4};
    use pulp::{cast, u64x4, u64x8};

    impl Lanes<4> for V3 {
        type Word = __m256i;

        #[inline(always)]
        fn splat(self, value: u64) -> __m256i {
            self.gather([value; 4])
        }
        #[inline(always)]
        fn gather(self, [a, b, c, d]: [u64; 4]) -> __m256i {
            cast(u64x4(a, b, c, d))
        }
        #[inline(always)]
        fn scatter(self, word: __m256i) -> [u64; 4] {
            cast(word)
        }
        #[inline(always)]
        fn and(self, a: __m256i, b: __m256i) -> __m256i {
            self.avx2._mm256_and_si256(a, b)
        }
        #[inline(always)]
        fn xor(self, a: __m256i, b: __m256i) -> __m256i {
            self.avx2._mm256_xor_si256(a, b)
        }
        #[inline(always)]
        fn xor3(self, a: __m256i, b: __m256i, c: __m256i) -> __m256i {
            self.xor(self.xor(a, b), c)
        }
        #[inline(always)]
        fn chi(self, a: __m256i, b: __m256i, c: __m256i) -> __m256i {
            self.xor(a, self.avx2._mm256_andnot_si256(b, c))
        }
        #[inline(always)]
        fn rotate<const L: i32, const R: i32>(self, a: __m256i) -> __m256i {
            let left = self.avx2._mm256_slli_epi64::<L>(a);
            self.avx2
                ._mm256_or_si256(left, self.avx2._mm256_srli_epi64::<R>(a))
        }
    }

    impl Lanes<8> for V4 {
        type Word = __m512i;

        #[inline(always)]
        fn splat(self, value: u64) -> __m512i {
            self.gather([value; 8])
        }
        #[inline(always)]
        fn gather(self, [a, b, c, d, e, f, g, h]: [u64; 8]) -> __m512i {
            cast(u64x8(a, b, c, d, e, f, g, h))
        }
        #[inline(always)]
        fn scatter(self, word: __m512i) -> [u64; 8] {
            cast(word)
        }
        #[inline(always)]
        fn and(self, a: __m512i, b: __m512i) -> __m512i {
            self.avx512f._mm512_and_si512(a, b)
        }
        #[inline(always)]
        fn xor(self, a: __m512i, b: __m512i) -> __m512i {
            self.avx512f._mm512_xor_si512(a, b)
        }
        #[inline(always)]
        fn xor3(self, a: __m512i, b: __m512i, c: __m512i) -> __m512i {
            // Truth table of a ^ b ^ c.
            self.avx512f._mm512_ternarylogic_epi64::<0x96>(a, b, c)
        }
        #[inline(always)]
        fn chi(self, a: __m512i, b: __m512i, c: __m512i) -> __m512i {
            // Truth table of a ^ (!b & c).
            self.avx512f._mm512_ternarylogic_epi64::<0xd2>(a, b, c)
        }
        #[inline(always)]
        fn rotate<const L: i32, const R: i32>(self, a: __m512i) -> __m512i {
            self.avx512f._mm512_rol_epi64::<L>(a)
        }
        #[inline(always)]
        fn load8(self, rows: [&[u8; 64]; 8]) -> [__m512i; 8] {
            // 8x8 transposition: pairs of words, then 128-bit quarters twice.
            let simd = self.avx512f;
            let r: [__m512i; 8] = rows.map(|row| cast(*row));
            let pair = |a: __m512i, b: __m512i| {
                (
                    simd._mm512_unpacklo_epi64(a, b),
                    simd._mm512_unpackhi_epi64(a, b),
                )
            };
            let ((a0, a1), (b0, b1)) = (pair(r[0], r[1]), pair(r[2], r[3]));
            let ((c0, c1), (d0, d1)) = (pair(r[4], r[5]), pair(r[6], r[7]));
            let quarters = |a: __m512i, b: __m512i, c: __m512i, d: __m512i| {
                let ab_lo = simd._mm512_shuffle_i64x2::<0x88>(a, b);
                let ab_hi = simd._mm512_shuffle_i64x2::<0xdd>(a, b);
                let cd_lo = simd._mm512_shuffle_i64x2::<0x88>(c, d);
                let cd_hi = simd._mm512_shuffle_i64x2::<0xdd>(c, d);
                [
                    simd._mm512_shuffle_i64x2::<0x88>(ab_lo, cd_lo),
                    simd._mm512_shuffle_i64x2::<0x88>(ab_hi, cd_hi),
                    simd._mm512_shuffle_i64x2::<0xdd>(ab_lo, cd_lo),
                    simd._mm512_shuffle_i64x2::<0xdd>(ab_hi, cd_hi),
                ]
            };
            let [w0, w2, w4, w6] = quarters(a0, b0, c0, d0);
            let [w1, w3, w5, w7] = quarters(a1, b1, c1, d1);
            [w0, w1, w2, w3, w4, w5, w6, w7]
        }
    }
}

/// Permutes `N` states. Word `x + 5 * y` of the standard's state array is `state[x + 5 * y]`.
#[inline(always)]
pub(crate) fn permute<const N: usize, L: Lanes<N>>(l: L, state: &mut [L::Word; STATE_WORDS]) {
    let mut a = *state;
    for constant in ROUND_CONSTANTS {
        a = round(l, a, constant);
    }
    *state = a;
}

#[inline(always)]
fn round<const N: usize, L: Lanes<N>>(
    l: L,
    a: [L::Word; STATE_WORDS],
    constant: u64,
) -> [L::Word; STATE_WORDS] {
    // Theta: the parity of each column and the value it adds to its neighbours.
    let parity = |x: usize| l.xor3(l.xor3(a[x], a[x + 5], a[x + 10]), a[x + 15], a[x + 20]);
    let c = [parity(0), parity(1), parity(2), parity(3), parity(4)];
    let rotated = c.map(|word| l.rotate::<1, 63>(word));

    // Theta, rho and pi: b[pi(i)] = rho(a[i] ^ d[x]).
    macro_rules! moved {
        ($from:literal, $left:literal) => {{
            const X: usize = $from % 5;
            let sum = l.xor3(a[$from], c[(X + 4) % 5], rotated[(X + 1) % 5]);
            l.rotate::<$left, { 64 - $left }>(sum)
        }};
    }
    let b00 = l.xor3(a[0], c[4], rotated[1]);
    let rows = [
        [
            b00,
            moved!(6, 44),
            moved!(12, 43),
            moved!(18, 21),
            moved!(24, 14),
        ],
        [
            moved!(3, 28),
            moved!(9, 20),
            moved!(10, 3),
            moved!(16, 45),
            moved!(22, 61),
        ],
        [
            moved!(1, 1),
            moved!(7, 6),
            moved!(13, 25),
            moved!(19, 8),
            moved!(20, 18),
        ],
        [
            moved!(4, 27),
            moved!(5, 36),
            moved!(11, 10),
            moved!(17, 15),
            moved!(23, 56),
        ],
        [
            moved!(2, 62),
            moved!(8, 55),
            moved!(14, 39),
            moved!(15, 41),
            moved!(21, 2),
        ],
    ];

    // Chi, then iota.
    let mut next = a;
    for (y, b) in rows.iter().enumerate() {
        for x in 0..5 {
            next[5 * y + x] = l.chi(b[x], b[(x + 1) % 5], b[(x + 2) % 5]);
        }
    }
    next[0] = l.xor(next[0], l.splat(constant));
    next
}
