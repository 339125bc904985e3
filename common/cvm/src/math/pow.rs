//! The power function of fdlibm.
//!
//! The algorithm and its constants are from fdlibm's `e_pow.c`:
//!
//! > Copyright (C) 2004 by Sun Microsystems, Inc. All rights reserved.
//! >
//! > Permission to use, copy, modify, and distribute this software is freely granted, provided that this notice is
//! > preserved.
//!
//! `log2(x)` is computed to about 77 bits as a sum of two doubles, multiplied by `y` in the same way, and `2^(y·log2 x)`
//! taken from a polynomial. Special cases differ from IEEE 754-2008 `pow`: a base of magnitude 1 with an infinite
//! exponent gives NaN, and so does `1` to a NaN (`spec/03 §2`).

use super::exp::remainder;
use super::{NAN, add_to_exponent, head, high_word, low_word};

/// Coefficients of the series for `log2`.
const L1: f64 = f64::from_bits(0x3fe3_3333_3333_3303);
const L2: f64 = f64::from_bits(0x3fdb_6db6_db6f_abff);
const L3: f64 = f64::from_bits(0x3fd5_5555_518f_264d);
const L4: f64 = f64::from_bits(0x3fd1_7460_a91d_4101);
const L5: f64 = f64::from_bits(0x3fcd_864a_93c9_db65);
const L6: f64 = f64::from_bits(0x3fca_7e28_4a45_4eef);

/// ln 2, and in two parts.
const LN2: f64 = f64::from_bits(0x3fe6_2e42_fefa_39ef);
const LN2_H: f64 = f64::from_bits(0x3fe6_2e43_0000_0000);
const LN2_L: f64 = f64::from_bits(0xbe20_5c61_0ca8_6c39);
/// -(1024 - log2 of the overflow threshold plus half a unit).
const OVERFLOW_TAIL: f64 = f64::from_bits(0x3c97_1547_652b_82fe);
/// 2/(3 ln 2), and in two parts.
const CP: f64 = f64::from_bits(0x3fee_c709_dc3a_03fd);
const CP_H: f64 = f64::from_bits(0x3fee_c709_e000_0000);
const CP_L: f64 = f64::from_bits(0xbe3e_2fe0_145b_01f5);
/// 1/ln 2, and in two parts.
const INV_LN2: f64 = f64::from_bits(0x3ff7_1547_652b_82fe);
const INV_LN2_H: f64 = f64::from_bits(0x3ff7_1547_6000_0000);
const INV_LN2_L: f64 = f64::from_bits(0x3e54_ae0b_f85d_df44);
/// The two base points of the reduction and the two parts of their log2.
const BASE: [f64; 2] = [1.0, 1.5];
const LOG2_BASE_H: [f64; 2] = [0.0, f64::from_bits(0x3fe2_b803_4000_0000)];
const LOG2_BASE_L: [f64; 2] = [0.0, f64::from_bits(0x3e4c_fdeb_43cf_d006)];

/// 2^53.
const TWO53: f64 = 9_007_199_254_740_992.0;

/// `x` to the power of `y`, as fdlibm computes it (error below 0.7 units in the last place).
///
/// ```
/// use cvm::math::pow;
/// assert_eq!(pow(2.0, 10.0), 1024.0);
/// assert_eq!(pow(f64::NAN, 0.0), 1.0);
/// assert!(pow(1.0, f64::INFINITY).is_nan());
/// ```
#[must_use]
pub fn pow(x: f64, y: f64) -> f64 {
    if y == 0.0 {
        return 1.0;
    }
    if x.is_nan() || y.is_nan() {
        return NAN;
    }
    let parity = if x.is_sign_negative() {
        parity(y)
    } else {
        Parity::NotInteger
    };
    let ax = x.abs();

    if y.is_infinite() {
        return match ax {
            1.0 => NAN,
            _ if (ax > 1.0) == (y > 0.0) => f64::INFINITY,
            _ => 0.0,
        };
    }
    if y == 1.0 {
        return x;
    }
    if y == -1.0 {
        return 1.0 / x;
    }
    if y == 2.0 {
        return x * x;
    }
    if y == 0.5 && x.is_sign_positive() {
        return x.sqrt();
    }

    if ax.is_infinite() || ax == 0.0 || ax == 1.0 {
        let z = if y < 0.0 { 1.0 / ax } else { ax };
        return match parity {
            _ if x.is_sign_positive() => z,
            Parity::Odd => -z,
            Parity::NotInteger if ax == 1.0 => NAN,
            _ => z,
        };
    }
    if x.is_sign_negative() && parity == Parity::NotInteger {
        return NAN;
    }
    let sign = if parity == Parity::Odd { -1.0 } else { 1.0 };
    match log2_times(ax, y) {
        Product::Overflow => sign * f64::INFINITY,
        Product::Underflow => sign * 0.0,
        Product::Parts(high, low) => exp2_parts(high, low, sign),
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Parity {
    NotInteger,
    Odd,
    Even,
}

/// Whether `y`, finite, is an odd or an even integer. From 2^53 on all doubles are even.
fn parity(y: f64) -> Parity {
    let y = y.abs();
    if y >= TWO53 {
        Parity::Even
    } else if y.trunc() != y {
        Parity::NotInteger
    } else if y as u64 & 1 == 1 {
        Parity::Odd
    } else {
        Parity::Even
    }
}

/// `y · log2(x)`, or that it is out of range.
enum Product {
    Overflow,
    Underflow,
    /// The sum of the two, the first without the lower half of its fraction.
    Parts(f64, f64),
}

/// `y · log2(ax)` for positive finite `ax` other than 1 and finite `y`.
fn log2_times(ax: f64, y: f64) -> Product {
    let ix = high_word(ax);
    let iy = high_word(y) & 0x7fff_ffff;
    let out_of_range = |grows: bool| {
        if grows {
            Product::Overflow
        } else {
            Product::Underflow
        }
    };

    let (t1, t2);
    if iy > 0x41e0_0000 {
        // |y| > 2^31: only bases next to 1 stay in range.
        if iy > 0x43f0_0000 {
            if ix <= 0x3fef_ffff {
                return out_of_range(y < 0.0);
            }
            return out_of_range(y > 0.0);
        }
        if ix < 0x3fef_ffff {
            return out_of_range(y < 0.0);
        }
        if ix > 0x3ff0_0000 {
            return out_of_range(y > 0.0);
        }
        // |1 - x| is at most 2^-20: four terms of the series of ln x are enough.
        let t = ax - 1.0;
        let w = (t * t) * (0.5 - t * (0.333_333_333_333_333_3 - t * 0.25));
        let u = INV_LN2_H * t;
        let v = t * INV_LN2_L - w * INV_LN2;
        t1 = head(u + v);
        t2 = v - (t1 - u);
    } else {
        (t1, t2) = log2(ax);
    }

    let y1 = head(y);
    let low = (y - y1) * t1 + y * t2;
    let high = y1 * t1;
    let z = low + high;
    let (j, i) = (high_word(z) as i32, low_word(z));
    if j >= 0x4090_0000 {
        // z >= 1024
        if j != 0x4090_0000 || i != 0 || low + OVERFLOW_TAIL > z - high {
            return Product::Overflow;
        }
    } else if j & 0x7fff_ffff >= 0x4090_cc00 {
        // z <= -1075
        if j as u32 != 0xc090_cc00 || i != 0 || low <= z - high {
            return Product::Underflow;
        }
    }
    Product::Parts(high, low)
}

/// `log2(ax)` as a sum of two doubles.
fn log2(ax: f64) -> (f64, f64) {
    // Subnormals are scaled into the normal range first.
    let (ax, mut n) = if high_word(ax) < 0x0010_0000 {
        (ax * TWO53, -53)
    } else {
        (ax, 0)
    };
    let ix = high_word(ax);
    n += (ix >> 20) as i32 - 0x3ff;
    let fraction = ix & 0x000f_ffff;
    // ax becomes a number near one of the base points; the words are those of sqrt(3/2) and sqrt(3).
    let mut normal = fraction | 0x3ff0_0000;
    let k = if fraction <= 0x3_988e {
        0
    } else if fraction < 0xb_b67a {
        1
    } else {
        n += 1;
        normal -= 0x0010_0000;
        0
    };
    let ax = f64::from_bits(u64::from(normal) << 32 | u64::from(low_word(ax)));

    // s = (ax - base)/(ax + base) in two parts.
    let u = ax - BASE[k];
    let v = 1.0 / (ax + BASE[k]);
    let s = u * v;
    let s_h = head(s);
    // The upper half of ax + base, taken from the bits.
    let t_h = f64::from_bits(
        u64::from(((normal >> 1) | 0x2000_0000) + 0x0008_0000 + ((k as u32) << 18)) << 32,
    );
    let t_l = ax - (t_h - BASE[k]);
    let s_l = v * ((u - s_h * t_h) - s_h * t_l);

    // log(ax) = 2s + 2/3·s³ + …, as 2s(3 + s² + r)/3.
    let s2 = s * s;
    let mut r = s2 * s2 * (L1 + s2 * (L2 + s2 * (L3 + s2 * (L4 + s2 * (L5 + s2 * L6)))));
    r += s_l * (s_h + s);
    let s2 = s_h * s_h;
    let t_h = head(3.0 + s2 + r);
    let t_l = r - ((t_h - 3.0) - s2);
    let u = s_h * t_h;
    let v = s_l * t_h + t_l * s;
    let p_h = head(u + v);
    let p_l = v - (p_h - u);
    let z_h = CP_H * p_h;
    let z_l = CP_L * p_h + p_l * CP + LOG2_BASE_L[k];

    let t = f64::from(n);
    let t1 = head(((z_h + z_l) + LOG2_BASE_H[k]) + t);
    let t2 = z_l - (((t1 - t) - LOG2_BASE_H[k]) - z_h);
    (t1, t2)
}

/// `sign · 2^(high + low)`.
fn exp2_parts(mut high: f64, low: f64, sign: f64) -> f64 {
    let z = low + high;
    let j = high_word(z) as i32;
    let magnitude = j & 0x7fff_ffff;
    let mut n = 0;
    if magnitude > 0x3fe0_0000 {
        // |z| > 0.5: n = z rounded to an integer, from the bits.
        let mut k = (magnitude >> 20) - 0x3ff;
        let rounded = j.wrapping_add(0x0010_0000 >> (k + 1));
        k = ((rounded & 0x7fff_ffff) >> 20) - 0x3ff;
        let t = f64::from_bits(u64::from((rounded & !(0x000f_ffff >> k)) as u32) << 32);
        n = ((rounded & 0x000f_ffff) | 0x0010_0000) >> (20 - k);
        if j < 0 {
            n = -n;
        }
        high -= t;
    }
    let t = head(low + high);
    let u = t * LN2_H;
    let v = (low - (t - high)) * LN2 + t * LN2_L;
    let z = u + v;
    let w = v - (z - u);
    let t1 = remainder(z);
    let r = (z * t1) / (t1 - 2.0) - (w + z * w);
    let z = 1.0 - (r - z);
    let exponent = (high_word(z) as i32 >> 20) + n;
    sign * if exponent <= 0 {
        scale(z, n)
    } else {
        add_to_exponent(z, n)
    }
}

/// `x · 2^n` for `x` near 1 and results in or near the subnormal range.
fn scale(x: f64, n: i32) -> f64 {
    // 2^-54 brings back what the first step keeps in the normal range, with one rounding.
    const TWO_M54: f64 = f64::from_bits(0x3c90_0000_0000_0000);
    let exponent = (high_word(x) >> 20 & 0x7ff) as i32 + n;
    if exponent <= -54 {
        0.0
    } else {
        add_to_exponent(x, n + 54) * TWO_M54
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_of_magnitude_one_has_no_limit() {
        for x in [1.0, -1.0] {
            for y in [f64::INFINITY, f64::NEG_INFINITY, f64::NAN] {
                assert_eq!(pow(x, y).to_bits(), NAN.to_bits());
            }
        }
    }

    #[test]
    fn a_negative_base_needs_an_integer() {
        assert_eq!(pow(-2.0, 3.0), -8.0);
        assert_eq!(pow(-2.0, -2.0), 0.25);
        assert!(pow(-2.0, 3.5).is_nan());
        assert_eq!(pow(-0.0, 3.0).to_bits(), (-0.0f64).to_bits());
        assert_eq!(pow(-0.0, -3.0), f64::NEG_INFINITY);
        assert_eq!(pow(-0.0, 0.5).to_bits(), 0);
        assert_eq!(pow(f64::NEG_INFINITY, -3.0).to_bits(), (-0.0f64).to_bits());
        assert_eq!(pow(-1.0, 1e300), 1.0);
    }
}
