//! What a deployment may hold.

use holdfast_fault::Fault;
use holdfast_ids::TenantId;

use super::App;
use crate::domain::labels::{AskedLabels, Labels};
use crate::metrics;

impl App {
    /// The labels that a submission comes to; refused where its data may not be held here. `kin` are those of the job on
    /// whose behalf, or in whose place, it is done.
    pub(super) fn labels(
        &self,
        tenant_id: &TenantId,
        asked: AskedLabels,
        kin: Option<Labels>,
    ) -> Result<Labels, Fault> {
        self.core.limits.holding.labels(tenant_id, asked, kin).map_err(|unheld| {
            metrics::submissions_refused("residency", 1);
            // Others have to look into it: somebody sends data to where it must not be.
            tracing::warn!(%tenant_id, "a submission was not held here: {unheld}");
            unheld.into()
        })
    }
}
