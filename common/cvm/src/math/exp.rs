//! The exponential function of fdlibm.
//!
//! The algorithm and its constants are from fdlibm's `e_exp.c`:
//!
//! > Copyright (C) 2004 by Sun Microsystems, Inc. All rights reserved.
//! >
//! > Permission to use, copy, modify, and distribute this software is freely granted, provided that this notice is
//! > preserved.
//!
//! Argument reduction finds `k` and `r` with `x = k·ln 2 + r` and `|r| ≤ ln 2 / 2`, `r` as a difference `hi - lo`.
//! A polynomial in `r²` approximates `r·(eʳ+1)/(eʳ-1)`, from which `eʳ` follows; then `eˣ = 2ᵏ·eʳ`.

use super::{NAN, add_to_exponent, high_word};

/// Above this the result is infinite.
const OVERFLOW: f64 = f64::from_bits(0x4086_2e42_fefa_39ef);
/// Below this the result is zero.
const UNDERFLOW: f64 = f64::from_bits(0xc087_4910_d52d_3051);
/// ln 2 in two parts: the first has 21 trailing zero bits, so small multiples of it are exact.
const LN2_HI: f64 = f64::from_bits(0x3fe6_2e42_fee0_0000);
const LN2_LO: f64 = f64::from_bits(0x3dea_39ef_3579_3c76);
const INV_LN2: f64 = f64::from_bits(0x3ff7_1547_652b_82fe);
/// 2^-1000.
const TWO_M1000: f64 = f64::from_bits(0x0170_0000_0000_0000);

const P1: f64 = f64::from_bits(0x3fc5_5555_5555_553e);
const P2: f64 = f64::from_bits(0xbf66_c16c_16be_bd93);
const P3: f64 = f64::from_bits(0x3f11_566a_af25_de2c);
const P4: f64 = f64::from_bits(0xbebb_bd41_c5d2_6bf1);
const P5: f64 = f64::from_bits(0x3e66_3769_72be_a4d0);

/// `r - r²·P(r²)`, the polynomial that [`exp`] and [`super::pow`] share.
pub(super) fn remainder(r: f64) -> f64 {
    let t = r * r;
    r - t * (P1 + t * (P2 + t * (P3 + t * (P4 + t * P5))))
}

/// e to the power of `x`, as fdlibm computes it (error below one unit in the last place).
///
/// ```
/// // Not the correctly rounded 0x4005bf0a8b145769.
/// assert_eq!(cvm::math::exp(1.0).to_bits(), 0x4005_bf0a_8b14_576a);
/// ```
#[must_use]
pub fn exp(x: f64) -> f64 {
    let negative = x.is_sign_negative();
    let magnitude = high_word(x) & 0x7fff_ffff;
    if x.is_nan() {
        return NAN;
    }
    if x > OVERFLOW {
        return f64::INFINITY;
    }
    if x < UNDERFLOW {
        return 0.0;
    }

    let (hi, lo, k);
    // The thresholds are the high words of ln 2 / 2, 3/2·ln 2 and 2^-28.
    if magnitude > 0x3fd6_2e42 {
        if magnitude < 0x3ff0_a2b2 {
            (hi, lo, k) = if negative {
                (x + LN2_HI, -LN2_LO, -1)
            } else {
                (x - LN2_HI, LN2_LO, 1)
            };
        } else {
            k = (INV_LN2 * x + if negative { -0.5 } else { 0.5 }) as i32;
            let t = f64::from(k);
            (hi, lo) = (x - t * LN2_HI, t * LN2_LO);
        }
    } else if magnitude < 0x3e30_0000 {
        return 1.0 + x;
    } else {
        (hi, lo, k) = (x, 0.0, 0);
    }

    let r = hi - lo;
    let c = remainder(r);
    if k == 0 {
        return 1.0 - ((r * c) / (c - 2.0) - r);
    }
    let y = 1.0 - ((lo - (r * c) / (2.0 - c)) - hi);
    if k >= -1021 {
        add_to_exponent(y, k)
    } else {
        add_to_exponent(y, k + 1000) * TWO_M1000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_of_the_range_are_infinity_and_zero() {
        assert_eq!(exp(f64::INFINITY), f64::INFINITY);
        assert_eq!(exp(f64::NEG_INFINITY).to_bits(), 0);
        assert_eq!(exp(710.0), f64::INFINITY);
        assert!(exp(OVERFLOW).is_finite());
        assert_eq!(exp(UNDERFLOW), f64::from_bits(1));
        assert_eq!(exp(-746.0).to_bits(), 0);
    }

    #[test]
    fn every_nan_gives_the_standard_nan() {
        for bits in [
            0x7ff8_0000_0000_0001,
            0xfff8_0000_0000_0000,
            0x7ff0_0000_0000_0001,
        ] {
            assert_eq!(exp(f64::from_bits(bits)).to_bits(), NAN.to_bits());
        }
    }
}
