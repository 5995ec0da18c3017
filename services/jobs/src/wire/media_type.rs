//! The grammar of media types, RFC 9110 section 8.3.1, in ASCII.

const OWS: [char; 2] = [' ', '\t'];

/// Whether a text is `type/subtype` with well-formed parameters.
pub fn is_media_type(text: &str) -> bool {
    let (essence, mut rest) = text.split_at(text.find([';', ' ', '\t']).unwrap_or(text.len()));
    if !essence.split_once('/').is_some_and(|(main, sub)| is_token(main) && is_token(sub)) {
        return false;
    }
    while let Some(after) = rest.trim_start_matches(OWS).strip_prefix(';') {
        rest = after.trim_start_matches(OWS);
        let (name, value) = rest.split_at(token_len(rest));
        if name.is_empty() {
            // Between two semicolons there may be nothing.
            continue;
        }
        let Some(value) = value.strip_prefix('=') else { return false };
        let value_len = if value.starts_with('"') { quoted_len(value) } else { token_len(value) };
        if value_len == 0 {
            return false;
        }
        rest = &value[value_len..];
    }
    rest.is_empty()
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && token_len(text) == text.len()
}

/// How much of the beginning is a token.
fn token_len(text: &str) -> usize {
    let of_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    text.bytes().take_while(of_token).count()
}

/// How much of the beginning is a quoted string; 0 where it does not end, or holds what it may not.
fn quoted_len(text: &str) -> usize {
    let mut escaped = false;
    for (position, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            b'\t' | b' '..=b'~' if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return position + 1,
            b'\t' | b' '..=b'~' => {}
            _ => return 0,
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::is_media_type;

    #[test]
    fn what_the_grammar_allows() {
        for text in [
            "application/json",
            "application/vnd.holdfast+json",
            "text/plain; charset=utf-8",
            "text/plain ;charset=\"utf-8\";",
            "text/plain;; a=b; ",
            r#"a/b; c="d; \"e\""; f=g"#,
        ] {
            assert!(is_media_type(text), "{text:?}");
        }
    }

    #[test]
    fn what_it_does_not() {
        for text in [
            "",
            "json",
            "/json",
            "application/",
            "a/b/c",
            " a/b",
            "a/b ",
            "a b/c",
            "a/b c=d",
            "a/b; c",
            "a/b; c=",
            "a/b; c =d",
            "a/b; c=d e",
            "a/b; c=\"d",
            "a/b; c=\"d\\\"",
            "a/b; c=\"d\ne\"",
            "a/b; c=é",
            "a/\u{e9}",
            "a/b\0",
        ] {
            assert!(!is_media_type(text), "{text:?}");
        }
    }
}
