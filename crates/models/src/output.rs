//! From margin to output: the transforms that objectives apply. `exp` and `ln` come from one fixed implementation each,
//! not from the platform, so that a replay on another machine gives the same bits.

use crate::exp::{exp, exp_single};

/// What an objective does with the sum of the trees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Transform {
    /// The margin is the output.
    Identity,
    /// `sign(x) · x²`: the target was trained as its square root.
    SignedSquare,
    /// `e^x`: log link.
    Exp,
    /// `1 / (1 + e^(−k·x))` per output.
    Sigmoid(f64),
    /// `e^x / Σ e^x` over the outputs of a row.
    Softmax,
    /// `ln(1 + e^x)`.
    Log1pExp,
}

impl Transform {
    /// Turns the margins of one row into its outputs, in place.
    pub(crate) fn apply(self, row: &mut [f64]) {
        match self {
            Self::Identity => {}
            Self::SignedSquare => row.iter_mut().for_each(|x| *x = sign(*x) * *x * *x),
            Self::Exp => row.iter_mut().for_each(|x| *x = exp(*x)),
            Self::Sigmoid(k) => row.iter_mut().for_each(|x| *x = 1.0 / (1.0 + exp(-k * *x))),
            Self::Softmax => softmax(row),
            Self::Log1pExp => row.iter_mut().for_each(|x| *x = libm::log1p(exp(*x))),
        }
    }
}

fn sign(x: f64) -> f64 {
    f64::from(i8::from(x > 0.0) - i8::from(x < 0.0))
}

/// The largest margin is subtracted first, so that nothing overflows.
fn softmax(row: &mut [f64]) {
    let largest = row.iter().copied().fold(f64::NEG_INFINITY, |a, b| if b > a { b } else { a });
    let mut sum = 0.0;
    for x in row.iter_mut() {
        *x = exp(*x - largest);
        sum += *x;
    }
    row.iter_mut().for_each(|x| *x /= sum);
}

/// From margin to output in single precision, as trainers do it that keep their margins so: XGBoost's
/// `src/common/math.h` and `src/objective`. Margins and outputs are singles kept in doubles.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Link {
    /// The margin is the output.
    Identity,
    /// `1 / (1 + e^−x)`.
    Logistic,
    /// 1 above zero, else 0.
    Hinge,
    /// `e^x`.
    Exp,
    /// `e^x / Σ e^x` over the outputs of a row.
    Softmax,
}

impl Link {
    /// The margin that a base score (given as an output) stands for; `None` when it cannot be one.
    pub(crate) fn margin(self, base: f32) -> Option<f32> {
        let margin = match self {
            Self::Logistic => -ln(1.0 / base - 1.0),
            Self::Exp => ln(base),
            Self::Identity | Self::Hinge | Self::Softmax => base,
        };
        margin.is_finite().then_some(margin)
    }

    /// Turns the margins of one row into its outputs, in place.
    pub(crate) fn apply(self, row: &mut [f64]) {
        match self {
            Self::Identity => {}
            Self::Hinge => row.iter_mut().for_each(|x| *x = f64::from(u8::from(*x > 0.0))),
            Self::Exp => row.iter_mut().for_each(|x| *x = f64::from(exp_single(*x as f32))),
            Self::Logistic => row.iter_mut().for_each(|x| {
                // Where `e^−x` would leave single precision, as XGBoost.
                let power = exp_single((-*x as f32).min(88.7));
                *x = f64::from(1.0 / (power + 1.0));
            }),
            Self::Softmax => {
                let largest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                row.iter_mut().for_each(|x| *x = f64::from(exp_single((*x - largest) as f32)));
                let sum = single(row.iter().sum());
                row.iter_mut().for_each(|x| *x = single(*x / sum));
            }
        }
    }
}

fn ln(x: f32) -> f32 {
    libm::log(f64::from(x)) as f32
}

/// Rounded to single precision.
pub(crate) fn single(x: f64) -> f64 {
    f64::from(x as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(transform: Transform, row: &[f64]) -> Vec<f64> {
        let mut row = row.to_vec();
        transform.apply(&mut row);
        row
    }

    #[test]
    fn transforms_meet_their_definitions() {
        assert_eq!(of(Transform::SignedSquare, &[-3.0, 0.0, 2.0]), [-9.0, 0.0, 4.0]);
        assert_eq!(of(Transform::Sigmoid(2.0), &[0.0]), [0.5]);
        assert_eq!(of(Transform::Exp, &[0.0]), [1.0]);
        assert_eq!(of(Transform::Log1pExp, &[0.0]), [std::f64::consts::LN_2]);
        assert_eq!(of(Transform::Identity, &[7.0]), [7.0]);
    }

    #[test]
    fn softmax_survives_extreme_margins() {
        assert_eq!(of(Transform::Softmax, &[1e308, -1e308, 0.0]), [1.0, 0.0, 0.0]);
        let even = of(Transform::Softmax, &[-800.0, -800.0]);
        assert_eq!(even, [0.5, 0.5]);
    }

    #[test]
    fn links_meet_their_definitions_and_their_ends() {
        let of = |link: Link, row: &[f64]| {
            let mut row = row.to_vec();
            link.apply(&mut row);
            row
        };
        assert_eq!(of(Link::Logistic, &[0.0, 1e9]), [0.5, 1.0]);
        assert!(of(Link::Logistic, &[-1e9])[0] > 0.0);
        assert_eq!(of(Link::Softmax, &[1e30, -1e30]), [1.0, 0.0]);
        assert_eq!(of(Link::Hinge, &[-0.1, 0.0, 0.1]), [0.0, 0.0, 1.0]);
        assert_eq!(of(Link::Exp, &[1.0]), [f64::from(std::f32::consts::E)]);
        assert_eq!(
            [Link::Logistic.margin(0.5), Link::Exp.margin(1.0), Link::Softmax.margin(0.3)],
            [Some(0.0), Some(0.0), Some(0.3)]
        );
        assert_eq!([Link::Logistic.margin(0.0), Link::Logistic.margin(1.0), Link::Exp.margin(-1.0)], [None; 3]);
    }

    #[test]
    fn sigmoid_saturates_without_nan() {
        assert_eq!(of(Transform::Sigmoid(1.0), &[-1e9, 1e9]), [0.0, 1.0]);
    }
}
