//! One declaration for type, default and documentation.

/// A setting as people see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// `section.key`.
    pub path: &'static str,
    /// The documentation of its section.
    pub section: &'static str,
    /// Its documentation.
    pub doc: &'static str,
    /// What values look like.
    pub kind: &'static str,
    /// The default, as in a file; empty when there is none.
    pub default: &'static str,
}

/// Declares the sections and their settings, and how they are filled from values by path.
macro_rules! settings {
    ($(
        #[doc = $section_doc:literal]
        $section:ident: $type:ident {
            $(
                $(#[doc = $doc:literal])+
                $field:ident ($path:literal): $value:ty = $default:literal,
            )*
        }
    )*) => {
        /// All settings of a peer.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct Config {
            $(#[doc = $section_doc] pub $section: $type,)*
        }

        $(
            #[doc = $section_doc]
            #[derive(Debug, Clone, PartialEq, Eq)]
            pub struct $type {
                $($(#[doc = $doc])+ pub $field: $value,)*
            }
        )*

        /// All settings, in the order of the reference.
        pub const ENTRIES: &[$crate::Entry] = &[$($(
            $crate::Entry {
                path: $path,
                section: $section_doc,
                doc: concat!($($doc, "\n"),+),
                kind: <$value as $crate::Setting>::KIND,
                default: $default,
            },
        )*)*];

        impl Config {
            /// Fills the settings; `value` gives the text of each, as in a file.
            pub(crate) fn fill<E>(
                mut value: impl FnMut(&'static str, fn(&toml_edit::Value) -> Result<(), String>) -> Result<toml_edit::Value, E>,
            ) -> Result<Self, E> {
                Ok(Self {
                    $($section: $type {
                        $($field: {
                            let given = value($path, |given| <$value as $crate::Setting>::read(given).map(drop))?;
                            match <$value as $crate::Setting>::read(&given) {
                                Ok(read) => read,
                                // `value` has read it once already.
                                Err(why) => unreachable!("{}: {why}", $path),
                            }
                        },)*
                    },)*
                })
            }
        }
    };
}

pub(crate) use settings;
