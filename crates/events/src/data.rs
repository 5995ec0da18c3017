use holdfast_proto::events::v1;

/// A typed event: the message that travels in an envelope, and the name it goes by.
pub trait EventData: prost::Message + Default {
    /// The envelope's `event_name`.
    const EVENT_NAME: &'static str;
    /// The envelope's `schema_version`, of this message.
    const SCHEMA_VERSION: u32;
    /// The message's `Any` type URL.
    const TYPE_URL: &'static str;
}

macro_rules! event_data {
    ($($message:ident = $event_name:literal, version $version:literal;)*) => {$(
        impl EventData for v1::$message {
            const EVENT_NAME: &'static str = $event_name;
            const SCHEMA_VERSION: u32 = $version;
            const TYPE_URL: &'static str = concat!("type.googleapis.com/holdfast.events.v1.", stringify!($message));
        }
    )*};
}

event_data! {
    JobBlocked = "job.blocked", version 1;
    JobQueued = "job.queued", version 1;
    JobRunning = "job.running", version 1;
    JobRetrying = "job.retrying", version 1;
    JobDone = "job.done", version 1;
    JobFailed = "job.failed", version 1;
    JobTimedOut = "job.timed_out", version 1;
    JobCancelled = "job.cancelled", version 1;
    JobWaitingHumanDecision = "job.waiting_human_decision", version 1;
    JobChangesRequested = "job.changes_requested", version 1;
    JobDeferred = "job.deferred", version 1;
    JobRejected = "job.rejected", version 1;
    TableRowCountPassed = "operations.table_row_count.passed", version 1;
    JobBudgetExceeded = "job.budget_exceeded", version 1;
    JobQueueOverdue = "job.queue_overdue", version 1;
    HitlReminderSent = "hitl.reminder.sent", version 1;
    ProjectSettingsChanged = "project.settings_changed", version 1;
    LockGranted = "lock.granted", version 1;
    LockReleased = "lock.released", version 1;
    LockExpired = "lock.expired", version 1;
    LockForced = "lock.forced", version 1;
    LockFenceRejected = "lock.fence_rejected", version 1;
    KillSwitchActivated = "operations.killswitch.activated", version 1;
    KillSwitchDeactivated = "operations.killswitch.deactivated", version 1;
}
