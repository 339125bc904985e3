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

/// Settings whose value in the packages is not the default.
const INSTALLED: &[(&str, &str)] = &[("supervisor.group", "\"convexd\"")];

/// Longest line of the file.
const LINE: usize = 100;

/// The file that packages install as `/etc/convexd/convexd.toml`: every setting with its documentation, those with the default as a
/// comment.
#[must_use]
pub fn template() -> String {
    let mut file = String::from(
        "# Settings of the Convex peer of this machine.\n\
         #\n\
         # A line that begins with `#key =` shows a default; remove the `#` to set another value. After a change:\n\
         #   convexctl config show            every setting and where it comes from\n\
         #   systemctl reload convexd         takes over what can change in a running peer, and names the rest in the log\n\
         #   systemctl restart convexd\n\
         #\n\
         # [peer] has what a peer can't do without: key, network, and genesis for a network whose state the store does not hold yet.\n",
    );
    let mut section = "";
    for entry in ENTRIES {
        let (name, key) = entry.path.split_once('.').unwrap_or(("", entry.path));
        if name != section {
            section = name;
            let _ = writeln!(file, "\n[{name}]");
            comment(&mut file, entry.section);
        }
        file.push('\n');
        comment(&mut file, entry.doc);
        comment(&mut file, &format!("Value: {}.", entry.kind));
        let installed = INSTALLED.iter().find(|(path, _)| *path == entry.path);
        let _ = match (installed, entry.default) {
            (Some((_, value)), _) => writeln!(file, "{key} = {value}"),
            (None, "") => writeln!(file, "#{key} ="),
            (None, default) => writeln!(file, "#{key} = {default}"),
        };
    }
    file
}

/// Words as lines of a comment.
fn comment(file: &mut String, text: &str) {
    let mut line = String::from("#");
    for word in text.split_whitespace() {
        if line.chars().count() + 1 + word.chars().count() > LINE {
            let _ = writeln!(file, "{line}");
            line = String::from("#");
        }
        line.push(' ');
        line.push_str(word);
    }
    let _ = writeln!(file, "{line}");
}

#[cfg(test)]
mod tests {
    use crate::{Config, ENTRIES, File, Source};

    #[test]
    fn the_file_of_the_packages_is_this_one() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../packaging/convexd.toml");
        if std::env::var_os("CONVEXD_WRITE_DOCS").is_some() {
            std::fs::write(path, super::template()).unwrap();
        }
        let file = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            file == super::template(),
            "packaging/convexd.toml is not up to date: run CONVEXD_WRITE_DOCS=1 cargo test -p config"
        );
    }

    #[test]
    fn the_file_of_the_packages_changes_only_what_packages_change() {
        let file = File::parse("convexd.toml", &super::template()).unwrap();
        let loaded = Config::load(Some(&file), [], []).unwrap();
        for entry in ENTRIES {
            let changed = super::INSTALLED.iter().any(|(path, _)| *path == entry.path);
            assert_eq!(
                *loaded.source(entry.path) != Source::Default,
                changed,
                "{}",
                entry.path
            );
        }
    }

    #[test]
    fn the_comments_of_the_file_of_the_packages_are_the_defaults() {
        // Every line with a value taken out of its comment.
        let text: String = super::template()
            .lines()
            .map(|line| match line.strip_prefix('#') {
                Some(rest) if rest.ends_with('=') => String::new(),
                Some(rest) if !rest.starts_with(' ') && !rest.is_empty() => format!("{rest}\n"),
                _ => format!("{line}\n"),
            })
            .collect();
        let file = File::parse("convexd.toml", &text).unwrap();
        let mut loaded = Config::load(Some(&file), [], []).unwrap().config;
        let defaults = Config::load(None, [], []).unwrap().config;
        assert_eq!(loaded.supervisor.group.as_deref(), Some("convexd"));
        loaded.supervisor.group = None;
        assert_eq!(loaded, defaults);
        let values = ENTRIES.iter().filter(|e| !e.default.is_empty()).count();
        assert_eq!(
            text.lines()
                .filter(|line| line.contains(" = ") && !line.starts_with('#'))
                .count(),
            values + super::INSTALLED.len()
        );
    }

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
