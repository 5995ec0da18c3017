//! Who may call what.

use std::time::Duration;

use holdfast_caller::{Caller, Kind, Role};
use holdfast_fault::{Fault, Reason};

/// One row of a service's committed access table.
#[derive(Debug, Clone, Copy)]
pub struct Access {
    /// `/holdfast.jobs.v1.JobService/SubmitJob`
    pub method: &'static str,
    pub kinds: &'static [Kind],
    /// For people: any one of these is needed, whether they come themselves or through a service that acts for them.
    pub roles: &'static [Role],
    /// How long a call may wait for what it asks for, beyond the longest that a unary call may take.
    pub waits: Duration,
}

impl Access {
    pub const fn new(method: &'static str, kinds: &'static [Kind], roles: &'static [Role]) -> Self {
        Self { method, kinds, roles, waits: Duration::ZERO }
    }

    pub(crate) fn permit(&self, caller: &Caller) -> Result<(), Fault> {
        if !self.kinds.contains(&caller.kind) {
            return Err(refused(format!("a {} may not call this method", caller.kind.as_str())));
        }
        // A method that people cannot call has no roles; a service that acts for one is then judged as the service.
        let is_judged_by_role = caller.kind == Kind::User || caller.is_delegated() && !self.roles.is_empty();
        if is_judged_by_role && !caller.has_any_role(self.roles) {
            return Err(refused("the caller's roles do not allow this method".to_owned()));
        }
        Ok(())
    }
}

fn refused(message: String) -> Fault {
    Fault::new(Reason::Auth403Role, message)
}
