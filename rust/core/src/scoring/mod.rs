//! Cosines of embeddings: of a list of pairs, of all pairs, of a gallery and probes; and the error rates they make.
//!
//! Products are made in single precision, many at a time where that pays, and cannot be further from the cosine than
//! [`embeddings::slack`]; of all pairs and in a search, where the processor multiplies bytes, they are made in bytes
//! (`bytes`), with a bound for each row (`coarse`). Whatever lies that near to a threshold is computed again in double precision, so that counts,
//! rates and thresholds are those of the float64 cosines, on every processor.

mod all_pairs;
mod blocks;
mod buckets;
mod bytes;
mod coarse;
mod embeddings;
mod list;
mod nearest;
mod product;
mod rates;
#[cfg(test)]
mod same_by_bytes;
mod search;

pub(crate) use all_pairs::accepted;
pub use all_pairs::{AllPairs, Pair, rate_all_pairs};
pub use blocks::Index;
pub use embeddings::Embeddings;
pub use list::{Method, Metric, score_pairs};
pub use rates::{PairRates, rate_pairs};
pub use search::{Found, search};
