//! What a check found.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Good,
    Note,
    Warning,
    Bad,
}

impl Verdict {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Bad => "FAILED",
        }
    }
}

#[derive(Debug)]
pub(super) struct Finding {
    pub(super) what: String,
    pub(super) verdict: Verdict,
    pub(super) detail: String,
}

impl Finding {
    pub(super) fn good(what: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { what: what.into(), verdict: Verdict::Good, detail: detail.into() }
    }

    pub(super) fn note(what: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { verdict: Verdict::Note, ..Self::good(what, detail) }
    }

    pub(super) fn warning(what: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { verdict: Verdict::Warning, ..Self::good(what, detail) }
    }

    pub(super) fn bad(what: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { verdict: Verdict::Bad, ..Self::good(what, detail) }
    }

    /// Good where `holds`, else as bad as `otherwise`, with what is wanted behind the detail.
    pub(super) fn expect(what: &str, detail: &str, holds: bool, otherwise: Verdict, wanted: &str) -> Self {
        if holds {
            return Self::good(what, detail);
        }
        Self { verdict: otherwise, ..Self::good(what, format!("{detail}; wanted: {wanted}")) }
    }
}
