//! The whole platform comes up as processes and takes what tests do to it.

use std::time::Duration;

use anyhow::Result;
use holdfast_testkit::{Signal, Stack, http_get};

const WITHIN: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_stack_starts_is_killed_in_part_and_drains() -> Result<()> {
    let stack = Stack::builder().jobs(2).relays(1).jobs_env("TASKS__LEADERSHIP_TTL_MS", 2_000).start().await?;
    for jobs in &stack.jobs {
        tokio::net::TcpStream::connect(("127.0.0.1", jobs.grpc_port)).await?;
        let page = http_get(jobs.process.http_port().expect("a service has one"), "/metrics").await?;
        assert_eq!(page.status, 200);
    }

    let first = &stack.jobs[0].process;
    first.kill().await?;
    assert!(first.pid().is_none() && first.signal(Signal::SIGTERM).is_err());
    first.restart()?;
    stack.ready().await?;

    first.pause()?;
    first.resume()?;
    first.ready(WITHIN).await?;
    for process in stack.jobs.iter().map(|jobs| &jobs.process).chain(&stack.relays) {
        let status = process.terminate(WITHIN).await?;
        assert!(status.success(), "{status}: {}", process.log());
    }
    Ok(())
}

#[tokio::test]
async fn a_service_that_does_not_start_says_why() -> Result<()> {
    let refused = Stack::builder().jobs_env("LEASES__TTL_MS", "never").start().await.err().map(|e| format!("{e:#}"));
    let refused = refused.unwrap_or_default();
    assert!(refused.contains("ended with") && refused.contains("ttl_ms"), "{refused}");
    Ok(())
}
