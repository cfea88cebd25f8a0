//! `e^x` with an error below 0.511 units in the last place, from additions, multiplications and fused
//! multiply-additions only: all of them exactly specified, so every machine gives the same bits.
//!
//! The method is the table method of S. Nagy's `exp` (Arm Optimized Routines, MIT), which the GNU C library uses since
//! 2.28 as well; trainers that run on it therefore get the same bits. `libm::exp` is one unit further off now and then,
//! and a sigmoid close to 1 turns one unit of its denominator into two of its result.

use crate::exp_table::POWERS;

const N: f64 = 128.0;
const INV_LN2_N: f64 = std::f64::consts::LOG2_E * N;
/// `−ln 2 / N` in two parts, the first with trailing zeros so that its product with a small integer is exact.
const NEG_LN2_HI_N: f64 = -f64::from_bits(0x3f76_2e42_fefa_0000);
const NEG_LN2_LO_N: f64 = -f64::from_bits(0x3d0c_f79a_bc9e_3b39);
/// Adding it rounds to an integer, which then stands in the lowest bits.
const SHIFT: f64 = 6_755_399_441_055_744.0; // 1.5 · 2^52
/// `(e^r − 1 − r) / r²` on ±ln 2 / 256, minimax; error 1.6 · 2^-66.
const C2: f64 = f64::from_bits(0x3fdf_ffff_ffff_fdbd);
const C3: f64 = f64::from_bits(0x3fc5_5555_5555_543c);
const C4: f64 = f64::from_bits(0x3fa5_5555_cf17_2b91);
const C5: f64 = f64::from_bits(0x3f81_1111_67a4_d017);

/// `e^x`.
pub(crate) fn exp(x: f64) -> f64 {
    if x.is_nan() {
        return x;
    }
    if x >= 1024.0 {
        return f64::INFINITY;
    }
    if x <= -1100.0 {
        return 0.0;
    }
    if x.abs() < 2.0_f64.powi(-54) {
        return 1.0 + x;
    }
    // x = k · ln 2 / N + r, and e^x = 2^(k/N) · e^r.
    let shifted = INV_LN2_N.mul_add(x, SHIFT);
    let bits = shifted.to_bits();
    let k = shifted - SHIFT;
    let r = k.mul_add(NEG_LN2_LO_N, k.mul_add(NEG_LN2_HI_N, x));
    let index = bits % 128;
    let (high, tail) = POWERS[index as usize];
    // The integer part of k/N goes into the exponent.
    let scale = high.wrapping_add((bits - index) << 45);
    let r2 = r * r;
    let low = r2.mul_add(r.mul_add(C3, C2), f64::from_bits(tail) + r);
    let rest = (r2 * r2).mul_add(r.mul_add(C5, C4), low);
    if x.abs() < 512.0 {
        let scale = f64::from_bits(scale);
        return scale.mul_add(rest, scale);
    }
    extreme(rest, scale, k > 0.0)
}

/// `scale · (1 + rest)` where the exponent of `scale` may have run over, or the result may be subnormal.
fn extreme(rest: f64, scale: u64, large: bool) -> f64 {
    if large {
        let scale = f64::from_bits(scale.wrapping_sub(1009 << 52));
        return scale.mul_add(rest, scale) * 2.0_f64.powi(1009);
    }
    let scale = f64::from_bits(scale.wrapping_add(1022 << 52));
    let mut y = scale.mul_add(rest, scale);
    if y < 1.0 {
        // Round once, at the place where the subnormal result ends.
        let low = scale.mul_add(rest, scale - y);
        let high = 1.0 + y;
        let low = 1.0 - high + y + low;
        y = (high + low) - 1.0;
    }
    y * f64::MIN_POSITIVE
}

/// `e^x` in single precision, with an error below 0.502 units in the last place: the table method of the same collection
/// (`expf`), which the GNU C library uses since 2.27, so that trainers which answer in single precision get the same bits.
pub(crate) fn exp_single(x: f32) -> f32 {
    /// `ln 2 / 32` to the powers 3, 2 and 1 over their factorials, minimax on ±ln 2 / 64.
    const C: [f64; 3] = [
        f64::from_bits(0x3fac_6af8_4b91_2394) / 32_768.0,
        f64::from_bits(0x3fce_bfce_50fa_c4f3) / 1024.0,
        f64::from_bits(0x3fe6_2e42_ff0c_52d6) / 32.0,
    ];
    const INV_LN2_32: f64 = std::f64::consts::LOG2_E * 32.0;
    if x.is_nan() {
        return x;
    }
    if x > 88.722_83 {
        return f32::INFINITY;
    }
    if x < -103.972_08 {
        return 0.0;
    }
    let x = f64::from(x);
    let shifted = INV_LN2_32.mul_add(x, SHIFT);
    let bits = shifted.to_bits();
    let r = INV_LN2_32.mul_add(x, -(shifted - SHIFT));
    // Every fourth entry of the table is a power of 2^(1/32).
    let index = bits % 32;
    let scale = f64::from_bits(POWERS[4 * index as usize].0.wrapping_add((bits - index) << 47));
    let y = C[0].mul_add(r, C[1]).mul_add(r * r, C[2].mul_add(r, 1.0));
    (y * scale) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_and_special_values() {
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(exp(1.0), std::f64::consts::E);
        assert_eq!(exp(f64::INFINITY), f64::INFINITY);
        assert_eq!(exp(f64::NEG_INFINITY), 0.0);
        assert!(exp(f64::NAN).is_nan());
        assert_eq!(exp(709.782_712_893_384), 1.797_693_134_862_273_2e308);
        assert_eq!(exp(709.8), f64::INFINITY);
        assert_eq!(exp(-745.2), 0.0);
        assert_eq!(exp(-745.1), 5e-324);
    }

    #[test]
    fn singles_are_rounded_doubles_but_for_near_ties() {
        let (mut x, mut wrong, mut all) = (-104.5_f32, 0, 0);
        while x < 89.0 {
            let (ours, exact) = (exp_single(x), exp(f64::from(x)) as f32);
            let distance = ours.to_bits().abs_diff(exact.to_bits());
            assert!(distance <= 1, "exp({x:?}): {ours:e} and {exact:e}");
            wrong += distance;
            all += 1;
            x += 0.000_317;
        }
        assert!(wrong * 200 < all, "{wrong} of {all} are not the nearest");
        assert_eq!([exp_single(0.0), exp_single(1.0), exp_single(-200.0)], [1.0, std::f32::consts::E, 0.0]);
        assert!(exp_single(f32::NAN).is_nan() && exp_single(90.0) == f32::INFINITY);
    }

    #[test]
    fn never_far_from_another_implementation() {
        let mut x = -746.0;
        while x < 710.0 {
            let (ours, other) = (exp(x), libm::exp(x));
            let distance = ours.to_bits().abs_diff(other.to_bits());
            assert!(distance <= 1, "exp({x:?}): {ours:e} and {other:e}");
            x += 0.001_237;
        }
    }
}
