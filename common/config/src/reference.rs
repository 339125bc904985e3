//! The reference of all settings, made from their declarations.

use std::fmt::Write;

use crate::ENTRIES;

/// `docs/config.md`.
#[must_use]
pub fn reference() -> String {
    let mut page = String::from(
        "# Settings\n\n\
         This page is made from the declarations in `common/config`; a test compares the two.\n\n\
         A value comes from the default, the config file, the environment or the command line (`--set section.key=value`); the later ones win.\n\
         The variable of `network.listen` is `CONVEXD_NETWORK_LISTEN`. `convexctl config show` prints every setting with its source,\n\
         `supervisor --check-config` looks at a file without starting anything.\n",
    );
    let mut section = "";
    for entry in ENTRIES {
        let (name, key) = entry.path.split_once('.').unwrap_or(("", entry.path));
        if name != section {
            section = name;
            // Writing to a string can't fail.
            let _ = write!(
                page,
                "\n## `[{name}]`\n\n{}\n\n| key | value | default | |\n|---|---|---|---|\n",
                entry.section
            );
        }
        let default = if entry.default.is_empty() {
            "none".to_owned()
        } else {
            format!("`{}`", entry.default)
        };
        let doc = entry.doc.split_whitespace().collect::<Vec<_>>().join(" ");
        let _ = writeln!(page, "| `{key}` | {} | {default} | {doc} |", entry.kind);
    }
    page
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_page_in_the_documentation_is_this_one() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/config.md");
        if std::env::var_os("CONVEXD_WRITE_DOCS").is_some() {
            std::fs::write(path, super::reference()).unwrap();
        }
        let page = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            page == super::reference(),
            "docs/config.md is not up to date: run CONVEXD_WRITE_DOCS=1 cargo test -p config"
        );
    }
}
