//! `holdfast migrate` on an empty database.

use holdfast_testkit::Database;

use crate::support::{Ran, command, finish};

async fn migrate(database: &Database, arguments: &[&str]) -> Ran {
    let mut command = command(["-o", "json", "migrate"].iter().chain(arguments));
    command.env("HOLDFAST_ADMIN_URL", database.admin_url().expose());
    finish(command).await
}

#[tokio::test]
async fn up_status_down_and_a_rehearsal() {
    let database = Database::create_empty().await.unwrap();
    assert_eq!(migrate(&database, &["status"]).await.code, 5, "everything is pending");

    let up = migrate(&database, &["up"]).await;
    assert_eq!(up.code, 0, "{}", up.stderr);
    let last = up.json()[0]["applied"].as_array().unwrap().last().expect("something is applied").clone();
    assert_eq!(migrate(&database, &["status"]).await.code, 0);
    assert_eq!(
        migrate(&database, &["up"]).await.json()[0]["applied"],
        serde_json::json!([]),
        "a second time does nothing"
    );

    let down = migrate(&database, &["down", "--schema", "jobs", "--environment", "test"]).await;
    assert_eq!(down.json()[0]["reverted"], serde_json::json!([last]));
    assert_eq!(migrate(&database, &["status"]).await.code, 5);

    let rehearsed = migrate(&database, &["rehearse", "--schema", "jobs"]).await;
    assert_eq!(rehearsed.code, 0, "{}", rehearsed.stderr);
}

#[tokio::test]
async fn down_wants_one_schema_and_an_environment_and_never_prod() {
    let database = Database::create().await.unwrap();
    assert_eq!(migrate(&database, &["down", "--environment", "test"]).await.code, 2);
    assert_eq!(migrate(&database, &["down", "--schema", "jobs"]).await.code, 2);
    let refused = migrate(&database, &["down", "--schema", "jobs", "--environment", "prod"]).await;
    assert_eq!(refused.code, 4, "{}", refused.stderr);
    assert_eq!(migrate(&database, &["status", "--schema", "jobs"]).await.code, 0, "nothing was done");
    assert_eq!(migrate(&database, &["status", "--schema", "nonsense"]).await.code, 2);
}
