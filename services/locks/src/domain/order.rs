//! The order in which an owner takes resources: by the rank of their class, then by project and key. Whoever only ever asks for what comes after
//! all that it has, and for nothing while it waits, can wait for nobody who waits for it.

use std::cmp::Ordering;

use holdfast_ids::LockClass;

use super::resource::Resource;

/// A class of the registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Class {
    pub name: LockClass,
    pub rank: i16,
    pub description: String,
}

/// The registry, lower ranks first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Order(Vec<Class>);

impl Order {
    pub fn new(mut classes: Vec<Class>) -> Self {
        classes.sort_by_key(|class| class.rank);
        Self(classes)
    }

    pub fn classes(&self) -> &[Class] {
        &self.0
    }

    pub fn knows(&self, name: &LockClass) -> bool {
        self.rank(name).is_some()
    }

    /// "infrastructure, budget, project, memory".
    pub fn names(&self) -> String {
        self.0.iter().map(|class| class.name.as_str()).collect::<Vec<_>>().join(", ")
    }

    /// Classes that the registry no longer has come last: what is held of them was taken under an order that had them.
    pub fn compare(&self, one: &Resource, other: &Resource) -> Ordering {
        let key = |resource: &Resource| self.rank(&resource.class).unwrap_or(i16::MAX);
        key(one)
            .cmp(&key(other))
            .then_with(|| one.class.cmp(&other.class))
            .then_with(|| one.project_id.cmp(&other.project_id))
            .then_with(|| one.key.cmp(&other.key))
    }

    pub fn sort(&self, resources: &mut [Resource]) {
        resources.sort_by(|one, other| self.compare(one, other));
    }

    fn rank(&self, name: &LockClass) -> Option<i16> {
        self.0.iter().find(|class| class.name == *name).map(|class| class.rank)
    }
}
