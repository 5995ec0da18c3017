//! What stands of a resource, whoever has it.

use holdfast_ids::LeaseId;

use super::Time;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Queue {
    /// Nobody stands in it.
    Empty,
    /// Nobody who is alive.
    Dead,
    /// First of those that are alive.
    First(LeaseId),
    /// The first has gone; whether another stands behind it was not looked at.
    Unknown,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// At which it was seen: it grows with every write, and is 0 where it was never written.
    pub turn: i64,
    /// The highest token ever given; 0 before the first.
    pub fence: i64,
    /// Of its latest event.
    pub version: i64,
    /// Places ever given in its queue.
    pub places: i64,
    pub lease_id: Option<LeaseId>,
    pub rejected_at: Option<Time>,
    pub queue: Queue,
}

impl Head {
    /// Of a resource that was never locked.
    pub const UNWRITTEN: Self =
        Self { turn: 0, fence: 0, version: 0, places: 0, lease_id: None, rejected_at: None, queue: Queue::Empty };
}
