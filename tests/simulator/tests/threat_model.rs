//! What the threat model claims names tests, and these exist.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// Names of functions that are tests.
fn tests(text: &str) -> impl Iterator<Item = &str> {
    text.split("#[test]").skip(1).filter_map(|after| {
        let (_, name) = after.split_once("fn ")?;
        name.split(['(', '<']).next()
    })
}

#[test]
fn every_test_that_the_threat_model_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let text = fs::read_to_string(root.join("docs/threat-model.md")).expect("the threat model");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let texts: Vec<String> = files
        .iter()
        .filter_map(|f| fs::read_to_string(f).ok())
        .collect();
    let known: HashSet<&str> = texts.iter().flat_map(|text| tests(text)).collect();
    // Names in backquotes that read like sentences.
    let named = text.split('`').skip(1).step_by(2);
    let named: Vec<&str> = named
        .filter(|name| name.matches('_').count() >= 4 && !name.contains(['.', '/', ' ']))
        .collect();
    assert!(named.len() > 60, "{}", named.len());
    let absent: Vec<&&str> = named
        .iter()
        .filter(|name| !known.contains(**name))
        .collect();
    assert!(absent.is_empty(), "{absent:#?}");
}
