//! `negmine._native`: the Python bindings. Every function extracts and checks its arguments, detaches from the
//! interpreter, calls the core, and wraps the result; loops over data belong in the core.
#![forbid(unsafe_code)]
// PyO3 passes extracted arguments by value, and one call passes all arguments at once.
#![allow(clippy::needless_pass_by_value, clippy::too_many_arguments)]

mod batch;
mod behavior;
mod call;
mod cluster;
mod convert;
mod corrupt;
mod errors;
mod exact;
mod info;
mod math;
mod mine;
mod offers;
mod packing;
mod row_files;
mod sampling;
mod selection;
mod sketch;
mod strings;
mod synthesis;

use pyo3::prelude::*;

/// The compiled core of negmine.
#[pymodule(gil_used = false)]
mod _native {
    #[pymodule_export]
    #[allow(non_upper_case_globals, reason = "Python's name for it")]
    const __version__: &str = env!("CARGO_PKG_VERSION");

    #[pymodule_export]
    use super::batch::{
        NoDuplicatePlan, SourceSteps, SourceStepsOfEpoch, class_batches, cluster_batches, epoch_permutation,
        false_negative_mask, false_negative_pairs, group_rows, mixture_rows, restore_no_duplicate_plan,
        sample_balanced_margins, topic_batches,
    };
    #[pymodule_export]
    use super::behavior::{SdimPass, nearest, sdim_forward, table_query, table_update};
    #[pymodule_export]
    use super::cluster::{balanced_clusters, kmeans};
    #[pymodule_export]
    use super::corrupt::{check_corruptor, corrupt_triples};
    #[pymodule_export]
    use super::exact::{ExactIndex, cosine_duplicates, quantize_rows, score_pairs};
    #[pymodule_export]
    use super::info::{build_info, peaks, vnni_gops};
    #[pymodule_export]
    use super::math::{exp, ln};
    #[pymodule_export]
    use super::mine::{list_candidates, random_negatives, select};
    #[pymodule_export]
    use super::offers::Offers;
    #[pymodule_export]
    use super::packing::write_panels;
    #[pymodule_export]
    use super::row_files::RowFiles;
    #[pymodule_export]
    use super::sampling::{AliasTable, check_sampler, coin, sample_negatives};
    #[pymodule_export]
    use super::selection::{context_draws, memory_draws, select_items};
    #[pymodule_export]
    use super::sketch::{
        SimHash, distinct_sets, lsh_bands, lsh_duplicates, minhash_definition, minhash_signatures,
        shingle_sets,
    };
    #[pymodule_export]
    use super::strings::{StringTable, hash_strings};
    #[pymodule_export]
    use super::synthesis::{
        interpolate, interpolated_share, mean_distances, move_rows, oversample_draws, share_out, shell,
    };
}
