//! Pages of listings.

use holdfast_fault::Fault;

use crate::field::in_range;

const ROWS_MAX: i32 = 1000;
/// Clients take answers of up to 4 MiB where they are not told otherwise.
pub const ANSWER_BYTES_MAX: usize = 3 * 1024 * 1024;

/// The rows of a page.
pub fn size(field: &str, asked: i32, default: i32) -> Result<i64, Fault> {
    if asked == 0 {
        return Ok(i64::from(default));
    }
    in_range(field, asked, 1..=ROWS_MAX).map(i64::from)
}

/// Cuts a page down to the rows that one answer may hold, at least one.
pub fn within_answer(rows: &mut Vec<impl prost::Message>) {
    let mut bytes = 0;
    let over = rows.iter().position(|row| {
        bytes += row.encoded_len();
        bytes > ANSWER_BYTES_MAX
    });
    if let Some(count) = over {
        rows.truncate(count.max(1));
    }
}
