//! How large a table may become before somebody has to look after it.

use chrono::NaiveDate;

use super::job::Time;

named! {
    /// A number of rows that a table should not pass unseen. Ordered: a later one is higher.
    Mark {
        /// Somebody has to plan what becomes of the oldest rows.
        Preparation = "preparation",
        /// It has to be done by now.
        Activation = "activation",
    }
}

impl Mark {
    /// How grave it is to be past it, as incidents are ranked.
    pub fn severity(self) -> &'static str {
        match self {
            Self::Preparation => "SEV3",
            Self::Activation => "SEV2",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marks {
    pub preparation_rows: i64,
    pub activation_rows: i64,
}

impl Marks {
    /// The highest mark that a table of so many rows is past.
    pub fn passed(&self, rows: i64) -> Option<Mark> {
        if rows >= self.activation_rows {
            Some(Mark::Activation)
        } else if rows > self.preparation_rows {
            Some(Mark::Preparation)
        } else {
            None
        }
    }

    pub fn rows(&self, mark: Mark) -> i64 {
        match mark {
            Mark::Preparation => self.preparation_rows,
            Mark::Activation => self.activation_rows,
        }
    }
}

/// A table that was found past a mark that it had not passed before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarkPassed {
    pub table: String,
    pub is_partitioned: bool,
    pub rows: i64,
    pub mark: Mark,
    pub mark_rows: i64,
    pub day: NaiveDate,
    pub at: Time,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_passed_as_the_rules_say() {
        let marks = Marks { preparation_rows: 60, activation_rows: 90 };
        for (rows, expected) in [
            (0, None),
            (60, None),
            (61, Some(Mark::Preparation)),
            (89, Some(Mark::Preparation)),
            (90, Some(Mark::Activation)),
        ] {
            assert_eq!(marks.passed(rows), expected, "{rows}");
        }
        assert!(Some(Mark::Activation) > Some(Mark::Preparation) && Some(Mark::Preparation) > None);
    }
}
