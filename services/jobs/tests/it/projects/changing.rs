//! Versions, roles, the history and the event.

use anyhow::Result;
use futures::future::join_all;
use holdfast_caller::Role;
use holdfast_caller::issuer::TokenSpec;
use holdfast_ids::ProjectId;
use holdfast_proto::events::v1::ProjectSettingsChanged;

use crate::support::*;

fn get(project: &str) -> pb::GetProjectRequest {
    pb::GetProjectRequest { project_id: project.to_owned(), ..Default::default() }
}

fn weight(weight: i32) -> pb::ProjectSettings {
    pb::ProjectSettings { weight, ..Default::default() }
}

#[test]
fn a_project_without_settings_goes_by_configuration() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let alice = world.user("alice", &tenant());
        let project = alice.get_project(get("nobodys")).await?.project.expect("a project");
        assert_eq!((project.version, project.settings, project.updated_at), (0, Some(Default::default()), None));
        let in_force = project.in_force.expect("what holds");
        assert_eq!((in_force.running_max, in_force.weight), (1000, 100));
        assert_eq!((in_force.queue_soft, in_force.queue_hard), (2000, 5000));
        assert!(alice.list_projects(Default::default()).await?.projects.is_empty(), "looking at it made it");
        Ok(())
    })
}

#[test]
fn a_change_is_made_over_the_version_that_was_read_and_once() -> Result<()> {
    run(async {
        let (world, tenant) = (World::shared().await?, tenant());
        let olga = world.owner("olga", &tenant);
        let first = olga.update_project(update(PROJECT, 0, weight(7))).await?;
        let made = first.project.expect("a project");
        assert_eq!((made.version, first.replayed, made.updated_by.as_str()), (1, false, "olga"));
        assert_eq!(made.settings, Some(weight(7)));

        // The answer was lost: the very call is answered with what it did.
        let again = olga.update_project(update(PROJECT, 0, weight(7))).await?;
        assert_eq!((again.project.map(|project| project.version), again.replayed), (Some(1), true));
        // Another wish over the same version is not.
        let refusal =
            refused(olga.update_project(update(PROJECT, 0, weight(8))).await, Reason::Project409VersionConflict);
        assert_eq!(refusal.metadata.get("version").map(String::as_str), Some("1"));
        refused(olga.update_project(update(PROJECT, 2, weight(8))).await, Reason::Project409VersionConflict);

        let second =
            olga.update_project(update(PROJECT, 1, pb::ProjectSettings { running_max: 3, ..weight(7) })).await?;
        assert_eq!(second.project.map(|project| project.version), Some(2));
        refused(olga.update_project(update(PROJECT, 0, weight(7))).await, Reason::Project409VersionConflict);
        let seen = olga.get_project(get(PROJECT)).await?.project.expect("a project");
        assert_eq!(seen.in_force.map(|in_force| (in_force.running_max, in_force.weight)), Some((3, 7)));

        let history: Vec<(i64, String, String, Option<i32>)> = sqlx::query_as(
            "SELECT version, actor_id, role, (settings->>'running_max')::int4 FROM jobs.project_changes \
             WHERE tenant_id = $1 ORDER BY version",
        )
        .bind(tenant.as_str())
        .fetch_all(world.db.admin())
        .await?;
        let by = |version, running_max| (version, "olga".to_owned(), "owner".to_owned(), running_max);
        assert_eq!(history, [by(1, None), by(2, Some(3))]);
        let events: Vec<(i64, String, Vec<u8>)> = sqlx::query_as(
            "SELECT key_seq, event_name, event_payload FROM jobs.outbox WHERE ordering_key = $1 ORDER BY position",
        )
        .bind(format!("project:{tenant}/{PROJECT}"))
        .fetch_all(world.db.admin())
        .await?;
        assert_eq!(events.len(), 2);
        for ((key_seq, name, payload), (version, changed)) in
            events.into_iter().zip([(1, "weight"), (2, "running_max")])
        {
            assert_eq!((key_seq, name.as_str()), (version, "project.settings_changed"));
            let envelope = holdfast_events::decode(&payload)?;
            assert_eq!((envelope.actor_id.as_str(), envelope.key_seq), ("olga", version as u64));
            let said: ProjectSettingsChanged = holdfast_events::unpack(&envelope)?;
            assert_eq!((said.version, said.changed), (version as u64, vec![changed.to_owned()]));
        }
        Ok(())
    })
}

#[test]
fn of_changes_at_once_one_is_made_over_each_version() -> Result<()> {
    run(async {
        let world = World::with(Settings::default()).await?;
        let (other, tenant) = (world.another_instance().await?, tenant());
        let olga = world.owner("olga", &tenant);
        let apis = [olga.clone(), olga.over(&other)];
        for version in 0..5 {
            let calls = (0..12_usize).map(|number| {
                let request = update(PROJECT, version, weight(100 * (version as i32 + 1) + number as i32));
                let api = apis[number % 2].clone();
                async move { api.update_project(request).await }
            });
            let outcomes = join_all(calls).await;
            assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "{outcomes:?}");
            for outcome in outcomes.into_iter().filter(Result::is_err) {
                refused(outcome, Reason::Project409VersionConflict);
            }
        }
        let versions: Vec<i64> = sqlx::query_scalar("SELECT version FROM jobs.project_changes ORDER BY version")
            .fetch_all(world.db.admin())
            .await?;
        assert_eq!(versions, [1, 2, 3, 4, 5]);
        Ok(())
    })
}

#[test]
fn an_admin_sets_limits_and_an_owner_rules() -> Result<()> {
    run(async {
        let (world, tenant) = (World::shared().await?, tenant());
        let adam = world.caller(TokenSpec::user(actor("adam"), tenant.clone(), Role::Admin));
        adam.update_project(update(PROJECT, 0, weight(7))).await?;
        let ruled = policy(pb::IntentPolicy { intent: INTENT.to_owned(), max_attempts: 2, ..Default::default() });
        refused(adam.update_project(update(PROJECT, 1, ruled.clone())).await, Reason::Auth403Role);
        world.owner("olga", &tenant).update_project(update(PROJECT, 1, ruled.clone())).await?;
        // What the rules are stays as it is.
        adam.update_project(update(PROJECT, 2, pb::ProjectSettings { weight: 9, ..ruled })).await?;
        refused(adam.update_project(update(PROJECT, 3, weight(9))).await, Reason::Auth403Role);
        Ok(())
    })
}

#[test]
fn a_list_goes_on_by_name_and_holds_what_the_token_is_for() -> Result<()> {
    run(async {
        let (world, tenant) = (World::shared().await?, tenant());
        let olga = world.owner("olga", &tenant);
        for project in ["delta", "beta", "alpha"] {
            olga.update_project(update(project, 0, weight(7))).await?;
        }
        olga.submit_job(job().project("gamma")).await?;
        let (mut names, mut page_token) = (Vec::new(), String::new());
        loop {
            let page =
                olga.list_projects(pb::ListProjectsRequest { page_size: 3, page_token, ..Default::default() }).await?;
            names.extend(page.projects.into_iter().map(|project| (project.project_id, project.version)));
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        let expected = [("alpha", 1), ("beta", 1), ("delta", 1), ("gamma", 0)];
        assert_eq!(names, expected.map(|(name, version)| (name.to_owned(), version)));
        let some =
            world.caller(user("alice", &tenant).projects([ProjectId::parse("beta")?, ProjectId::parse("none")?]));
        let listed = some.list_projects(Default::default()).await?.projects;
        assert_eq!(listed.iter().map(|project| project.project_id.as_str()).collect::<Vec<_>>(), ["beta"]);
        refused(some.get_project(get("alpha")).await, Reason::Auth403Scope);
        Ok(())
    })
}

#[test]
fn settings_that_contradict_themselves_are_refused_by_their_field() -> Result<()> {
    run(async {
        let olga = World::shared().await?.owner("olga", &tenant());
        let twice = pb::IntentPolicy { intent: INTENT.to_owned(), ..Default::default() };
        for (settings, field) in [
            (pb::ProjectSettings { queue_soft: 3, queue_hard: 2, ..Default::default() }, "settings.queue_soft"),
            (
                pb::ProjectSettings { intents: vec![twice.clone(), twice], ..Default::default() },
                "settings.intents[1].intent",
            ),
        ] {
            let outcome = olga.update_project(update(PROJECT, 0, settings)).await;
            assert_eq!(fields(&refused(outcome, Reason::Req400InvalidSchema)), [field]);
        }
        Ok(())
    })
}
