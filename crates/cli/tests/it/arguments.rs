//! What is refused before anything is done.

use crate::support::{command, finish, run};

#[tokio::test]
async fn an_unknown_flag_is_a_usage_error() {
    let ran = run(["jobs", "submit", "--nonsense"]).await;
    assert_eq!(ran.code, 2, "{}", ran.stderr);
}

#[tokio::test]
async fn help_tells_the_exit_codes() {
    let ran = run(["--help"]).await;
    assert_eq!(ran.code, 0);
    assert!(ran.stdout.contains("3 not found") && ran.stdout.contains("tour"), "{}", ran.stdout);
    assert!(!ran.stdout.contains("run-child"), "hidden commands stay hidden");
}

#[tokio::test]
async fn a_commands_help_says_more_than_the_list_of_commands() {
    for (command, told) in [
        ("up", "development signing key and a token"),
        ("tour", "one worker is killed"),
        ("token", "The key is made by `holdfast up`"),
        ("worker", "HOLDFAST_FENCING_TOKEN"),
        ("locks run", "HOLDFAST_LEASE_ID"),
        ("locks acquire", "nobody's to renew"),
        ("locks get", "who waits for it"),
        ("jobs get", "Show one job"),
        ("doctor", "a warning is no failure"),
    ] {
        let help =
            run(command.split(' ').chain(["--help"])).await.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(help.contains(told), "{help}");
    }
}

#[tokio::test]
async fn without_a_token_it_says_where_one_comes_from() {
    let nowhere = tempfile::tempdir().unwrap();
    let mut command = command(["jobs", "list", "--project", "p"]);
    command.env("HOLDFAST_DIR", nowhere.path());
    let ran = finish(command).await;
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("HOLDFAST_TOKEN"), "{}", ran.stderr);
}

#[tokio::test]
async fn a_service_that_is_not_there_is_unavailable() {
    let port = holdfast_testkit::free_port().unwrap();
    let endpoint = format!("http://127.0.0.1:{port}");
    let ran = run(["-o", "json", "jobs", "get", "x", "--token", "t", "--endpoint", &endpoint]).await;
    assert_eq!(ran.code, 6);
    assert!(ran.error()["message"].as_str().unwrap().contains(&endpoint), "{}", ran.stderr);
}

#[tokio::test]
async fn a_token_needs_the_key_of_a_stack() {
    let nowhere = tempfile::tempdir().unwrap();
    let mut command = command(["token"]);
    command.env("HOLDFAST_DIR", nowhere.path());
    let ran = finish(command).await;
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("holdfast up"), "{}", ran.stderr);
}

#[tokio::test]
async fn the_tour_needs_a_stack() {
    let nowhere = tempfile::tempdir().unwrap();
    let mut command = command(["tour"]);
    command.env("HOLDFAST_DIR", nowhere.path());
    assert_eq!(finish(command).await.code, 2);
}

#[tokio::test]
async fn completions_are_printed_for_each_shell() {
    for shell in ["bash", "zsh", "fish"] {
        let ran = run(["completions", shell]).await;
        assert_eq!(ran.code, 0);
        assert!(ran.stdout.contains("holdfast"), "{shell}");
    }
}
