//! Names that people and clients choose.

use std::{borrow::Borrow, fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::IdError;

/// What a name may look like.
pub(crate) struct Grammar {
    pub(crate) what: &'static str,
    pub(crate) chars_max: usize,
    pub(crate) allowed: &'static str,
    pub(crate) first: fn(u8) -> bool,
    pub(crate) rest: fn(u8) -> bool,
}

impl Grammar {
    pub(crate) fn check(&self, text: &str) -> Result<(), IdError> {
        let what = self.what;
        let Some((first, rest)) = text.as_bytes().split_first() else {
            return Err(IdError::Empty { what });
        };
        // Every alphabet is ASCII, so a byte is a character wherever the alphabet holds.
        if text.len() > self.chars_max {
            return Err(IdError::TooLong { what, chars_max: self.chars_max });
        }
        if (self.first)(*first) && rest.iter().all(|byte| (self.rest)(*byte)) {
            Ok(())
        } else {
            Err(IdError::Alphabet { what, allowed: self.allowed })
        }
    }
}

fn lower_alphanumeric(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

fn lower_word(byte: u8) -> bool {
    lower_alphanumeric(byte) || matches!(byte, b'.' | b'_' | b'-')
}

fn alphanumeric(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

fn worker_word(byte: u8) -> bool {
    alphanumeric(byte) || matches!(byte, b'.' | b'_' | b':' | b'/' | b'-')
}

pub(crate) fn printable(byte: u8) -> bool {
    byte.is_ascii_graphic()
}

const LOWER: &str = "a-z, 0-9, '.', '_' and '-', beginning with a letter or digit";
const PRINTABLE: &str = "printable ASCII characters without spaces";

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident { $what:literal, $chars_max:literal, $allowed:expr, $first:ident, $rest:ident })*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            pub const CHARS_MAX: usize = $chars_max;
            const GRAMMAR: Grammar =
                Grammar { what: $what, chars_max: $chars_max, allowed: $allowed, first: $first, rest: $rest };

            pub fn parse(text: &str) -> Result<Self, IdError> {
                Self::GRAMMAR.check(text)?;
                Ok(Self(Arc::from(text)))
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::parse(text)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
            }
        }
    )*};
}

names! {
    /// The isolation boundary. Holds no comma: the scope setting of a transaction is a comma-separated list.
    TenantId { "tenant id", 64, LOWER, lower_alphanumeric, lower_word }
    /// A project of a tenant.
    ProjectId { "project id", 64, LOWER, lower_alphanumeric, lower_word }
    /// What a job is to do, such as `repo.digest`.
    Intent { "intent", 128, LOWER, lower_alphanumeric, lower_word }
    /// A process that works on jobs, named by itself.
    WorkerId {
        "worker id", 128, "letters, digits, '.', '_', ':', '/' and '-', beginning with a letter or digit",
        alphanumeric, worker_word
    }
    /// Who runs a model.
    ProviderName {
        "provider", 64, "letters, digits, '.', '_', ':', '/' and '-', beginning with a letter or digit", alphanumeric, worker_word
    }
    /// A model, as its provider names it.
    ModelName {
        "model", 128, "letters, digits, '.', '_', ':', '/' and '-', beginning with a letter or digit", alphanumeric, worker_word
    }
    /// The principal of a verified token.
    ActorId { "actor id", 256, PRINTABLE, printable, printable }
    /// A class of the order in which locks are taken.
    LockClass { "lock class", 64, LOWER, lower_alphanumeric, lower_word }
    /// What is locked, within its project and class.
    ResourceKey { "resource key", 256, PRINTABLE, printable, printable }
    /// Whoever of a principal takes locks: a session, a task, a thread.
    LockOwner { "owner", 128, PRINTABLE, printable, printable }
    /// The client's name for one intended effect.
    IdempotencyKey { "idempotency key", 256, PRINTABLE, printable, printable }
}
