//! Page tokens: opaque to callers, bound to the listing they came from, so that a token does not travel between filters.

use holdfast_fault::Fault;
use holdfast_ids::{JobId, ProjectId};
pub use holdfast_runtime::page::size;

use crate::app::projects::ProjectListing;
use crate::store::read::Listing;

fn bad_token() -> Fault {
    Fault::invalid("page_token", "is not a next_page_token of this listing")
}

/// Eight hex characters over the filters, then the last id.
pub fn jobs_token(listing: &Listing, last: JobId) -> String {
    format!("{}{}", filters(listing), last.as_uuid().simple())
}

pub fn jobs_before(listing: &Listing, token: &str) -> Result<Option<JobId>, Fault> {
    if token.is_empty() {
        return Ok(None);
    }
    let id = token.strip_prefix(&filters(listing)).ok_or_else(bad_token)?;
    JobId::parse(id).map(Some).map_err(|_| bad_token())
}

fn filters(listing: &Listing) -> String {
    let states: Vec<&str> = listing.states.iter().map(|state| state.as_str()).collect();
    let text = format!("{}\n{}\n{}\n{:?}", listing.tenant_id, listing.project_id, states.join(","), listing.intent);
    blake3::hash(text.as_bytes()).to_hex()[..8].to_owned()
}

pub fn projects_token(listing: &ProjectListing, last: &str) -> String {
    format!("{}.{last}", tenant_digest(listing))
}

pub fn projects_after(listing: &ProjectListing, token: &str) -> Result<String, Fault> {
    if token.is_empty() {
        return Ok(String::new());
    }
    let (digest, last) = token.split_once('.').ok_or_else(bad_token)?;
    let last = ProjectId::parse(last).map_err(|_| bad_token())?;
    if digest == tenant_digest(listing) { Ok(last.to_string()) } else { Err(bad_token()) }
}

fn tenant_digest(listing: &ProjectListing) -> String {
    blake3::hash(listing.tenant_id.as_str().as_bytes()).to_hex()[..8].to_owned()
}

pub fn events_token(job_id: JobId, last_seq: i64) -> String {
    format!("{}.{last_seq}", &job_id.as_uuid().simple().to_string()[24..])
}

pub fn events_after(job_id: JobId, token: &str) -> Result<i64, Fault> {
    if token.is_empty() {
        return Ok(0);
    }
    let (job, seq) = token.split_once('.').ok_or_else(bad_token)?;
    let same_job = job == &job_id.as_uuid().simple().to_string()[24..];
    seq.parse().ok().filter(|seq: &i64| same_job && *seq > 0).ok_or_else(bad_token)
}
