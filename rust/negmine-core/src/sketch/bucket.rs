//! Connects the rows of one bucket: rows that are connected already are not compared.

use std::collections::HashMap;

use crate::base::Result;
use crate::base::union_find::{Groups, Link};

/// Connected rows of a bucket, in the order in which they are compared with a further row.
#[derive(Clone, Copy)]
struct Part {
    /// The number of one row.
    one: u32,
    /// The numbers of the first and the last row.
    first: u32,
    last: u32,
}

/// No further row.
const END: u32 = u32::MAX;

/// Appends the links that connect the rows of a bucket, given the groups that hold them so far. Every row is compared
/// with the rows of every part that it is not in, until one of them is similar: `compare` returns the link of a pair,
/// or `None`.
///
/// # Errors
/// The error of `compare`.
pub(super) fn connect(
    bucket: &[(u64, u32)],
    leaders: &[u32],
    links: &mut Vec<Link>,
    mut compare: impl FnMut(u32, u32) -> Result<Option<Link>>,
) -> Result<()> {
    let mut firsts: HashMap<u32, u32> = HashMap::new();
    let mut connected = Groups::new(bucket.len());
    // The row that follows each in its part, so that parts are joined without a copy.
    let mut next = vec![END; bucket.len()];
    let (mut parts, mut others): (Vec<Part>, Vec<Part>) = (Vec::new(), Vec::new());
    for (number, (_, row)) in (0..).zip(bucket) {
        let first = *firsts.entry(leaders[*row as usize]).or_insert(number);
        let mut own: Option<Part> = None;
        if first != number {
            connected.join(first, number);
            let at = parts.iter().position(|part| connected.find(part.one) == connected.find(number));
            own = at.map(|at| parts.remove(at));
        }
        for part in parts.drain(..) {
            let (mut other, mut link) = (part.first, None);
            while other != END && link.is_none() {
                link = compare(bucket[other as usize].1, *row)?;
                other = next[other as usize];
            }
            let Some(link) = link else {
                others.push(part);
                continue;
            };
            links.push(link);
            connected.join(part.one, number);
            own = Some(own.map_or(part, |own| joined(own, part, &mut next)));
        }
        std::mem::swap(&mut parts, &mut others);
        let single = Part { one: number, first: number, last: number };
        parts.push(own.map_or(single, |own| joined(own, single, &mut next)));
    }
    Ok(())
}

/// The rows of two parts, one after the other.
fn joined(a: Part, b: Part, next: &mut [u32]) -> Part {
    next[a.last as usize] = b.first;
    Part { last: b.last, ..a }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    type Pairs = Vec<(u32, u32)>;

    /// The same with lists that are copied: the links, and the pairs that are compared.
    fn plain(rows: &[u32], leaders: &[u32], near: &BTreeSet<(u32, u32)>) -> (Pairs, Pairs) {
        let (mut links, mut compared) = (Vec::new(), Vec::new());
        let mut parts: Vec<(Vec<u32>, Vec<u32>)> = Vec::new();
        for &row in rows {
            let leader = leaders[row as usize];
            let own = parts.iter().position(|part| part.0.contains(&leader));
            let mut own = own.map_or((vec![leader], Vec::new()), |at| parts.remove(at));
            let mut others = Vec::new();
            for other in parts {
                let pairs = other.1.iter().map(|&other| (other, row));
                let found = pairs.inspect(|&pair| compared.push(pair)).find(|pair| near.contains(pair));
                if let Some(found) = found {
                    links.push(found);
                    own.0.extend(other.0);
                    own.1.extend(other.1);
                } else {
                    others.push(other);
                }
            }
            own.1.push(row);
            parts = others;
            parts.push(own);
        }
        (links, compared)
    }

    proptest! {
        #[test]
        fn rows_are_compared_in_the_order_of_lists_that_are_copied(
            leaders in prop::collection::vec(0_u32..12, 1..24),
            near in prop::collection::btree_set((0_u32..24, 0_u32..24), 0..40),
        ) {
            let rows: Vec<u32> = (0..leaders.len() as u32).collect();
            let bucket: Vec<(u64, u32)> = rows.iter().map(|&row| (0, row)).collect();
            let (mut links, mut compared) = (Vec::new(), Vec::new());
            connect(&bucket, &leaders, &mut links, |other, row| {
                compared.push((other, row));
                Ok(near.contains(&(other, row)).then_some(Link { a: other, b: row, similarity: 1.0 }))
            }).unwrap();
            let links: Vec<_> = links.iter().map(|link| (link.a, link.b)).collect();
            prop_assert_eq!((links, compared), plain(&rows, &leaders, &near));
        }
    }
}
