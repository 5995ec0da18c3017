//! The statements on an outbox, written out once for each source: a schema's name cannot be a parameter, and a checked
//! query could name one schema only. The tests run every one of them on each source.

use std::sync::Arc;

use sqlx::AssertSqlSafe;

use crate::domain::source::Source;

macro_rules! statements {
    ($($name:ident)*) => {
        #[derive(Debug)]
        pub(super) struct Statements {
            $($name: Arc<str>,)*
        }

        impl Statements {
            pub(super) fn on(source: Source) -> Self {
                Self { $($name: written(include_str!(concat!("queries/outbox/", stringify!($name), ".sql")), source),)* }
            }

            $(
                pub(super) fn $name(&self) -> AssertSqlSafe<Arc<str>> {
                    AssertSqlSafe(self.$name.clone())
                }
            )*
        }
    };
}

statements! {
    adopt backlog count_failure entries_unrecorded lost_density mark_published shards_lock shards_settle unpublish unpublished
}

/// Safe: the name is one of a closed set.
fn written(text: &str, source: Source) -> Arc<str> {
    text.replace("{schema}", source.name()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_s_statements_name_its_schema_and_no_other() {
        let locks = format!("{:?}", Statements::on(Source::Locks));
        assert_eq!(locks.matches("locks.outbox").count(), 12);
        assert!(!locks.contains("jobs") && !locks.contains("{schema}"), "{locks}");
    }
}
