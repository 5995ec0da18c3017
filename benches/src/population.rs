//! Whose jobs the load is made of: 100 projects in 10 tenants.

pub const TENANTS: usize = 10;
pub const PROJECTS_PER_TENANT: usize = 10;
pub const PAYLOAD_BYTES: usize = 256;
pub const INTENT: &str = "bench.noop";
pub const ACTOR: &str = "bench-user";
pub const WORKER_SUBJECT: &str = "bench-worker";

pub fn tenant(index: usize) -> String {
    format!("t{:02}", index % TENANTS)
}

pub fn project(index: usize) -> String {
    format!("p{:02}", index % PROJECTS_PER_TENANT)
}

/// A JSON text of exactly [`PAYLOAD_BYTES`].
pub fn payload() -> String {
    let (head, tail) = (r#"{"text":""#, r#""}"#);
    format!("{head}{}{tail}", "x".repeat(PAYLOAD_BYTES - head.len() - tail.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_has_its_size_and_is_json() {
        assert_eq!(payload().len(), PAYLOAD_BYTES);
        serde_json::from_str::<serde_json::Value>(&payload()).unwrap();
    }
}
