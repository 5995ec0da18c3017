//! Steps of JobService.

use anyhow::Result;
use pb::JobState;
use pb::batch_submit_jobs_result::Outcome;
use rand::Rng as _;
use uuid::Uuid;

use super::model::{Key, Submission};
use super::side::{By, INTENTS, PROJECTS};
use super::{Walk, Who};
use crate::support::*;

impl Walk {
    pub fn key(&mut self, own: Who, by: By) -> Key {
        Key {
            project: self.one_of(&PROJECTS).expect("a project").to_owned(),
            intent: self.one_of(&INTENTS).expect("an intent").to_owned(),
            actor: by.actor().to_owned(),
            name: self.key_name(own),
        }
    }

    fn submission(&mut self, own: Who, by: By) -> (Key, String, pb::SubmitJobRequest) {
        let (key, variant) = (self.key(own, by), self.rng.random_range(0..2));
        let payload = self.sides[own].content(variant);
        let request = job().project(&key.project).intent(&key.intent).key(&key.name).payload(json(&payload));
        (key, payload, request.priority(variant))
    }

    /// Holds the answer to one submission against the model, and notes it.
    fn submitted(
        &mut self,
        own: Who,
        key: Key,
        payload: String,
        answer: Result<&pb::SubmitJobResponse, Option<Reason>>,
    ) {
        let model = &mut self.sides[own].model;
        match (model.submission(&key, &payload), answer) {
            (Submission::New, Ok(answer)) => {
                assert!(!answer.replayed && answer.generation == 1, "{answer:?}");
                model.submitted(key, payload, &answer.job_id);
            }
            (Submission::Replay { job_id }, Ok(answer)) => {
                assert!(answer.replayed && answer.job_id == job_id, "{answer:?}");
                assert_eq!(answer.state(), model.job(&job_id).state());
            }
            (Submission::Conflict, Err(Some(Reason::Job409IdempotencyConflict))) => {}
            (expected, answer) => panic!("{key:?} {payload}: {expected:?} became {answer:?}"),
        }
    }

    pub async fn submit(&mut self, own: Who) -> Result<()> {
        let by = self.one_of(&[By::Alice, By::Memory]).expect("a caller");
        let (key, payload, request) = self.submission(own, by);
        if self.chance(0.15) {
            let (others, nobodys) = self.foreign_tenants(own);
            let named = |tenant_id| pb::SubmitJobRequest { tenant_id, ..request.clone() };
            let reason = self.refused_alike(own, by, "JobService.SubmitJob", (named(others), named(nobodys))).await;
            assert_eq!(reason, Reason::Auth403Scope);
        }
        if let (_, Some(others), nobodys) = self.job_ids(own) {
            let unused = fresh_key();
            let after = |job_id| {
                let on = Some(pb::dependency::On::JobId(job_id));
                let dependencies = vec![pb::Dependency { on, on_failure: pb::OnFailure::Run.into() }];
                // A key that has a job would be told of before what it names.
                pb::SubmitJobRequest { dependencies, idempotency_key: unused.clone(), ..request.clone() }
            };
            let reason = self.refused_alike(own, by, "JobService.SubmitJob", (after(others), after(nobodys))).await;
            assert_eq!(reason, Reason::Job404NotFound);
        }
        let answer = self.call::<pb::SubmitJobResponse>(own, by, "JobService.SubmitJob", &request).await;
        self.submitted(own, key, payload, answer.as_ref().map_err(|refusal| refusal.reason));
        Ok(())
    }

    /// Up to four, and one for the tenant that the caller has no business with.
    pub async fn submit_batch(&mut self, own: Who) -> Result<()> {
        let by = self.one_of(&[By::Alice, By::Memory]).expect("a caller");
        let items: Vec<_> = (0..self.rng.random_range(1..=4)).map(|_| self.submission(own, by)).collect();
        let (others, _) = self.foreign_tenants(own);
        let (_, _, foreign) = self.submission(own, by);
        let foreign = pb::SubmitJobRequest { tenant_id: others, ..foreign };
        let request = batch(items.iter().map(|(_, _, request)| request.clone()).chain([foreign]));
        let answer = self.call::<pb::BatchSubmitJobsResponse>(own, by, "JobService.BatchSubmitJobs", &request).await;
        let mut outcomes = answer.expect("a batch is answered").results.into_iter().filter_map(|result| result.outcome);
        for (key, payload, _) in items {
            match outcomes.next().expect("one an item") {
                Outcome::Job(answer) => self.submitted(own, key, payload, Ok(&answer)),
                Outcome::Error(status) => {
                    let reason = holdfast_fault::Received::from_rpc(&status).reason;
                    self.submitted(own, key, payload, Err(reason));
                }
            }
        }
        match outcomes.next() {
            Some(Outcome::Error(status)) => drop(refused_item(&status, Reason::Auth403Scope)),
            other => panic!("submitted for the other: {other:?}"),
        }
        Ok(())
    }

    /// One job of this tenant, one of the other, and an id that is nobody's.
    pub fn job_ids(&mut self, own: Who) -> (Option<String>, Option<String>, String) {
        let (own_ids, others) = (self.sides[own].model.ids(), self.other(own).model.ids());
        (self.one_of(&own_ids), self.one_of(&others), Uuid::now_v7().to_string())
    }

    pub async fn get(&mut self, own: Who) -> Result<()> {
        let (job_id, others, nobodys) = self.job_ids(own);
        let get = |job_id| pb::GetJobRequest { job_id };
        if let Some(others) = others {
            let reason = self.refused_alike(own, By::Alice, "JobService.GetJob", (get(others), get(nobodys))).await;
            assert_eq!(reason, Reason::Job404NotFound);
        }
        if let Some(job_id) = job_id {
            let answer =
                self.call::<pb::GetJobResponse>(own, By::Alice, "JobService.GetJob", &get(job_id.clone())).await;
            let seen = answer.expect("its own").job.expect("a job");
            let Self { sides, .. } = self;
            assert_eq!(seen.tenant_id, sides[own].tenant.as_str());
            let job = sides[own].model.job(&job_id);
            assert_eq!((seen.state(), seen.seq, seen.attempt), (job.state(), job.states.len() as i64, job.attempt));
            assert_eq!(seen.payload, Some(json(&job.payload)));
            assert_eq!(seen.result, job.result.as_deref().map(json));
        }
        Ok(())
    }

    pub async fn list(&mut self, own: Who) -> Result<()> {
        let project = self.one_of(&PROJECTS).expect("a project");
        let base =
            pb::ListJobsRequest { project_id: project.to_owned(), page_size: self.rng.random_range(1..=20), ..list() };
        let (others, nobodys) = self.foreign_tenants(own);
        let of_tenant = |tenant_id| pb::ListJobsRequest { tenant_id, ..base.clone() };
        let reason =
            self.refused_alike(own, By::Alice, "JobService.ListJobs", (of_tenant(others), of_tenant(nobodys))).await;
        assert_eq!(reason, Reason::Auth403Scope);
        if let Some(others) = self.other(own).jobs_token.clone() {
            let page = |page_token| pb::ListJobsRequest { page_token, ..base.clone() };
            let nobodys = format!("00000000{}", Uuid::now_v7().simple());
            let reason = self.refused_alike(own, By::Alice, "JobService.ListJobs", (page(others), page(nobodys))).await;
            assert_eq!(reason, Reason::Req400InvalidSchema);
        }
        let (mut request, mut seen) = (base, Vec::new());
        loop {
            let answer = self.call::<pb::ListJobsResponse>(own, By::Alice, "JobService.ListJobs", &request).await;
            let page = answer.expect("its own");
            seen.extend(page.jobs.iter().map(|job| (job.job_id.clone(), job.state())));
            if page.next_page_token.is_empty() {
                break;
            }
            self.sides[own].jobs_token = Some(page.next_page_token.clone());
            request.page_token = page.next_page_token;
        }
        let model = &self.sides[own].model;
        let of_project = model.jobs.iter().rev().filter(|(_, job)| job.key.project == project);
        let expected: Vec<_> = of_project.map(|(job_id, job)| (job_id.clone(), job.state())).collect();
        assert_eq!(seen, expected, "newest first, and no others");
        Ok(())
    }

    pub async fn history(&mut self, own: Who) -> Result<()> {
        let (job_id, others, nobodys) = self.job_ids(own);
        let of = |job_id| pb::ListJobEventsRequest { job_id, page_size: 2, ..Default::default() };
        if let Some(others) = others {
            let requests = (of(others), of(nobodys));
            let reason = self.refused_alike(own, By::Alice, "JobService.ListJobEvents", requests).await;
            assert_eq!(reason, Reason::Job404NotFound);
        }
        let Some(job_id) = job_id else { return Ok(()) };
        let page = |page_token| pb::ListJobEventsRequest { page_token, ..of(job_id.clone()) };
        if let Some(others) = self.other(own).events_token.clone() {
            let requests = (page(others), page("00000000.2".to_owned()));
            let reason = self.refused_alike(own, By::Alice, "JobService.ListJobEvents", requests).await;
            assert_eq!(reason, Reason::Req400InvalidSchema);
        }
        let (mut request, mut states) = (page(String::new()), Vec::new());
        loop {
            let answer =
                self.call::<pb::ListJobEventsResponse>(own, By::Alice, "JobService.ListJobEvents", &request).await;
            let events = answer.expect("its own");
            states.extend(events.events.iter().map(pb::JobEvent::to_state));
            if events.next_page_token.is_empty() {
                break;
            }
            self.sides[own].events_token = Some(events.next_page_token.clone());
            request.page_token = events.next_page_token;
        }
        assert_eq!(states, self.sides[own].model.job(&job_id).states);
        Ok(())
    }

    /// All of a job from its start, and all of the project since this side last looked: neither of it the other's.
    pub async fn watch(&mut self, own: Who) -> Result<()> {
        const WATCH: &str = "JobService.WatchJobs";
        let (job_id, others, nobodys) = self.job_ids(own);
        let of = |job_id: String| pb::WatchJobsRequest { from_start: true, catch_up_only: true, ..watch_job(&job_id) };
        if let Some(others) = others {
            let reason = self.refused_alike(own, By::Alice, WATCH, (of(others), of(nobodys))).await;
            assert_eq!(reason, Reason::Job404NotFound);
        }
        let (others, nobodys) = self.foreign_tenants(own);
        let project = self.one_of(&PROJECTS).expect("a project").to_owned();
        let in_tenant = |tenant_id| {
            let project = pb::WatchedProject { tenant_id, project_id: project.clone() };
            let scope = Some(pb::watch_jobs_request::Scope::Project(project));
            pb::WatchJobsRequest { scope, catch_up_only: true, ..Default::default() }
        };
        let reason = self.refused_alike(own, By::Alice, WATCH, (in_tenant(others), in_tenant(nobodys))).await;
        assert_eq!(reason, Reason::Auth403Scope);
        // No relay runs here: everything waits, and so comes again with every resumption.
        let mine = |resume_token| pb::WatchJobsRequest { resume_token, ..in_tenant(String::new()) };
        let begun =
            self.call::<pb::WatchJobsResponse>(own, By::Alice, WATCH, &mine(String::new())).await.expect("its own");
        assert!(begun.events.is_empty(), "a watch begins now");
        let all = self
            .call::<pb::WatchJobsResponse>(own, By::Alice, WATCH, &mine(begun.resume_token))
            .await
            .expect("its own");
        for event in &all.events {
            assert_eq!(self.sides[own].model.job(&event.job_id).states[event.seq as usize - 1], event.to_state());
        }
        let Some(job_id) = job_id else { return Ok(()) };
        let seen =
            self.call::<pb::WatchJobsResponse>(own, By::Alice, WATCH, &of(job_id.clone())).await.expect("its own");
        let states: Vec<_> = seen.events.iter().map(pb::JobEvent::to_state).collect();
        assert_eq!(states, self.sides[own].model.job(&job_id).states);
        Ok(())
    }

    pub async fn cancel(&mut self, own: Who) -> Result<()> {
        let (job_id, others, nobodys) = self.job_ids(own);
        let key = format!("cancel-{}", self.rng.random_range(0..2));
        let reason = format!("not needed by {}", self.sides[own].tenant);
        let cancel = |job_id| pb::CancelJobRequest { job_id, reason: reason.clone(), idempotency_key: key.clone() };
        if let Some(others) = others {
            let requests = (cancel(others), cancel(nobodys));
            let reason = self.refused_alike(own, By::Alice, "JobService.CancelJob", requests).await;
            assert_eq!(reason, Reason::Job404NotFound);
        }
        let Some(job_id) = job_id else { return Ok(()) };
        let answer =
            self.call::<pb::CancelJobResponse>(own, By::Alice, "JobService.CancelJob", &cancel(job_id.clone())).await;
        let job = self.sides[own].model.job(&job_id);
        match answer {
            Ok(answer) if answer.replayed => assert_eq!(job.cancelled_under.as_ref(), Some(&key)),
            Ok(_) => {
                assert!(!job.is_final(), "a final state never changes");
                job.states.push(JobState::Cancelled);
                job.cancelled_under = Some(key);
            }
            Err(refusal) => {
                assert_eq!(refusal.reason, Some(Reason::Job409AlreadyTerminal), "{refusal:?}");
                assert!(job.is_final() && job.cancelled_under.as_ref() != Some(&key), "{refusal:?}");
            }
        }
        Ok(())
    }
}
