//! One leader, moving by expiry or release, on the database's clock.

use std::time::Duration;

use anyhow::Result;
use holdfast_pg::{
    TaskDb,
    leadership::{Epoch, TaskLease},
};
use holdfast_testkit::{Database, eventually};

const LONG: Duration = Duration::from_secs(3_600);

fn lease(db: &TaskDb, holder: &str, ttl: Duration) -> TaskLease {
    TaskLease::new(db.clone(), "jobs", "sweep", holder, ttl)
}

#[tokio::test]
async fn one_holds_and_the_other_does_not() -> Result<()> {
    let database = Database::create().await?;
    let db = database.task()?;
    let (first, second) = (lease(&db, "first", LONG), lease(&db, "second", LONG));
    assert_eq!(first.try_hold().await?, Some(Epoch(1)));
    assert_eq!(second.try_hold().await?, None);
    assert_eq!(first.try_hold().await?, Some(Epoch(1)), "a renewal is no change of hands");
    Ok(())
}

#[tokio::test]
async fn released_it_moves_at_once_and_the_epoch_grows() -> Result<()> {
    let database = Database::create().await?;
    let db = database.task()?;
    let (first, second) = (lease(&db, "first", LONG), lease(&db, "second", LONG));
    first.try_hold().await?;
    second.release().await?;
    assert_eq!(second.try_hold().await?, None, "only the holder releases");
    first.release().await?;
    assert_eq!(second.try_hold().await?, Some(Epoch(2)));
    assert_eq!(first.try_hold().await?, None);
    Ok(())
}

#[tokio::test]
async fn expired_it_moves_and_the_sleeper_finds_another() -> Result<()> {
    let database = Database::create().await?;
    let db = database.task()?;
    let (sleeper, next) = (lease(&db, "sleeper", Duration::from_millis(50)), lease(&db, "next", LONG));
    sleeper.try_hold().await?;
    let epoch = eventually(|| async { next.try_hold().await.ok().flatten() }, Duration::from_secs(5)).await?;
    assert_eq!(epoch, Epoch(2));
    assert_eq!(sleeper.try_hold().await?, None);
    Ok(())
}

#[tokio::test]
async fn a_lapsed_holder_that_comes_back_gets_a_new_epoch() -> Result<()> {
    let database = Database::create().await?;
    let db = database.task()?;
    let short = lease(&db, "only", Duration::ZERO);
    assert_eq!(short.try_hold().await?, Some(Epoch(1)));
    assert_eq!(short.try_hold().await?, Some(Epoch(2)), "someone else may have led in between");
    Ok(())
}

#[tokio::test]
async fn of_many_that_race_one_wins() -> Result<()> {
    let database = Database::create().await?;
    let db = database.task()?;
    let racing = (0..16).map(|number| {
        let lease = lease(&db, &format!("racer-{number}"), LONG);
        tokio::spawn(async move { lease.try_hold().await })
    });
    let mut winners = 0;
    for racer in racing.collect::<Vec<_>>() {
        winners += usize::from(racer.await??.is_some());
    }
    assert_eq!(winners, 1);
    Ok(())
}
