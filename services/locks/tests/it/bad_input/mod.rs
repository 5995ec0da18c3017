//! Every field of every message that a client can send, wrong in every way that its contract rules out.
//!
//! Valid requests are made by hand, the flawed ones by a walk over the descriptors. What is flawed must be refused by the
//! path of its field, and nothing may have changed. Methods and fields that the test does not know fail it.

mod fields;
mod flaws;
mod samples;

use std::collections::BTreeSet;

use anyhow::Result;
use holdfast_fault::{Fault, Received};
use prost::Message as _;
use prost_reflect::{DynamicMessage, Value};
use tonic::Status;

use crate::support::*;
use flaws::{Flawed, flawed};
use samples::{Sample, Stage};

/// Leases that outlast the test: whatever moves was moved by a request.
fn still() -> Settings {
    let hour_ms = 3_600_000;
    Settings::default()
        .set("leases.ttl_ms", hour_ms)
        .set("leases.ttl_max_ms", hour_ms)
        .set("leases.stale_after_ms", hour_ms)
}

fn refusal(outcome: Result<Vec<Vec<u8>>, Status>) -> Option<Received> {
    outcome.err().map(|status| Received::from_status(&status))
}

/// What is wrong with a refusal; nothing where it is as it should be.
fn complaint(received: Option<&Received>, reason: Reason, path: &str) -> Option<String> {
    let Some(received) = received else { return Some("was accepted".to_owned()) };
    let right = received.reason == Some(reason)
        && received.code == Fault::new(reason, "").code()
        && fields(received) == [path]
        && !received.retryable();
    (!right).then(|| format!("was refused with {}, {:?}: {:?}", received.name(), received.message, fields(received)))
}

fn report(complaints: Vec<String>) -> Result<()> {
    anyhow::ensure!(complaints.is_empty(), "{} complaints:\n{}", complaints.len(), complaints.join("\n"));
    Ok(())
}

#[test]
fn what_is_flawed_is_refused_by_the_path_of_its_field_and_changes_nothing() -> Result<()> {
    run(async {
        let world = World::with(still()).await?;
        let stage = Stage::set(&world, tenant()).await?;
        let tenants = [stage.tenant.clone()];
        let (mut complaints, mut tried) = (Vec::new(), 0);
        let mut before = rows::digests(world.db.admin()).await?;
        for sample in stage.all()? {
            for Flawed { path, flaw, reason, message } in flawed(&sample.message) {
                let Some(reason) = reason else { continue };
                tried += 1;
                let outcome = sample.send(&world, &tenants, message.encode_to_vec()).await;
                let received = refusal(outcome);
                let after = rows::digests(world.db.admin()).await?;
                let complaint = complaint(received.as_ref(), reason, &path);
                let complaint =
                    complaint.or_else(|| (after != before && !sample.resumes).then(|| "changed something".to_owned()));
                complaints.extend(complaint.map(|text| format!("{} {path} {flaw}: {text}", sample.method.name())));
                before = after;
            }
        }
        assert!(tried > 300, "the walk has found only {tried} flaws");
        report(complaints)
    })
}

/// Without this, the requests above might be refused for what nobody thought of.
#[test]
fn without_a_flaw_each_is_answered() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let stage = Stage::set(world, tenant()).await?;
        let mut complaints = Vec::new();
        for sample in stage.all()? {
            let outcome = sample.send(world, std::slice::from_ref(&stage.tenant), sample.message.encode_to_vec()).await;
            let received = refusal(outcome);
            complaints.extend(received.map(|received| format!("{} {received:?}", sample.method.name())));
        }
        report(complaints)
    })
}

#[test]
fn what_may_be_left_out_is_no_violation() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let stage = Stage::set(world, tenant()).await?;
        let (mut complaints, mut tried) = (Vec::new(), BTreeSet::new());
        for sample in stage.all()? {
            for Flawed { path, flaw, message, .. } in optional(&sample) {
                tried.insert(path.clone());
                let outcome = sample.send(world, std::slice::from_ref(&stage.tenant), message.encode_to_vec()).await;
                // A repetition may conflict with what the one before has done; the field left out is not to blame.
                let violation = refusal(outcome).filter(|received| {
                    received.code == tonic::Code::Internal || fields(received).contains(&path.as_str())
                });
                complaints
                    .extend(violation.map(|received| format!("{} {path} {flaw}: {received:?}", sample.method.name())));
            }
        }
        assert!(!tried.is_empty());
        report(complaints)
    })
}

/// Variants without one field that may be left out.
fn optional(sample: &Sample) -> impl Iterator<Item = Flawed> + use<> {
    flawed(&sample.message).into_iter().filter(|variant| variant.reason.is_none())
}

#[test]
fn whose_token_is_for_several_tenants_names_one() -> Result<()> {
    run(async {
        let world = World::shared().await?;
        let stage = Stage::set(world, tenant()).await?;
        let (mut complaints, mut tried) = (Vec::new(), 0);
        for sample in stage.all()? {
            for Flawed { path, message, .. } in optional(&sample).filter(|variant| variant.path.ends_with("tenant_id"))
            {
                tried += 1;
                let tenants = [stage.tenant.clone(), tenant()];
                let outcome = sample.send(world, &tenants, message.encode_to_vec()).await;
                let received = refusal(outcome);
                let complaint = complaint(received.as_ref(), Reason::Req400MissingField, &path);
                complaints.extend(complaint.map(|text| format!("{} {path}: {text}", sample.method.name())));
            }
        }
        assert!(tried > 0);
        report(complaints)
    })
}

#[test]
fn what_cannot_be_decoded_is_the_clients_fault() -> Result<()> {
    run(async {
        let world = World::with(still()).await?;
        let stage = Stage::set(&world, tenant()).await?;
        let mut complaints = Vec::new();
        for sample in stage.all()? {
            let valid = sample.message.encode_to_vec();
            let truncated = valid[..valid.len() - 1].to_vec();
            let padded = [valid.clone(), unknown_field(1024 * 1024 + 4096)].concat();
            let large = [valid.clone(), unknown_field(2 * 1024 * 1024)].concat();
            let not_utf8 = not_utf8(&sample.message).map(|message| ("not UTF-8", message));
            let flaws = [
                ("no protobuf", vec![0xff; 16]),
                ("truncated", truncated),
                ("a little too large", padded),
                ("much too large", large),
            ];
            for (flaw, message) in flaws.into_iter().chain(not_utf8) {
                let outcome = sample.send(&world, std::slice::from_ref(&stage.tenant), message).await;
                let received = refusal(outcome);
                let complaint = complaint(received.as_ref(), Reason::Req400InvalidSchema, "request");
                complaints.extend(complaint.map(|text| format!("{} {flaw}: {text}", sample.method.name())));
            }
        }
        report(complaints)
    })
}

/// Of a number that no message has.
fn unknown_field(len: usize) -> Vec<u8> {
    let mut encoded = Vec::with_capacity(len + 8);
    prost::encoding::bytes::encode(15_000, &vec![0; len], &mut encoded);
    encoded
}

/// The message with the bytes of its first text replaced by such as no UTF-8 has.
fn not_utf8(message: &DynamicMessage) -> Option<Vec<u8>> {
    const MARK: &str = "replaced once encoded";
    let mut message = message.clone();
    mark(&mut message, MARK).then(|| {
        let mut encoded = message.encode_to_vec();
        let position = encoded.windows(MARK.len()).position(|window| window == MARK.as_bytes()).expect("the mark");
        encoded[position..position + MARK.len()].fill(0xff);
        encoded
    })
}

/// Puts the mark in the place of the first text.
fn mark(message: &mut DynamicMessage, text: &str) -> bool {
    message.fields_mut().any(|(_, value)| match value {
        Value::String(old) => {
            *old = text.to_owned();
            true
        }
        Value::Message(inner) => mark(inner, text),
        Value::List(values) => values.iter_mut().any(|value| match value {
            Value::Message(inner) => mark(inner, text),
            _ => false,
        }),
        _ => false,
    })
}
