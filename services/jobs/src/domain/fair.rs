//! Who is next where more is ready than workers have room for: shares among classes of work, among tenants, and among the
//! projects of each.
//!
//! Start-time fair queueing at three levels. Each class, tenant and project has a tag that moves on by `1 / share` with
//! each of its leases, and whoever's tag is lowest is next. A level's clock is the tag from which the latest lease began.
//! Nobody is farther behind it than a few leases: who comes back from idleness is served soon, and has no claim to what
//! it did not ask for meanwhile. Who is new begins at the clock; so projects that come and go gain their tenant nothing,
//! whose own tag stays.
//!
//! Shares are worked out anew over the flows at hand. Each project's weight among its tenant's, times the tenant's among
//! all, is raised to a floor and cut to a cap, and the rest is spread over the others in proportion.

use std::collections::{BTreeMap, HashMap};

use super::job::Queue;

/// How many leases one may be behind: as many as two instances that choose at the same time take from each other.
const BEHIND_MAX: f64 = 8.0;
/// Tags of those that have nothing ready are forgotten, when there are many.
const TAGS_MAX: usize = 10_000;

/// The jobs of one queue of one project that could be leased now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flow {
    pub queue: Queue,
    pub tenant_id: String,
    pub project_id: String,
    pub tenant_weight: u32,
    /// Among the projects of its tenant.
    pub weight: u32,
    /// As far as its project has room for them.
    pub ready: usize,
}

/// What the share of a flow among those of its queue is held within.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounds {
    /// At least this, or its share if all weights were equal, whichever is less.
    pub floor: f64,
    /// At most this, unless it is alone; half or more.
    pub cap: f64,
}

/// The share of each flow among those of one queue; they come to 1.
pub fn shares(flows: &[&Flow], bounds: Bounds) -> Vec<f64> {
    // A tenant: its weight, the sum of its projects' weights, and how many they are.
    let mut tenants: BTreeMap<&str, (f64, f64, f64)> = BTreeMap::new();
    for flow in flows {
        let tenant = tenants.entry(&flow.tenant_id).or_insert((f64::from(flow.tenant_weight), 0.0, 0.0));
        tenant.1 += f64::from(flow.weight);
        tenant.2 += 1.0;
    }
    let (all, count): (f64, f64) = (tenants.values().map(|tenant| tenant.0).sum(), tenants.len() as f64);
    let cap = if flows.len() > 1 { bounds.cap.max(0.5) } else { 1.0 };
    let asked: Vec<(f64, f64)> = flows
        .iter()
        .map(|flow| {
            let (tenant, projects, number) = tenants[flow.tenant_id.as_str()];
            let weighted = tenant / all * f64::from(flow.weight) / projects;
            (weighted, bounds.floor.min(1.0 / (count * number)))
        })
        .collect();
    let at = |scale: f64| asked.iter().map(move |(weighted, floor)| (weighted * scale).clamp(*floor, cap.max(*floor)));
    // The sum grows with the scale, from the sum of the floors, which is 1 at most, to that of the caps, which is not less.
    let (mut low, mut high) = (0.0, 1.0);
    if (at(1.0).sum::<f64>() - 1.0).abs() > 1e-9 {
        while at(high).sum::<f64>() < 1.0 && high < 1e12 {
            high *= 2.0;
        }
        for _ in 0..60 {
            let middle = f64::midpoint(low, high);
            if at(middle).sum::<f64>() < 1.0 { low = middle } else { high = middle }
        }
    }
    at(high).collect()
}

/// What a member of a level was leased, and under which share.
#[derive(Debug, Clone, Copy)]
struct Served<'a> {
    name: &'a str,
    share: f64,
    jobs: usize,
}

/// The tags of one level.
#[derive(Debug, Default)]
struct Level {
    /// From where the latest lease began.
    clock: f64,
    tags: HashMap<String, f64>,
}

impl Level {
    /// From where the next lease of a member begins.
    fn start(&self, name: &str, share: f64) -> f64 {
        self.tags.get(name).map_or(self.clock, |tag| tag.max(self.clock - BEHIND_MAX / share))
    }

    /// Each began where it stood before any of them was served.
    fn served(&mut self, members: &[Served<'_>]) {
        let served = members.iter().filter(|member| member.jobs > 0);
        let starts: Vec<_> = served.map(|member| (member, self.start(member.name, member.share))).collect();
        for (Served { name, share, jobs }, start) in starts {
            let tag = start + *jobs as f64 / share;
            self.clock = self.clock.max(tag - 1.0 / share);
            self.tags.insert((*name).to_owned(), tag);
        }
        if self.tags.len() > TAGS_MAX {
            let clock = self.clock;
            self.tags.retain(|_, tag| *tag > clock);
        }
    }
}

/// How many jobs each flow is to be given, and under which shares.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    pub jobs: Vec<usize>,
    shares: Vec<f64>,
}

impl Plan {
    pub fn total(&self) -> usize {
        self.jobs.iter().sum()
    }
}

/// The tags of every level, of what one instance has leased.
#[derive(Debug, Default)]
pub struct Clock {
    queues: Level,
    tenants: HashMap<Queue, Level>,
    projects: HashMap<(Queue, String), Level>,
}

/// A member of a level while a plan is made: where it stands, and what is below it.
struct Node<T> {
    tag: f64,
    share: f64,
    ready: usize,
    below: T,
}

impl<T> Node<T> {
    /// The next of them: who has something ready and the lowest tag.
    fn next(nodes: &mut [Self]) -> Option<&mut Self> {
        let open = nodes.iter_mut().filter(|node| node.ready > 0);
        let node = open.min_by(|one, other| one.tag.total_cmp(&other.tag))?;
        node.tag += 1.0 / node.share;
        node.ready -= 1;
        Some(node)
    }
}

impl Clock {
    /// Shares out up to `jobs_max` leases.
    pub fn plan(&self, flows: &[Flow], bounds: Bounds, jobs_max: usize) -> Plan {
        let mut by_queue: BTreeMap<Queue, BTreeMap<&str, Vec<usize>>> = BTreeMap::new();
        for (index, flow) in flows.iter().enumerate() {
            by_queue.entry(flow.queue).or_default().entry(&flow.tenant_id).or_default().push(index);
        }
        let mut plan = Plan { jobs: vec![0; flows.len()], shares: vec![0.0; flows.len()] };
        for tenants in by_queue.values() {
            let indices: Vec<usize> = tenants.values().flatten().copied().collect();
            let own: Vec<&Flow> = indices.iter().map(|index| &flows[*index]).collect();
            for (index, share) in indices.into_iter().zip(shares(&own, bounds)) {
                plan.shares[index] = share;
            }
        }
        let of_queue = 1.0 / by_queue.len().max(1) as f64;
        let mut queues: Vec<_> = by_queue
            .iter()
            .map(|(queue, tenants)| {
                let below: Vec<_> =
                    tenants.iter().map(|(tenant, own)| self.tenant_node(*queue, tenant, own, flows, &plan)).collect();
                let ready = below.iter().map(|tenant| tenant.ready).sum();
                Node { tag: self.queues.start(queue.as_str(), of_queue), share: of_queue, ready, below }
            })
            .collect();
        for _ in 0..jobs_max {
            let Some(queue) = Node::next(&mut queues) else { break };
            let tenant = Node::next(&mut queue.below).expect("as much is ready above as below");
            let project = Node::next(&mut tenant.below).expect("as much is ready above as below");
            plan.jobs[project.below] += 1;
        }
        plan
    }

    fn tenant_node(
        &self,
        queue: Queue,
        tenant: &str,
        own: &[usize],
        flows: &[Flow],
        plan: &Plan,
    ) -> Node<Vec<Node<usize>>> {
        let level = self.projects.get(&(queue, tenant.to_owned()));
        let below: Vec<_> = own
            .iter()
            .map(|index| {
                let (flow, share) = (&flows[*index], plan.shares[*index]);
                let tag = level.map_or(0.0, |level| level.start(&flow.project_id, share));
                Node { tag, share, ready: flow.ready, below: *index }
            })
            .collect();
        let share = below.iter().map(|project| project.share).sum();
        let tag = self.tenants.get(&queue).map_or(0.0, |level| level.start(tenant, share));
        Node { tag, share, ready: below.iter().map(|project| project.ready).sum(), below }
    }

    /// Notes what came of a plan: how many jobs of each of its flows were leased.
    pub fn served(&mut self, flows: &[Flow], plan: &Plan, leased: &[usize]) {
        let mut projects: BTreeMap<(Queue, &str), Vec<Served<'_>>> = BTreeMap::new();
        for ((flow, share), jobs) in flows.iter().zip(&plan.shares).zip(leased) {
            let own = projects.entry((flow.queue, &flow.tenant_id)).or_default();
            own.push(Served { name: &flow.project_id, share: *share, jobs: *jobs });
        }
        let mut tenants: BTreeMap<Queue, Vec<Served<'_>>> = BTreeMap::new();
        for ((queue, name), own) in &projects {
            let (share, jobs) = (own.iter().map(|own| own.share).sum(), own.iter().map(|own| own.jobs).sum());
            tenants.entry(*queue).or_default().push(Served { name, share, jobs });
            if jobs > 0 {
                self.projects.entry((*queue, (*name).to_owned())).or_default().served(own);
            }
        }
        let share = 1.0 / tenants.len().max(1) as f64;
        let mut queues = Vec::new();
        for (queue, own) in &tenants {
            self.tenants.entry(*queue).or_default().served(own);
            queues.push(Served { name: queue.as_str(), share, jobs: own.iter().map(|own| own.jobs).sum() });
        }
        self.queues.served(&queues);
        if self.projects.len() > TAGS_MAX {
            self.projects.retain(|(queue, tenant), _| projects.contains_key(&(*queue, tenant.as_str())));
        }
    }
}

#[cfg(test)]
mod tests;
