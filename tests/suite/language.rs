//! The vocabulary: no tracked text file contains a word that `tests/retired_words.txt` lists.

use std::{
    collections::BTreeMap,
    fmt::{self, Display},
    fs,
    path::Path,
    process::Command,
};

#[test]
fn tracked_files_contain_no_retired_word() {
    let rules = Rules::parse(&fs::read_to_string(root().join(LIST)).unwrap());
    let Some(files) = tracked_files() else {
        return eprintln!("NOT CHECKED: this is not a git work tree");
    };
    let mut hits = Vec::new();
    let mut unused: Vec<&Exemption> = rules.exemptions.iter().collect();
    for path in files.iter().filter(|path| !EXCLUDED.iter().any(|excluded| path.starts_with(excluded))) {
        let Ok(text) = fs::read_to_string(root().join(path)) else { continue };
        unused.retain(|exemption| !(exemption.covers(path) && text.contains(&exemption.text)));
        hits.extend(rules.search(path, &text));
    }
    print_counts("file", hits.iter().map(|hit| &hit.path));
    print_counts("word", hits.iter().map(|hit| &hit.word));
    if hits.len() <= LISTED {
        for hit in &hits {
            println!("{hit}");
        }
    }
    assert!(hits.is_empty(), "{} retired words; {LIST} has their replacements", hits.len());
    assert!(unused.is_empty(), "{LIST} exempts text that does not exist: {unused:?}");
}

#[test]
fn search_of_identifiers_finds_parts() {
    let rules = Rules::parse("blue -> azure\n");
    for text in ["blue", "is_blue_now", "BlueSky", "skyBlue", "BLUE_SKY", "HTTPBlue", "Blue2", "blue's", "(blue)"] {
        assert_eq!(rules.search("a.rs", text).len(), 1, "{text}");
    }
    for text in ["bluer", "Bluetooth", "ablue", "BLUEST"] {
        assert!(rules.search("a.rs", text).is_empty(), "{text}");
    }
}

#[test]
fn search_of_phrases_ignores_case_and_separators() {
    let rules = Rules::parse("red apple -> fruit # not a comment\n");
    let hits = rules.search("a.rs", "one\nThe red  Apple, RedApple, red-apple\nred green apple\napple red\n");
    let described: Vec<String> = hits.iter().map(Hit::to_string).collect();
    let expected = "a.rs:2: `red apple`, use: fruit # not a comment";
    assert_eq!(described, [expected; 3]);
}

#[test]
fn exempted_text_hides_only_itself() {
    let rules = Rules::parse("blue -> azure\nallow src/ | \"blue\" | a color\nallow b.md | blue sea | a song\n");
    let count = |path, text| rules.search(path, text).len();
    assert_eq!((count("src/a.rs", "\"blue\""), count("a.rs", "\"blue\"")), (0, 1));
    assert_eq!((count("b.md", "the blue sea"), count("b.md", "a blue sky, a blue sea")), (0, 1));
}

#[test]
fn listed_words_are_lower_case_with_a_replacement() {
    let rules = Rules::parse(&fs::read_to_string(root().join(LIST)).unwrap());
    assert!(rules.words.len() > 20);
    for word in &rules.words {
        assert_eq!(word.pattern, parts(&word.text), "{} is not lower-case words", word.text);
        assert!(!word.replacement.is_empty(), "{} has no replacement", word.text);
    }
    for exemption in &rules.exemptions {
        assert!(root().join(&exemption.path).exists() && !exemption.reason.is_empty(), "{exemption:?}");
    }
}

/// The content of the list.
struct Rules {
    words: Vec<Word>,
    exemptions: Vec<Exemption>,
}

struct Word {
    text: String,
    pattern: Vec<String>,
    replacement: String,
}

#[derive(Debug)]
struct Exemption {
    /// A file, or a folder with a final slash.
    path: String,
    text: String,
    reason: String,
}

struct Hit {
    path: String,
    line: usize,
    word: String,
    replacement: String,
}

impl Rules {
    fn parse(list: &str) -> Self {
        let mut rules = Self { words: Vec::new(), exemptions: Vec::new() };
        for line in list.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            if let Some(exemption) = line.strip_prefix("allow ") {
                let fields: Vec<&str> = exemption.split(" | ").map(str::trim).collect();
                let [path, text, reason] = fields[..] else { panic!("not `allow PATH | TEXT | REASON`: {line}") };
                let (path, text, reason) = (path.to_owned(), text.to_owned(), reason.to_owned());
                rules.exemptions.push(Exemption { path, text, reason });
            } else {
                let Some((pattern, replacement)) = line.split_once(" -> ") else { panic!("no replacement: {line}") };
                let words = pattern.split(' ').map(str::to_owned).collect();
                rules.words.push(Word {
                    text: pattern.to_owned(),
                    pattern: words,
                    replacement: replacement.to_owned(),
                });
            }
        }
        rules
    }

    fn search(&self, path: &str, text: &str) -> Vec<Hit> {
        let exempted: Vec<&str> =
            self.exemptions.iter().filter(|exemption| exemption.covers(path)).map(|one| one.text.as_str()).collect();
        let mut hits = Vec::new();
        for (line, content) in (1..).zip(text.lines()) {
            let content = exempted.iter().fold(content.to_owned(), |content, text| content.replace(text, "|"));
            let parts = parts(&content);
            for word in &self.words {
                let occurrences = parts.windows(word.pattern.len()).filter(|window| **window == word.pattern).count();
                hits.extend((0..occurrences).map(|_| Hit {
                    path: path.to_owned(),
                    line,
                    word: word.text.clone(),
                    replacement: word.replacement.clone(),
                }));
            }
        }
        hits
    }
}

impl Exemption {
    fn covers(&self, path: &str) -> bool {
        if self.path.ends_with('/') { path.starts_with(&self.path) } else { self.path == path }
    }
}

impl Display for Hit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: `{}`, use: {}", self.path, self.line, self.word, self.replacement)
    }
}

/// Splits a line into lower-case words: at everything except letters, and at the humps of `CamelCase`.
fn parts(line: &str) -> Vec<String> {
    let (mut parts, mut part, mut previous) = (Vec::new(), String::new(), ' ');
    let mut letters = line.chars().chain([' ']).peekable();
    while let Some(letter) = letters.next() {
        let ends_capitals = previous.is_uppercase() && letters.peek().is_some_and(|next| next.is_lowercase());
        let is_hump = letter.is_uppercase() && (previous.is_lowercase() || ends_capitals);
        if (is_hump || !letter.is_alphabetic()) && !part.is_empty() {
            parts.push(std::mem::take(&mut part));
        }
        if letter.is_alphabetic() {
            part.extend(letter.to_lowercase());
        }
        previous = letter;
    }
    parts
}

fn print_counts<'a>(of: &str, values: impl Iterator<Item = &'a String>) {
    let mut counts = BTreeMap::<&str, usize>::new();
    values.for_each(|value| *counts.entry(value).or_default() += 1);
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    println!("by {of}:");
    for (value, count) in counts {
        println!("{count:6}  {value}");
    }
}

/// Returns the tracked files, or `None` outside a git work tree, as in the published crate.
fn tracked_files() -> Option<Vec<String>> {
    let output = Command::new("git").args(["ls-files", "-z"]).current_dir(root()).output().ok()?;
    let files = String::from_utf8(output.stdout).unwrap();
    let files: Vec<String> = files.split_terminator('\0').map(str::to_owned).collect();
    (output.status.success() && !files.is_empty()).then_some(files)
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

const LIST: &str = "tests/retired_words.txt";

/// Prefixes of paths that are not searched: licences, generated files and text of other programs.
const EXCLUDED: [&str; 7] = [
    "Cargo.lock",
    "LICENSE",
    "fuzz/Cargo.lock",
    "crates/simulator/src/catalog",
    "tests/clients/pinned/",
    "tests/corpus/",
    LIST,
];

/// Single hits are printed only below this number.
const LISTED: usize = 300;
