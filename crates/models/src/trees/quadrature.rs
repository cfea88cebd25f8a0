//! Gauss–Legendre points and weights on [0, 1]: `n` points integrate polynomials up to degree `2n − 1` exactly.

use std::f64::consts::PI;

/// One point: where, how far from the right end (kept apart, since `1 − t` loses digits near 1), and its weight.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Point {
    pub(crate) t: f64,
    pub(crate) rest: f64,
    pub(crate) weight: f64,
}

/// The `n` points, in descending order of `t`. Newton's method on the Legendre polynomial from the usual cosine guess
/// (Press et al., Numerical Recipes, section 4.6).
pub(crate) fn gauss_legendre(n: usize) -> Vec<Point> {
    let mut points = vec![Point { t: 0.5, rest: 0.5, weight: 0.0 }; n];
    for index in 0..n.div_ceil(2) {
        let mut z = libm::cos(PI * (index as f64 + 0.75) / (n as f64 + 0.5));
        if 2 * index + 1 == n {
            z = 0.0;
        }
        // Converges quadratically; the bound is for the last ulp that may oscillate.
        for _ in 0..100 {
            let (value, slope) = legendre(n, z);
            let step = value / slope;
            z -= step;
            if step.abs() <= 1e-16 {
                break;
            }
        }
        let (_, slope) = legendre(n, z);
        let weight = 1.0 / ((1.0 - z) * (1.0 + z) * slope * slope);
        let (near, far) = (0.5 * (1.0 + z), 0.5 * (1.0 - z));
        points[index] = Point { t: near, rest: far, weight };
        points[n - 1 - index] = Point { t: far, rest: near, weight };
    }
    points
}

/// Value and slope of the Legendre polynomial of degree `n ≥ 1` at `z`.
fn legendre(n: usize, z: f64) -> (f64, f64) {
    let (mut previous, mut value) = (1.0, z);
    for degree in 2..=n {
        let degree = degree as f64;
        (previous, value) = (value, ((2.0 * degree - 1.0) * z * value - (degree - 1.0) * previous) / degree);
    }
    let slope = n as f64 * (z * value - previous) / (z * z - 1.0);
    (value, slope)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn monomials_are_integrated_exactly() {
        for n in [1, 2, 3, 4, 5, 8, 16, 33, 64] {
            let points = gauss_legendre(n);
            for degree in 0..2 * n as i32 {
                let integral: f64 = points.iter().map(|point| point.weight * point.t.powi(degree)).sum();
                let exact = 1.0 / (f64::from(degree) + 1.0);
                assert!((integral - exact).abs() < 1e-14, "n {n}, degree {degree}: {integral} instead of {exact}");
            }
            assert!(points.iter().all(|point| (point.t + point.rest - 1.0).abs() < 1e-15 && point.weight > 0.0));
        }
    }
}
