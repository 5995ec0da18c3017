//! Steps of IdempotencyService.

use anyhow::Result;
use pb::reserve_key_response::Outcome;
use rand::Rng as _;

use super::model::{Key, Use};
use super::side::By;
use super::{Walk, Who};
use crate::support::*;

const HOUR: prost_types::Duration = prost_types::Duration { seconds: 3600, nanos: 0 };

fn scope(key: &Key, tenant_id: String) -> Option<pb::KeyScope> {
    Some(pb::KeyScope {
        tenant_id,
        project_id: key.project.clone(),
        intent: key.intent.clone(),
        idempotency_key: key.name.clone(),
    })
}

fn within_token(key: &Key) -> Option<pb::KeyScope> {
    scope(key, String::new())
}

impl Walk {
    /// A key of the other's service alone, and one of nobody.
    fn foreign_keys(&mut self, own: Who) -> Option<(Key, Key)> {
        let own_keys = &self.sides[own].model.keys;
        let of_service = self.other(own).model.keys.keys().filter(|key| key.actor == By::Memory.actor());
        let others: Vec<Key> = of_service.filter(|key| !own_keys.contains_key(key)).cloned().collect();
        let others = self.one_of(&others)?;
        let nobodys = Key { name: fresh_key(), ..others.clone() };
        Some((others, nobodys))
    }

    pub async fn reserve(&mut self, own: Who) -> Result<()> {
        const METHOD: &str = "IdempotencyService.ReserveKey";
        let (key, variant) = (self.key(own, By::Memory), self.rng.random_range(0..2));
        let content = self.sides[own].content(variant);
        let request = |scope| pb::ReserveKeyRequest {
            scope,
            request: content.clone().into_bytes(),
            lease: Some(HOUR),
            ..Default::default()
        };
        let (others, nobodys) = self.foreign_tenants(own);
        let requests = (request(scope(&key, others)), request(scope(&key, nobodys)));
        assert_eq!(self.refused_alike(own, By::Memory, METHOD, requests).await, Reason::Auth403Scope);

        if let Some(Use::Reserved { token, request: known }) = self.sides[own].model.keys.get(&key).cloned()
            && known == content
            && self.chance(0.5)
        {
            self.run_out(own, &key).await?;
            let again = request(within_token(&key));
            let answer = self.call::<pb::ReserveKeyResponse>(own, By::Memory, METHOD, &again).await;
            let Ok(Some(Outcome::Granted(granted))) = answer.map(|answer| answer.outcome) else {
                panic!("{key:?} had run out");
            };
            assert_eq!((granted.token, granted.earlier_outcome_unknown), (token + 1, true));
            self.sides[own].model.keys.insert(key, Use::Reserved { token: granted.token, request: known });
            return Ok(());
        }
        let answer = self.call::<pb::ReserveKeyResponse>(own, By::Memory, METHOD, &request(within_token(&key))).await;
        let model = &mut self.sides[own].model;
        match (model.keys.get(&key), answer.map(|answer| answer.outcome.expect("an outcome"))) {
            (None, Ok(Outcome::Granted(granted))) => {
                assert_eq!((granted.token, granted.earlier_outcome_unknown), (1, false));
                model.keys.insert(key, Use::Reserved { token: granted.token, request: content });
            }
            (Some(Use::Reserved { request, .. }), Ok(Outcome::InProgress(_))) => assert_eq!(*request, content),
            (Some(Use::Completed { request, outcome, .. }), Ok(Outcome::Completed(completed))) => {
                assert_eq!((request, outcome.as_bytes()), (&content, completed.outcome.as_slice()));
            }
            (Some(known), Err(refusal)) => {
                assert_eq!(refusal.reason, Some(Reason::Job409IdempotencyConflict));
                let same = matches!(known, Use::Reserved { request, .. } | Use::Completed { request, .. } if *request == content);
                assert!(!same, "{known:?}");
            }
            (known, answer) => panic!("{key:?} {known:?} became {answer:?}"),
        }
        Ok(())
    }

    /// As if the reservation had run out, so that tokens come to differ between the tenants.
    async fn run_out(&mut self, own: Who, key: &Key) -> Result<()> {
        let statement = "UPDATE jobs.idempotency_heads SET lease_expires_at = clock_timestamp() \
             WHERE tenant_id = $1 AND project_id = $2 AND intent = $3 AND actor_id = $4 AND idempotency_key = $5";
        let query = sqlx::query(statement).bind(self.sides[own].tenant.as_str()).bind(&key.project).bind(&key.intent);
        let done = query.bind(&key.actor).bind(&key.name).execute(self.world.db.admin()).await?;
        anyhow::ensure!(done.rows_affected() == 1, "{key:?} is not there");
        Ok(())
    }

    pub async fn complete_key(&mut self, own: Who) -> Result<()> {
        const METHOD: &str = "IdempotencyService.CompleteKey";
        let outcome = self.sides[own].content(7);
        let request = |key: &Key, token: u64| pb::CompleteKeyRequest {
            scope: within_token(key),
            token,
            outcome: outcome.clone().into_bytes(),
            ..Default::default()
        };
        let token_of = |known: &Use| match known {
            Use::Reserved { token, .. } | Use::Completed { token, .. } => Some(*token),
            Use::Job { .. } => None,
        };
        if let Some((others, nobodys)) = self.foreign_keys(own) {
            let token = token_of(&self.other(own).model.keys[&others]).unwrap_or(1);
            let requests = (request(&others, token), request(&nobodys, token));
            let reason = self.refused_alike(own, By::Memory, METHOD, requests).await;
            assert_eq!(reason, Reason::Idempotency404NotFound);
        }
        let of_service = self.sides[own].model.keys.iter().filter(|(key, _)| key.actor == By::Memory.actor());
        let keys: Vec<_> = of_service.filter_map(|(key, known)| Some((key.clone(), token_of(known)?))).collect();
        let Some((key, token)) = self.one_of(&keys) else { return Ok(()) };
        // The other may hold the same key under another token, which is worth nothing here.
        let others = self.other(own).model.keys.get(&key).and_then(token_of);
        if let Some(others) = others.filter(|others| *others != token) {
            let requests = (request(&key, others), request(&key, u64::from(u32::MAX)));
            let reason = self.refused_alike(own, By::Memory, METHOD, requests).await;
            assert_eq!(reason, Reason::Idempotency409StaleToken);
        }
        let answer = self.call::<pb::CompleteKeyResponse>(own, By::Memory, METHOD, &request(&key, token)).await;
        let replayed = answer.expect("its own token").replayed;
        let known = self.sides[own].model.keys.get_mut(&key).expect("its own key");
        assert_eq!(replayed, matches!(known, Use::Completed { .. }));
        if let Use::Reserved { request, .. } = known {
            *known = Use::Completed { token, request: std::mem::take(request), outcome };
        }
        Ok(())
    }

    pub async fn get_key(&mut self, own: Who) -> Result<()> {
        const METHOD: &str = "IdempotencyService.GetKey";
        let request = |key: &Key| pb::GetKeyRequest { scope: within_token(key) };
        if let Some((others, nobodys)) = self.foreign_keys(own) {
            let requests = (request(&others), request(&nobodys));
            let reason = self.refused_alike(own, By::Memory, METHOD, requests).await;
            assert_eq!(reason, Reason::Idempotency404NotFound);
        }
        let of_service = self.sides[own].model.keys.iter().filter(|(key, _)| key.actor == By::Memory.actor());
        let keys: Vec<_> = of_service.map(|(key, known)| (key.clone(), known.clone())).collect();
        let Some((key, known)) = self.one_of(&keys) else { return Ok(()) };
        let (others, nobodys) = self.foreign_tenants(own);
        let named = |tenant_id| pb::GetKeyRequest { scope: scope(&key, tenant_id) };
        let reason = self.refused_alike(own, By::Memory, METHOD, (named(others), named(nobodys))).await;
        assert_eq!(reason, Reason::Auth403Scope);
        let answer = self.call::<pb::GetKeyResponse>(own, By::Memory, METHOD, &request(&key)).await.expect("its own");
        let (state, job_id, outcome) = match known {
            Use::Job { job_id } => (pb::KeyState::Completed, job_id, String::new()),
            Use::Reserved { .. } => (pb::KeyState::Reserved, String::new(), String::new()),
            Use::Completed { outcome, .. } => (pb::KeyState::Completed, String::new(), outcome),
        };
        assert_eq!((answer.state(), answer.job_id, answer.outcome), (state, job_id, outcome.into_bytes()));
        assert_eq!(answer.generation, 1);
        Ok(())
    }
}
