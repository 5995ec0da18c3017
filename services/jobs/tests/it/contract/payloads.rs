//! Payloads: kept to the byte, compared by what they mean.

use anyhow::Result;

use crate::support::*;

#[test]
fn payloads_and_results_are_kept_verbatim() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let tenant = tenant();
        let (alice, worker) = (world.user("alice", &tenant), world.worker("worker-1", &tenant));
        let bytes: Vec<u8> = (0..=255).collect();
        for (payload, result) in [
            (json(" { \"b\" : 1e0,\n\t\"a\":\"\\u00e9\" } \n"), json("[ 1 , 2 ]")),
            (binary(&bytes), binary(&bytes)),
            (binary(b""), binary(b"")),
            (
                pb::Payload { data: "nul \0 inside".into(), content_type: "text/plain; charset=utf-8".to_owned() },
                json("null"),
            ),
        ] {
            let submitted = alice.submit_job(job().payload(payload.clone())).await?;
            assert_eq!(alice.job(&submitted.job_id).await?.payload, Some(payload.clone()));
            let leased = worker.lease_jobs(lease_waiting(1)).await?.jobs.remove(0);
            assert_eq!(leased.payload, Some(payload));
            worker.complete_job(complete(&leased, result.clone())).await?;
            assert_eq!(alice.job(&submitted.job_id).await?.result, Some(result));
        }
        Ok(())
    })
}

#[test]
fn the_largest_payload_is_taken() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let alice = world.user("alice", &tenant());
        let largest = binary(&vec![7; 960 * 1024]);
        let submitted = alice.submit_job(job().payload(largest.clone())).await?;
        assert_eq!(alice.job(&submitted.job_id).await?.payload, Some(largest));
        Ok(())
    })
}

#[test]
fn an_empty_content_type_is_json() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let alice = world.user("alice", &tenant());
        let unnamed = pb::Payload { data: "{}".into(), content_type: String::new() };
        let submitted = alice.submit_job(job().payload(unnamed)).await?;
        assert_eq!(alice.job(&submitted.job_id).await?.payload, Some(json("{}")));
        Ok(())
    })
}

#[test]
fn json_is_compared_in_its_canonical_form() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let alice = world.user("alice", &tenant());
        for (first, same) in [
            (r#"{"a":1,"b":[1.0,"x"]}"#, "{ \"b\" : [ 1e0, \"\\u0078\" ],\n \"a\" : 1 }"),
            (r#"{"é":0.000001}"#, r#"{"\u00e9":1e-6}"#),
            ("{\"s\":\"a/b\"}", "{\"s\":\"a\\/b\"}"),
        ] {
            let request = job().payload(json(first));
            let answer = alice.submit_job(request.clone()).await?;
            let repeated = alice.submit_job(request.payload(json(same))).await?;
            assert!(repeated.replayed && repeated.job_id == answer.job_id, "{first} and {same}");
            assert_eq!(alice.job(&answer.job_id).await?.payload, Some(json(first)), "the first payload stays");
        }
        Ok(())
    })
}

#[test]
fn what_only_looks_alike_is_another_payload() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let alice = world.user("alice", &tenant());
        for (first, other) in [
            // A number that a double does not hold.
            ("9007199254740993", "9007199254740992"),
            ("333333333.33333329", "333333333.3333333"),
            // Duplicate members: by bytes.
            (r#"{"a":1,"a":2}"#, r#"{"a":2}"#),
            (r#"{"a":1,"a":2}"#, r#"{"a":1, "a":2}"#),
            // A lone surrogate: by bytes.
            (r#""\ud800""#, r#""\ufffd""#),
            ("[1,2]", "[2,1]"),
            ("{\"a\":\"1\"}", "{\"a\":1}"),
            ("null", "{}"),
        ] {
            let request = job().payload(json(first));
            alice.submit_job(request.clone()).await?;
            assert!(alice.submit_job(request.clone()).await?.replayed, "{first}");
            refused(alice.submit_job(request.payload(json(other))).await, Reason::Job409IdempotencyConflict);
        }
        Ok(())
    })
}

#[test]
fn other_media_types_are_compared_by_bytes() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let alice = world.user("alice", &tenant());
        let request = job().payload(binary(b"{\"a\":1}"));
        alice.submit_job(request.clone()).await?;
        assert!(alice.submit_job(request.clone()).await?.replayed);
        refused(alice.submit_job(request.payload(binary(b"{\"a\": 1}"))).await, Reason::Job409IdempotencyConflict);

        let suffixed = |text: &str| pb::Payload {
            data: text.to_owned().into(),
            content_type: "application/vnd.house+json; charset=utf-8".to_owned(),
        };
        let request = job().payload(suffixed("{\"a\":1}"));
        alice.submit_job(request.clone()).await?;
        assert!(alice.submit_job(request.payload(suffixed("{\"a\": 1}"))).await?.replayed, "+json is JSON");
        Ok(())
    })
}
