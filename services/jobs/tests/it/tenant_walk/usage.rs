//! Steps about usage and budgets.

use std::collections::BTreeMap;

use anyhow::Result;
use pb::BudgetScope;
use pb::record_usage_result::Outcome;

use super::side::{By, Side};
use super::{Walk, Who};
use crate::support::*;

impl Walk {
    /// Usage of a job that is its own; of the other's, and of nobody's, there is none to record.
    pub async fn record_usage(&mut self, own: Who) -> Result<()> {
        const METHOD: &str = "UsageService.RecordUsage";
        let (job_id, others, nobodys) = self.job_ids(own);
        let Some(job_id) = job_id else { return Ok(()) };
        // Both tenants report under the same keys, with different amounts.
        let tokens = 10 + own as i64;
        let number = self.sides[own].model.job(&job_id).used.len();
        let report =
            |job_id: String| pb::Usage { idempotency_key: format!("call-{number}"), ..usage(&job_id, tokens, 1) };
        let request = reports([Some(job_id.clone()), others, Some(nobodys)].into_iter().flatten().map(report));
        let answer =
            self.call::<pb::RecordUsageResponse>(own, By::Memory, METHOD, &request).await.expect("each by itself");
        let mut outcomes = answer.results.into_iter().map(|result| result.outcome.expect("an outcome"));
        let Some(Outcome::Recorded(recorded)) = outcomes.next() else { panic!("its own job") };
        assert!(!recorded.replayed);
        for foreign in outcomes {
            let Outcome::Error(status) = foreign else { panic!("a job of the other tenant: {foreign:?}") };
            refused_item(&status, Reason::Job404NotFound);
        }
        self.sides[own].model.job(&job_id).used.push(tokens);
        let of_tenant = recorded.budgets.iter().find(|budget| budget.scope() == BudgetScope::Tenant);
        let used = of_tenant.and_then(|budget| budget.tokens).map(|tokens| tokens.used);
        assert_eq!(used, Some(self.sides[own].model.jobs.values().flat_map(|job| &job.used).sum()));
        Ok(())
    }

    pub async fn get_budget(&mut self, own: Who) -> Result<()> {
        const METHOD: &str = "UsageService.GetBudget";
        let (others, nobodys) = self.foreign_tenants(own);
        let of_tenant = |tenant_id| pb::GetBudgetRequest { tenant_id, ..budget(BudgetScope::Tenant, "") };
        let reason = self.refused_alike(own, By::Alice, METHOD, (of_tenant(others), of_tenant(nobodys))).await;
        assert_eq!(reason, Reason::Auth403Scope);
        let (job_id, others, nobodys) = self.job_ids(own);
        if let Some(others) = others {
            let requests = (budget(BudgetScope::Job, &others), budget(BudgetScope::Job, &nobodys));
            let reason = self.refused_alike(own, By::Alice, METHOD, requests).await;
            assert_eq!(reason, Reason::Job404NotFound);
        }
        let Some(job_id) = job_id else { return Ok(()) };
        let request = budget(BudgetScope::Job, &job_id);
        let answer = self.call::<pb::GetBudgetResponse>(own, By::Alice, METHOD, &request).await.expect("its own");
        let used = answer.budget.and_then(|budget| budget.tokens).map(|tokens| tokens.used);
        assert_eq!(used, Some(self.sides[own].model.job(&job_id).used.iter().sum()));
        Ok(())
    }

    pub async fn check_usage(&self, side: &Side) -> Result<()> {
        let used: Vec<(String, i64)> = self
            .rows(
                side,
                "SELECT job_id::text, input_tokens FROM jobs.model_usage WHERE tenant_id = $1 \
                 ORDER BY job_id, length(idempotency_key), idempotency_key",
            )
            .await?;
        let jobs = side.model.jobs.iter();
        let expected = jobs.flat_map(|(job_id, job)| job.used.iter().map(move |tokens| (job_id.clone(), *tokens)));
        assert_eq!(used, expected.collect::<Vec<_>>());
        let (mut of_jobs, mut of_scopes) = (Vec::new(), BTreeMap::<(String, String), i64>::new());
        for (job_id, job) in side.model.jobs.iter().filter(|(_, job)| !job.used.is_empty()) {
            let tokens: i64 = job.used.iter().sum();
            of_jobs.push((job_id.clone(), tokens, tokens_cost(job.used.len())));
            let (project, user, tenant) = (job.key.project.clone(), job.key.actor.clone(), side.tenant.to_string());
            for (scope, id) in [("project", project), ("user", user), ("tenant", tenant)] {
                *of_scopes.entry((scope.to_owned(), id)).or_default() += tokens;
            }
        }
        let counted: Vec<(String, i64, i64)> = self
            .rows(
                side,
                "SELECT job_id::text, tokens, cost_micro_usd FROM jobs.job_usage WHERE tenant_id = $1 ORDER BY job_id",
            )
            .await?;
        assert_eq!(counted, of_jobs);
        // Midnight may have passed meanwhile: the sums over the periods are the model's.
        let counted: Vec<(String, String, i64)> = self
            .rows(
                side,
                "SELECT scope, scope_id, sum(tokens)::int8 FROM jobs.budget_usage WHERE tenant_id = $1 \
                 GROUP BY scope, scope_id ORDER BY scope, scope_id",
            )
            .await?;
        let expected: Vec<_> = of_scopes.into_iter().map(|((scope, id), tokens)| (scope, id, tokens)).collect();
        assert_eq!(counted, expected);
        Ok(())
    }
}

/// Each report of the walk costs one.
fn tokens_cost(reports: usize) -> i64 {
    reports as i64
}
