//! Keeps `docs/` accurate: every reference in the code (`Rule 7`, `P16`, `R34`) resolves to an
//! entry, and every entry names tests that exist.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// The documents with numbered entries, and the tables that name tests.
const DOCUMENTS: [&str; 3] = ["DESIGN.md", "PITFALLS.md", "STANDARDS.md"];

/// An entry such as `- **P16.** ...`, up to the next one.
struct Entry {
    id: String,
    text: String,
}

#[test]
fn every_reference_resolves_to_an_entry() {
    let Some(entries) = entries() else { return };
    let known: BTreeSet<_> = entries.iter().map(|entry| entry.id.as_str()).collect();
    assert_eq!(known.len(), entries.len(), "an entry is numbered twice");

    let mut unresolved = Vec::new();
    for (path, text) in sources(&["src", "tests", "examples", "benches", "fuzz/targets"]) {
        for (index, line) in text.lines().enumerate() {
            for id in references(prose_of(&path, line)) {
                if !known.contains(id.as_str()) {
                    unresolved.push(format!("{}:{}: {id}", path.display(), index + 1));
                }
            }
        }
    }
    assert!(
        unresolved.is_empty(),
        "docs/ has no entry for these references:\n{}",
        unresolved.join("\n")
    );
}

#[test]
fn every_entry_names_tests_that_exist() {
    let Some(entries) = entries() else { return };
    let tests = tests();
    let mut wrong = Vec::new();
    for Entry { id, text } in &entries {
        let Some((_, named)) = text.split_once("Tests: ") else {
            wrong.push(format!("{id} names no test"));
            continue;
        };
        // The list ends with a period; what follows is prose.
        let named = named.split_once("`.").map_or(named, |(named, _)| named);
        for name in quoted(named) {
            if !tests.contains(name) {
                wrong.push(format!("{id} names `{name}`, which is not a test"));
            }
        }
    }
    assert!(wrong.is_empty(), "in docs/:\n{}", wrong.join("\n"));
}

#[test]
fn the_table_of_layer_orders_names_tests_that_exist() {
    let tests = tests();
    let table = fs::read_to_string(root().join("src/order.md")).unwrap();
    let rows = table
        .lines()
        .filter_map(|line| line.strip_suffix(" |")?.rsplit(" | ").next());
    let names: Vec<_> = rows.flat_map(quoted).collect();
    assert!(names.len() > 20, "the table was not found");
    let unknown: Vec<_> = names
        .iter()
        .filter(|name| !tests.contains(**name))
        .collect();
    assert!(unknown.is_empty(), "src/order.md names {unknown:?}");
}

#[test]
fn references_are_read_in_every_form() {
    let read = |line: &str| references(line).join(" ");
    assert_eq!(read("/// Rule 6, P15, R34: a retry"), "P15 R34 Rule 6");
    assert_eq!(read("Rules 1, 2 and 3: callers"), "Rule 1 Rule 2 Rule 3");
    assert_eq!(
        read("Rules 5 to 7, 11 and 12."),
        "Rule 5 Rule 6 Rule 7 Rule 11 Rule 12"
    );
    assert_eq!(read("R28-R31, see rule 8"), "R28 R29 R30 R31 Rule 8");
    assert_eq!(read("P-256, PS256 and the rule of RFC 6749"), "");
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns all numbered entries, or `None` if `docs/` is not part of this copy of the crate.
fn entries() -> Option<Vec<Entry>> {
    if !root().join("docs").is_dir() {
        println!("skipped: this copy of the crate has no docs/");
        return None;
    }
    let mut entries: Vec<Entry> = Vec::new();
    for name in DOCUMENTS {
        let text = fs::read_to_string(root().join("docs").join(name)).unwrap();
        let before = entries.len();
        let mut within = false;
        for line in text.lines() {
            if let Some((id, rest)) = line
                .strip_prefix("- **")
                .and_then(|rest| rest.split_once(".** "))
            {
                entries.push(Entry {
                    id: id.to_owned(),
                    text: rest.to_owned(),
                });
                within = true;
            } else if within && (line.starts_with("  ") || line.is_empty()) {
                let entry = entries.last_mut().unwrap();
                entry.text.push(' ');
                entry.text.push_str(line.trim());
            } else {
                within = false;
            }
        }
        assert!(entries.len() > before, "docs/{name} has no entries");
    }
    Some(entries)
}

/// Returns the `.rs` and `.md` files below the given directories.
fn sources(directories: &[&str]) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut queue: Vec<_> = directories.iter().map(|name| root().join(name)).collect();
    while let Some(path) = queue.pop() {
        if path.is_dir() {
            if !path.ends_with("target") {
                queue.extend(
                    fs::read_dir(path)
                        .unwrap()
                        .map(|entry| entry.unwrap().path()),
                );
            }
        } else if path
            .extension()
            .is_some_and(|end| end == "rs" || end == "md")
        {
            let text = fs::read_to_string(&path).unwrap();
            found.push((path.strip_prefix(root()).unwrap().to_owned(), text));
        }
    }
    found.sort();
    found
}

/// Returns the part of a line in which references count: comments in code, everything in Markdown.
fn prose_of<'a>(path: &Path, line: &'a str) -> &'a str {
    // This file quotes references that do not exist.
    if path == Path::new("tests/docs.rs") {
        ""
    } else if path.extension().is_some_and(|end| end == "md") {
        line
    } else {
        line.split_once("//").map_or("", |(_, comment)| comment)
    }
}

/// Returns the IDs that a line refers to: `P16`, `R28-R31`, `Rule 7`, `Rules 1, 2 and 3`, `Rules 1
/// to 7`.
fn references(line: &str) -> Vec<String> {
    let mut ids = Vec::new();
    let words: Vec<_> = line
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_')
        .filter(|word| !word.is_empty())
        .collect();
    for word in &words {
        let mut ends = word.split('-').map(numbered);
        match (ends.next().flatten(), ends.next().flatten()) {
            (Some((letter, first)), Some((_, last))) => {
                ids.extend((first..=last).map(|number| format!("{letter}{number}")));
            }
            (Some((letter, number)), None) if !word.contains('-') => {
                ids.push(format!("{letter}{number}"));
            }
            _ => {}
        }
    }
    for (index, word) in words.iter().enumerate() {
        if !matches!(*word, "Rule" | "Rules" | "rule" | "rules") {
            continue;
        }
        let (mut last, mut range) = (None, false);
        for word in &words[index + 1..] {
            match (*word, word.parse::<u32>()) {
                (_, Ok(number)) => {
                    let first = last.filter(|_| range).map_or(number, |last: u32| last + 1);
                    ids.extend((first..=number).map(|number| format!("Rule {number}")));
                    (last, range) = (Some(number), false);
                }
                ("to", _) => range = true,
                ("and", _) => {}
                _ => break,
            }
        }
    }
    ids
}

/// Returns the letter and number of an ID such as `P16`.
fn numbered(word: &str) -> Option<(char, u32)> {
    let letter = word.chars().next().filter(|c| matches!(c, 'P' | 'R'))?;
    let digits = word[1..].chars().all(|c| c.is_ascii_digit());
    (digits && word.len() <= 4)
        .then(|| word[1..].parse().ok())?
        .map(|number| (letter, number))
}

/// Returns the words in backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// Returns the names of all test functions.
fn tests() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (path, text) in sources(&["src", "tests"]) {
        if path.extension().is_some_and(|end| end == "md") {
            continue;
        }
        let mut marked = false;
        for line in text.lines().map(str::trim) {
            if let Some(attribute) = line.strip_prefix("#[") {
                let attribute = attribute.split(['(', ']']).next().unwrap_or_default();
                marked |= attribute.split("::").last() == Some("test");
            } else if let Some((_, rest)) = line.split_once("fn ") {
                if marked {
                    names.insert(rest.split(['(', '<']).next().unwrap().to_owned());
                }
                marked = false;
            } else if !line.is_empty() && !line.starts_with("//") && line.ends_with(['{', ';']) {
                marked = false;
            }
        }
    }
    assert!(names.len() > 100, "the tests were not found");
    names
}
