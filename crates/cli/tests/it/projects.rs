//! `holdfast projects`: settings are shown, changed one by one, and replaced whole.

use crate::support::Client;

#[tokio::test]
async fn settings_are_changed_over_the_version_that_was_read() {
    let client = Client::start().await;
    let shown = client.run(["-o", "json", "projects", "get", "p"]).await.json();
    assert_eq!((&shown["version"], &shown["settings"]), (&0.into(), &serde_json::json!({})));
    assert_eq!(shown["in_force"]["weight"], 100);

    let set = client.run(["-o", "json", "projects", "set", "p", "--running-max", "3", "--weight", "7"]).await;
    assert_eq!((set.code, &set.json()["version"]), (0, &1.into()), "{}", set.stderr);
    let set = client.run(["-o", "json", "projects", "set", "p", "--weight", "0"]).await.json();
    assert_eq!(set["settings"], serde_json::json!({ "running_max": 3 }), "what is not named stays");

    let late = client.run(["-o", "json", "projects", "set", "p", "--version", "1", "--weight", "9"]).await;
    assert_eq!((late.code, &late.error()["reason"]), (5, &"PROJECT_409_VERSION_CONFLICT".into()));

    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), r#"{"intents":[{"intent":"repo.deploy","tier_floor":"C"}]}"#).unwrap();
    let replaced = client.run(["projects", "set", "p", "--file", file.path().to_str().unwrap()]).await;
    assert!(replaced.code == 0 && replaced.stdout.contains("repo.deploy"), "{}", replaced.stderr);
    let listed = client.run(["-o", "json", "projects", "list"]).await.json();
    assert_eq!(listed["projects"][0]["settings"]["intents"][0]["tier_floor"], "C");
    assert_eq!(listed["projects"][0]["settings"]["running_max"], serde_json::Value::Null, "replaced whole");
    assert!(client.run(["projects", "list"]).await.stdout.starts_with("PROJECT"), "a table for people");

    std::fs::write(file.path(), r#"{"wieght":7}"#).unwrap();
    assert_eq!(client.run(["projects", "set", "p", "--file", file.path().to_str().unwrap()]).await.code, 2);
}
