//! What a job's data is, and where it may be kept: the two labels that every job carries, and who may hold which.

use std::collections::HashMap;

use holdfast_ids::TenantId;

named! {
    /// What harm it does where others read it. Ordered: a later one is stricter.
    Classification {
        Public = "public",
        Internal = "internal",
        /// Personal data, and whatever else others must not read.
        Sensitive = "sensitive",
    }
}

named! {
    /// Where data may be kept.
    Residency {
        Us = "US",
        Eu = "EU",
        /// Anywhere.
        Global = "global",
    }
}

/// In the place of what is not told.
pub const REDACTED: &str = "[redacted]";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Labels {
    pub classification: Classification,
    pub residency: Residency,
}

impl Labels {
    /// Whether events and history leave out what somebody wrote about the job, and digests of what it carries: those of few
    /// possible contents give them away.
    pub fn is_redacted(self) -> bool {
        self.classification == Classification::Sensitive
    }

    /// What somebody wrote, as events and history may tell it.
    pub fn told(self, text: &str) -> String {
        if self.is_redacted() && !text.is_empty() { REDACTED.to_owned() } else { text.to_owned() }
    }
}

/// The labels as a caller named them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AskedLabels {
    pub classification: Option<Classification>,
    pub residency: Option<Residency>,
}

impl AskedLabels {
    pub fn is_empty(self) -> bool {
        self == Self::default()
    }
}

/// Why data may not be held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unheld {
    #[error("{} data may not be held by this deployment, which is in {}", .residency.as_str(), .region.as_str())]
    Elsewhere { residency: Residency, region: Residency },
    #[error("data of this tenant is to stay in {}", .0.as_str())]
    NotTheTenants(Residency),
    #[error("the parent's data is to stay in {}", .0.as_str())]
    NotTheFamilys(Residency),
    #[error("{} data may not be held by this deployment", .0.as_str())]
    TooSensitive(Classification),
}

impl Unheld {
    /// The field of a submission that is at fault.
    pub fn field(self) -> &'static str {
        match self {
            Self::Elsewhere { .. } | Self::NotTheTenants(_) | Self::NotTheFamilys(_) => "residency",
            Self::TooSensitive(_) => "classification",
        }
    }
}

/// What a deployment may hold, and what goes without saying.
#[derive(Debug, Clone)]
pub struct Holding {
    /// Where it is.
    pub region: Residency,
    pub may_hold: Vec<Residency>,
    pub classification_default: Classification,
    pub classification_max: Classification,
    /// What tenants have declared.
    pub tenants: HashMap<TenantId, Residency>,
}

impl Holding {
    /// The labels that a job comes to. `kin` are those of the job on whose behalf, or in whose place, it is done: it is as
    /// sensitive as that at least, and stays where that has to stay.
    pub fn labels(&self, tenant_id: &TenantId, asked: AskedLabels, kin: Option<Labels>) -> Result<Labels, Unheld> {
        // Global binds nobody.
        let family = kin.map(|kin| kin.residency).filter(|residency| *residency != Residency::Global);
        let declared = self.tenants.get(tenant_id).copied();
        let residency = asked.residency.or(family).or(declared).or(kin.map(|kin| kin.residency)).unwrap_or(self.region);
        if let Some(declared) = declared.filter(|declared| *declared != Residency::Global && *declared != residency) {
            return Err(Unheld::NotTheTenants(declared));
        }
        if let Some(family) = family.filter(|family| *family != residency) {
            return Err(Unheld::NotTheFamilys(family));
        }
        if !self.may_hold.contains(&residency) {
            return Err(Unheld::Elsewhere { residency, region: self.region });
        }
        let inherited = kin.map(|kin| kin.classification);
        let classification = asked.classification.or(inherited).unwrap_or(self.classification_default);
        let classification = inherited.map_or(classification, |inherited| classification.max(inherited));
        if classification > self.classification_max {
            return Err(Unheld::TooSensitive(classification));
        }
        Ok(Labels { classification, residency })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EU: Labels = Labels { classification: Classification::Internal, residency: Residency::Eu };

    fn tenant(name: &str) -> TenantId {
        TenantId::parse(name).unwrap()
    }

    /// In the US, for tenants of which one has declared the US, and one the EU.
    fn holding() -> Holding {
        Holding {
            region: Residency::Us,
            may_hold: vec![Residency::Us, Residency::Global],
            classification_default: Classification::Internal,
            classification_max: Classification::Sensitive,
            tenants: [("american", Residency::Us), ("european", Residency::Eu), ("anywhere", Residency::Global)]
                .map(|(name, residency)| (tenant(name), residency))
                .into(),
        }
    }

    fn residency(name: &str, asked: Option<Residency>, kin: Option<Residency>) -> Result<Residency, Unheld> {
        let asked = AskedLabels { residency: asked, ..AskedLabels::default() };
        let kin = kin.map(|residency| Labels { residency, ..EU });
        Ok(holding().labels(&tenant(name), asked, kin)?.residency)
    }

    #[test]
    fn what_is_not_said_is_the_familys_the_tenants_or_the_regions() {
        use Residency::{Global, Us};
        assert_eq!(residency("other", None, None), Ok(Us));
        assert_eq!(residency("anywhere", None, None), Ok(Global));
        assert_eq!(residency("anywhere", None, Some(Us)), Ok(Us));
        assert_eq!(residency("american", None, Some(Global)), Ok(Us), "global binds nobody");
        assert_eq!(residency("other", None, Some(Global)), Ok(Global));
    }

    #[test]
    fn nothing_is_held_that_has_to_stay_elsewhere() {
        use Residency::{Eu, Global, Us};
        let elsewhere = Err(Unheld::Elsewhere { residency: Eu, region: Us });
        assert_eq!(residency("european", None, None), elsewhere);
        assert_eq!(residency("european", Some(Eu), None), elsewhere);
        assert_eq!(residency("european", Some(Us), None), Err(Unheld::NotTheTenants(Eu)));
        assert_eq!(residency("american", Some(Global), None), Err(Unheld::NotTheTenants(Us)));
        assert_eq!(residency("anywhere", Some(Us), None), Ok(Us));
        assert_eq!(residency("anywhere", Some(Eu), None), elsewhere);
        assert_eq!(residency("other", None, Some(Eu)), elsewhere);
        assert_eq!(residency("other", Some(Us), Some(Eu)), Err(Unheld::NotTheFamilys(Eu)));
        assert_eq!(residency("other", Some(Global), Some(Us)), Err(Unheld::NotTheFamilys(Us)));
    }

    #[test]
    fn a_child_is_as_sensitive_as_its_parent_at_least() {
        use Classification::{Internal, Public, Sensitive};
        for (asked, of_parent, expected) in [
            (None, None, Internal),
            (Some(Public), None, Public),
            (None, Some(Public), Public),
            (Some(Public), Some(Sensitive), Sensitive),
            (Some(Sensitive), Some(Public), Sensitive),
            (None, Some(Sensitive), Sensitive),
        ] {
            let asked = AskedLabels { classification: asked, residency: Some(Residency::Us) };
            let kin = of_parent.map(|classification| Labels { classification, residency: Residency::Us });
            let labels = holding().labels(&tenant("other"), asked, kin).unwrap();
            assert_eq!(labels.classification, expected, "{asked:?} under {of_parent:?}");
            let tight = Holding { classification_max: Internal, ..holding() };
            let refused = tight.labels(&tenant("other"), asked, kin).err();
            assert_eq!(refused, (expected == Sensitive).then_some(Unheld::TooSensitive(Sensitive)));
        }
    }

    #[test]
    fn only_what_somebody_wrote_about_a_sensitive_job_is_kept_back() {
        let sensitive = Labels { classification: Classification::Sensitive, ..EU };
        assert_eq!(
            (EU.told("why"), sensitive.told("why"), sensitive.told("")),
            ("why".into(), REDACTED.into(), String::new())
        );
    }
}
