//! What a job is and how it may move: pure, without I/O, clocks or randomness of its own.

/// Defines a closed set of names as they stand in the tables and in events.
macro_rules! named {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }

        impl $name {
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($text => Some(Self::$variant),)* _ => None }
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let name = <String as serde::Deserialize>::deserialize(deserializer)?;
                Self::from_name(&name).ok_or_else(|| serde::de::Error::custom(concat!("no ", stringify!($name))))
            }
        }
    };
}

pub mod approval;
pub mod budget;
pub mod dependency;
pub mod fair;
pub mod growth;
pub mod hold;
pub mod job;
pub mod key;
pub mod labels;
pub mod payload;
pub mod payload_hash;
pub mod project;
pub mod rate;
pub mod retry;
pub mod submission;
pub mod transition;
pub mod watch;
