//! Writes the tables of docs/benchmarks.md from the result files. The prose around them is people's; what stands between
//! `<!-- bench:NAME -->` and `<!-- /bench -->` is replaced.

mod locks;
mod long;
mod peers;
mod tables;
mod text;

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::results::Results;

const END: &str = "<!-- /bench -->";

pub fn write(results: &Results) -> Result<()> {
    let path = page();
    let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let page = filled(&text, |name| tables::table(results, name))?;
    if results.quick {
        // Quick figures are not for the page.
        println!("{page}");
        return Ok(());
    }
    fs::write(&path, page)?;
    println!("written: {}", path.display());
    Ok(())
}

fn page() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/benchmarks.md"))
}

fn filled(text: &str, table: impl Fn(&str) -> Result<String>) -> Result<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("<!-- bench:") {
        let (name, after) = after.split_once(" -->").context("a mark without its end")?;
        let Some((_, after)) = after.split_once(END) else { bail!("the table {name} has no end mark") };
        out.push_str(before);
        out.push_str(&format!("<!-- bench:{name} -->\n{}\n{END}", table(name)?.trim_end()));
        rest = after;
    }
    Ok(out + rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_marks_changes() {
        let text = "before\n<!-- bench:x -->\nold\n<!-- /bench -->\nafter\n";
        let new = filled(text, |name| Ok(format!("table {name}\n"))).unwrap();
        assert_eq!(new, "before\n<!-- bench:x -->\ntable x\n<!-- /bench -->\nafter\n");
        assert_eq!(filled(&new, |name| Ok(format!("table {name}\n"))).unwrap(), new);
        assert!(filled("<!-- bench:x -->\n", |_| Ok(String::new())).is_err());
    }

    #[test]
    fn the_page_holds_what_the_results_say() {
        let results = Results::in_directory(Results::default_directory(false), false);
        let text = fs::read_to_string(page()).unwrap();
        let current = filled(&text, |name| tables::table(&results, name)).unwrap();
        assert!(current == text, "the tables of docs/benchmarks.md are not those of benches/results: run `bench docs`");
    }
}
