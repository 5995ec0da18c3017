//! Pieces of Markdown.

pub fn head(cells: &[&str]) -> String {
    format!("| {} |\n|{}\n", cells.join(" | "), "---|".repeat(cells.len()))
}

pub fn per_s(rate: f64) -> String {
    format!("{}/s", thousands(rate))
}

pub fn ms(time: f64) -> String {
    format!("{time:.1} ms")
}

pub fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_numbers_are_grouped() {
        assert_eq!(thousands(999.4), "999");
        assert_eq!(thousands(4000.0), "4,000");
        assert_eq!(thousands(1_234_567.0), "1,234,567");
    }
}
