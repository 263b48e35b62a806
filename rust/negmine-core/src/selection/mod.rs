//! Selection of items: a quota for every group by the law of shares, and a law of choosing within each group.

mod diverse;
mod groups;
pub mod select;
mod systematic;
#[cfg(test)]
mod tests;

pub use select::{Law, Selected, Selection, Target};
