//! Which files a run reads, and the files beside them.

use std::io;
use std::path::{Path, PathBuf};

/// A file of vectors and what belongs to it.
#[derive(Debug)]
pub(crate) struct VectorFile {
    /// Path, as given or below the directory as given.
    pub(crate) path: PathBuf,
    /// `--genesis`, if it was given.
    pub(crate) genesis: Option<PathBuf>,
}

impl VectorFile {
    /// The state file that this file's cases start from: the one given, else the only `genesis*.bin` beside the file.
    pub(crate) fn genesis(&self) -> Result<PathBuf, String> {
        if let Some(path) = &self.genesis {
            return Ok(path.clone());
        }
        let directory = directory_of(&self.path);
        let candidates = entries(directory, |name| {
            name.starts_with("genesis") && name.ends_with(".bin")
        })
        .map_err(|error| format!("cannot list {}: {error}", directory.display()))?;
        match &candidates[..] {
            [only] => Ok(only.clone()),
            [] => Err(format!(
                "no genesis*.bin in {}; name one with --genesis",
                directory.display()
            )),
            several => Err(format!(
                "{} files genesis*.bin in {}; choose one with --genesis",
                several.len(),
                directory.display()
            )),
        }
    }

    /// The file that has this file's name with another ending, for example `etch-small.etch.gz` beside `etch-small.jsonl`.
    pub(crate) fn beside(&self, ending: &str) -> PathBuf {
        let name = self
            .path
            .file_name()
            .map(|name| name.to_string_lossy())
            .unwrap_or_default();
        let stem = name.strip_suffix(".gz").unwrap_or(&name);
        let stem = stem.strip_suffix(".jsonl").unwrap_or(stem);
        self.path.with_file_name(format!("{stem}{ending}"))
    }
}

/// The files of vectors at a path: itself, or those directly in the directory, by name.
pub(crate) fn find(path: &Path) -> io::Result<Vec<PathBuf>> {
    if path.is_dir() {
        entries(path, |name| {
            name.ends_with(".jsonl") || name.ends_with(".jsonl.gz")
        })
    } else {
        Ok(vec![path.to_owned()])
    }
}

fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

fn entries(directory: &Path, wanted: impl Fn(&str) -> bool) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_name().to_str().is_some_and(&wanted) {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_companion_has_the_same_stem_whether_or_not_the_lines_are_compressed() {
        for name in ["v/etch-small.jsonl", "v/etch-small.jsonl.gz"] {
            let file = VectorFile {
                path: name.into(),
                genesis: None,
            };
            assert_eq!(
                file.beside(".etch.gz"),
                PathBuf::from("v/etch-small.etch.gz")
            );
        }
    }

    #[test]
    fn a_bare_file_name_lies_in_the_current_directory() {
        assert_eq!(directory_of(Path::new("a.jsonl")), Path::new("."));
        assert_eq!(directory_of(Path::new("v/a.jsonl")), Path::new("v"));
    }
}
