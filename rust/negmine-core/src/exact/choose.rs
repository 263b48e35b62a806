//! Whether to prune, and with how many leading coordinates.

use std::sync::{Arc, Mutex, PoisonError};

use crate::base::Result;
use crate::base::parallel::Run;

use super::index::ExactIndex;
use super::lead::Lead;
use super::pack::Tile;
use super::plan::Pruned;
use super::rotate::{Axes, Segments};
use super::scan::Scan;
use super::score::Metric;

/// What pruned scans of an index have prepared; clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Prepared(Arc<Mutex<Parts>>);

#[derive(Debug, Default)]
struct Parts {
    axes: Option<Arc<Axes>>,
    lead: Option<Arc<Lead>>,
}

impl Prepared {
    /// Bytes that are kept.
    pub(crate) fn bytes(&self) -> usize {
        let parts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        parts.lead.as_ref().map_or(0, |lead| lead.own_bytes())
    }
}

impl ExactIndex {
    /// The rotated form of the corpus that a scan should use, if any.
    pub(crate) fn lead_for(&self, scan: &Scan<'_, '_, '_, '_>, run: &Run<'_>) -> Result<Option<Arc<Lead>>> {
        let Pruned::Forced(width) = self.layout().pruned else { return Ok(None) };
        let Some(segments) = Segments::new(self.width(), width) else { return Ok(None) };
        if self.metric() == Metric::L2 || self.is_empty() {
            return Ok(None);
        }
        let mut parts = self.prepared().0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lead) = &parts.lead {
            return Ok(Some(Arc::clone(lead)));
        }
        let panels = || self.tiles().iter().flat_map(Tile::panels);
        let unit = panels().map(|panel| panel.unit).fold(f64::INFINITY, f64::min);
        let Some(axes) = Axes::of(scan.corpus, self.metric(), unit, run)? else { return Ok(None) };
        let axes = Arc::new(axes);
        parts.axes = Some(Arc::clone(&axes));
        let Some(rotation) = axes.rotation(segments, run)? else { return Ok(None) };
        let lead = Lead::pack(scan.corpus, self.metric(), rotation, segments, self.layout().slack, run)?;
        let lead = Arc::new(lead);
        parts.lead = Some(Arc::clone(&lead));
        Ok(Some(lead))
    }
}
