//! Listing what is held and waited for, and the registry.

use anyhow::{Result, ensure};

use crate::asks::{Ask, look, release, resource};
use crate::support::*;

fn listing() -> pb::ListLocksRequest {
    pb::ListLocksRequest { project_id: "team".to_owned(), ..Default::default() }
}

fn names(response: &pb::ListLocksResponse) -> Vec<String> {
    let name = |lock: &pb::Lock| lock.resource.as_ref().map(|resource| format!("{}/{}", resource.class, resource.key));
    response.locks.iter().filter_map(name).collect()
}

#[test]
fn the_registry_is_listed_in_its_order() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let request = pb::ListLockClassesRequest {};
        let classes = world.service("agent", &tenant()).list_lock_classes(request).await?.classes;
        let names: Vec<_> = classes.iter().map(|class| class.name.as_str()).collect();
        assert_eq!(names, ["infrastructure", "budget", "project", "memory"]);
        assert!(classes.is_sorted_by_key(|class| class.rank));
        assert!(classes.iter().all(|class| !class.description.is_empty()));
        Ok(())
    })
}

#[test]
fn what_is_held_is_listed_in_the_order_of_the_registry_page_by_page() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let api = world.service("agent", &tenant());
        let of_all = [
            resource("infrastructure", "z"),
            resource("budget", "day"),
            resource("budget", "week"),
            resource("project", "a/b"),
            resource("memory", "a"),
        ];
        let lease = Ask::for_all(of_all.clone()).lease(&api).await?;
        let freed = Ask::for_one("freed").lease(&api).await?;
        release(&api, &freed).await?;
        let elsewhere = pb::Resource { project_id: "elsewhere".to_owned(), ..resource("project", "x") };
        Ask::for_all([elsewhere]).lease(&api).await?;
        let wanted: Vec<_> = of_all.iter().map(|resource| format!("{}/{}", resource.class, resource.key)).collect();
        let all = api.list_locks(listing()).await?;
        assert_eq!(names(&all), wanted);
        assert!(all.next_page_token.is_empty());
        for (lock, held) in all.locks.iter().zip(&lease.resources) {
            let holder = lock.holder.as_ref().expect("a holder");
            assert_eq!((&holder.lease_id, holder.fencing_token), (&lease.lease_id, held.fencing_token));
            assert!(!holder.reserved);
        }
        let (mut paged, mut page_token) = (Vec::new(), String::new());
        loop {
            let page = api.list_locks(pb::ListLocksRequest { page_size: 2, page_token, ..listing() }).await?;
            ensure!(page.locks.len() <= 2, "a page is no larger than asked for");
            paged.extend(names(&page));
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        assert_eq!(paged, wanted);
        Ok(())
    })
}

#[test]
fn a_page_token_is_of_its_listing_alone() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let api = world.service("agent", &tenant());
        Ask::for_one("one").lease(&api).await?;
        Ask::for_one("two").lease(&api).await?;
        let first = pb::ListLocksRequest { page_size: 1, ..listing() };
        let page_token = api.list_locks(first.clone()).await?.next_page_token;
        for other in [
            pb::ListLocksRequest { class: "project".to_owned(), ..first.clone() },
            pb::ListLocksRequest { owner: "o".to_owned(), ..first.clone() },
            pb::ListLocksRequest { actor_id: "agent".to_owned(), ..first.clone() },
            pb::ListLocksRequest { project_id: "elsewhere".to_owned(), ..first.clone() },
        ] {
            let request = pb::ListLocksRequest { page_token: page_token.clone(), ..other };
            assert_eq!(fields(&refused(api.list_locks(request).await, Reason::Req400InvalidSchema)), ["page_token"]);
        }
        let second = pb::ListLocksRequest { page_token, ..first };
        assert_eq!(names(&api.list_locks(second).await?), ["project/two"]);
        Ok(())
    })
}

#[test]
fn a_listing_is_of_a_class_a_holder_and_a_label() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let (one, other) = (world.service("one", &tenant), world.service("other", &tenant));
        Ask::for_all([resource("budget", "a"), resource("project", "a")]).owner("x").lease(&one).await?;
        Ask::for_all([resource("project", "b")]).owner("x").lease(&other).await?;
        Ask::for_all([resource("project", "c")]).owner("y").lease(&other).await?;
        for (class, owner, actor_id, wanted) in [
            ("project", "", "", vec!["project/a", "project/b", "project/c"]),
            ("", "x", "", vec!["budget/a", "project/a", "project/b"]),
            ("", "", "other", vec!["project/b", "project/c"]),
            ("project", "x", "one", vec!["project/a"]),
            ("memory", "", "", vec![]),
            ("", "z", "", vec![]),
        ] {
            let (class, owner, actor_id) = (class.to_owned(), owner.to_owned(), actor_id.to_owned());
            let found = one.list_locks(pb::ListLocksRequest { class, owner, actor_id, ..listing() }).await?;
            assert_eq!(names(&found), wanted);
        }
        Ok(())
    })
}

/// Of a request for several resources that waits for the second: the first is reserved, the second waited for, the third not touched.
#[test]
fn what_is_reserved_and_waited_for_is_listed_with_the_waiters() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let api = world.service("agent", &tenant());
        let held = Ask::for_all([resource("project", "b")]).owner("first").lease(&api).await?;
        let three = [resource("budget", "a"), resource("project", "b"), resource("memory", "c")];
        let ask = Ask::for_all(three).owner("second").wait_s(60);
        let waiter = api.clone();
        let waiting = tokio::spawn(async move { ask.lease(&waiter).await });
        let stands = || async {
            let count = look(&api, resource("project", "b")).await?.waiter_count;
            ensure!(count == 1, "{count} wait");
            anyhow::Ok(())
        };
        eventually(stands, SOON).await?;
        let all = api.list_locks(listing()).await?;
        assert_eq!(names(&all), ["budget/a", "project/b"]);
        let reserved = all.locks[0].holder.as_ref().expect("it is reserved");
        assert!(reserved.reserved && reserved.owner == "second" && reserved.fencing_token == 0);
        assert!(reserved.granted_at.is_none() && reserved.expires_at.is_none());
        let waiters = &all.locks[1].waiters;
        assert_eq!((waiters.len(), waiters[0].position, waiters[0].owner.as_str()), (1, 1, "second"));
        let of_second = pb::ListLocksRequest { owner: "second".to_owned(), ..listing() };
        assert_eq!(names(&api.list_locks(of_second).await?), ["budget/a"], "who only waits holds nothing");
        release(&api, &held).await?;
        waiting.await??;
        assert_eq!(names(&api.list_locks(listing()).await?), ["budget/a", "project/b", "memory/c"]);
        Ok(())
    })
}

#[test]
fn what_was_never_locked_is_free() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let lock = look(&world.service("agent", &tenant()), resource("project", "never")).await?;
        assert!(lock.holder.is_none() && lock.waiters.is_empty());
        assert_eq!((lock.fencing_token, lock.version, lock.waiter_count), (0, 0, 0));
        Ok(())
    })
}
