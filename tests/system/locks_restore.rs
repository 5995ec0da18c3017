//! PostgreSQL restored from an older backup: what was granted since is forgotten, and yet no token comes a second time.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Result, ensure};
use holdfast_system_tests::{
    locks::{
        client::{Acquired, Ask, LocksClient},
        rig::{LEASE_TTL, LocksRig, LocksRigSpec},
    },
    proof::Proof,
};
use rand::rngs::StdRng;

const RESOURCES: usize = 5;
/// Of each resource before and after the backup: faster than any clock's step of a millisecond would have to allow for.
const GRANTS: usize = 25;
const WAIT: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn tokens_never_come_back() -> Result<()> {
    let proof = Proof::begin("locks-restore").await;
    let rig = LocksRig::start(LocksRigSpec { fsync: true, ..Default::default() }).await?;
    let (client, mut choices) = (rig.client()?, proof.choices(0));
    let mut tokens = Tokens::default();
    tokens.take(&client, "before", &mut choices).await?;
    let postgres = rig.stack.postgres();
    postgres.stop().await?;
    let backup = postgres.back_up()?;
    postgres.restart().await?;
    rig.stack.ready().await?;
    tokens.take(&client, "after", &mut choices).await?;
    // One that is held through the restoration, and of which the database then knows nothing.
    let lost = tokens.hold(&client, "lost", &mut choices).await?;
    postgres.stop().await?;
    postgres.restore(&backup)?;
    postgres.restart().await?;
    rig.stack.ready().await?;
    tokens.take(&client, "restored", &mut choices).await?;
    proof.counts(&[("tokens", tokens.taken), ("leases forgotten", lost), ("went back", tokens.violations.len())]);
    ensure!(lost == RESOURCES, "too little happened to prove anything");
    proof.conclude(tokens.violations);
    Ok(())
}

#[derive(Default)]
struct Tokens {
    highest: BTreeMap<String, u64>,
    taken: usize,
    violations: Vec<String>,
}

impl Tokens {
    async fn take(&mut self, client: &LocksClient, when: &str, choices: &mut StdRng) -> Result<()> {
        for (turn, resource) in (0..GRANTS).flat_map(|turn| (0..RESOURCES).map(move |resource| (turn, resource))) {
            self.grant(client, &format!("{when}.{turn}.{resource}"), resource, true, choices).await?;
        }
        Ok(())
    }

    async fn hold(&mut self, client: &LocksClient, when: &str, choices: &mut StdRng) -> Result<usize> {
        for resource in 0..RESOURCES {
            self.grant(client, &format!("{when}.{resource}"), resource, false, choices).await?;
        }
        Ok(RESOURCES)
    }

    async fn grant(
        &mut self,
        client: &LocksClient,
        owner: &str,
        resource: usize,
        releases: bool,
        choices: &mut StdRng,
    ) -> Result<()> {
        let key = format!("restored-{resource}");
        let (keys, owner) = (vec![key.clone()], owner.to_owned());
        let ask = Ask { keys, owner, ttl: LEASE_TTL, wait: WAIT, tries_max: 20 };
        let acquired = client.acquire(&ask, choices).await?;
        let Acquired::Held(held) = acquired else { anyhow::bail!("{ask:?} came to {acquired:?}") };
        let highest = self.highest.entry(key).or_default();
        if held.fences[0] <= *highest {
            self.violations.push(format!("token went back: {ask:?} was granted {} after {highest}", held.fences[0]));
        }
        *highest = held.fences[0].max(*highest);
        self.taken += 1;
        if releases {
            client.release(&held, 20, choices).await?;
        }
        Ok(())
    }
}
