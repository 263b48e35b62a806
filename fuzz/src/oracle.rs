//! The canonical score as `docs/canonical_score.md` defines it, written down a second time.

use negmine_core::scoring::Metric;

/// Lanes of a sum.
const LANES: usize = 16;

/// Sixteen lanes of every sixteenth term, added pairwise.
fn sum(terms: impl Iterator<Item = f64>) -> f64 {
    let mut lanes = [0.0; LANES];
    for (place, term) in terms.enumerate() {
        lanes[place % LANES] += term;
    }
    let mut half = LANES / 2;
    while half > 0 {
        for lane in 0..half {
            lanes[lane] += lanes[lane + half];
        }
        half /= 2;
    }
    lanes[0]
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    sum(a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)))
}

/// The canonical score of a query and a document.
#[must_use]
pub fn score(metric: Metric, q: &[f32], d: &[f32]) -> f64 {
    let score = match metric {
        Metric::Ip => dot(q, d),
        Metric::L2 => 0.0 - sum(q.iter().zip(d).map(|(q, d)| (f64::from(*q) - f64::from(*d)).powi(2))),
        Metric::Cosine => {
            let squares = (dot(q, q), dot(d, d));
            if squares.0 == 0.0 || squares.1 == 0.0 {
                return 0.0;
            }
            (dot(q, d) / (squares.0 * squares.1).sqrt()).clamp(-1.0, 1.0)
        }
    };
    // -0.0 is the score +0.0.
    score + 0.0
}
