//! What a command prints: aligned tables for people, one JSON document for machines.

use std::{fmt, io::Write};

use serde::Serialize;

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// Aligned columns, for people.
    Table,
    /// One JSON document, for machines.
    Json,
}

/// Prints `json` or `table`, whichever was asked for.
pub(crate) fn print(format: Format, json: &impl Serialize, table: impl FnOnce() -> Table) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let written = match format {
        Format::Json => writeln!(out, "{}", serde_json::to_string_pretty(json)?),
        Format::Table => write!(out, "{}", table()),
    };
    match written {
        // `holdfast ... | head` is no failure.
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Rows of cells under a header, or without one where it is empty. Columns are as wide as their widest cell.
#[derive(Debug, Default)]
pub(crate) struct Table {
    header: Vec<String>,
    rows: Vec<Vec<String>>,
    footer: Option<String>,
}

impl Table {
    pub(crate) fn new<const N: usize>(header: [&str; N]) -> Self {
        Self { header: header.map(str::to_uppercase).to_vec(), ..Self::default() }
    }

    /// Name and value, one pair a row.
    pub(crate) fn fields() -> Self {
        Self::default()
    }

    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.to_vec());
    }

    /// A field, left out where its value is empty.
    pub(crate) fn field(&mut self, name: &str, value: impl Into<String>) {
        let value = value.into();
        if !value.is_empty() {
            self.row([name.to_owned(), value]);
        }
    }

    pub(crate) fn footer(&mut self, text: impl Into<String>) {
        self.footer = Some(text.into());
    }

    fn widths(&self) -> Vec<usize> {
        let mut widths = Vec::new();
        for row in self.rows.iter().chain(std::iter::once(&self.header)) {
            widths.resize(widths.len().max(row.len()), 0);
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        widths
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths = self.widths();
        let header = (!self.header.is_empty()).then_some(&self.header);
        for row in header.into_iter().chain(&self.rows) {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                line.push_str(&format!("{:width$}  ", one_line(cell)));
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        match &self.footer {
            Some(footer) => writeln!(f, "{footer}"),
            None => Ok(()),
        }
    }
}

/// A cell never breaks its row, and never moves the cursor of a terminal, whatever a worker or a caller wrote into it.
pub(crate) fn one_line(cell: &str) -> String {
    cell.chars().map(|character| if character.is_control() { ' ' } else { character }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_lines_end_without_blanks() {
        let mut table = Table::new(["job", "state"]);
        table.row(["a-long-id".into(), "done".into()]);
        table.row(["b".into(), "queued".into()]);
        table.footer("2 jobs");
        assert_eq!(table.to_string(), "JOB        STATE\na-long-id  done\nb          queued\n2 jobs\n");
    }

    #[test]
    fn a_cell_cannot_break_its_row_or_drive_the_terminal() {
        let mut table = Table::fields();
        table.field("detail", "two\nlines \u{1b}[2J");
        table.field("empty", "");
        assert_eq!(table.to_string(), "detail  two lines  [2J\n");
    }
}
