//! What was asked: the verb, its words and its flags.

use std::collections::BTreeMap;

/// One invocation.
pub struct Call {
    pub argv: Vec<String>,
    /// `add`, `add --preflight`, `services list`, `env`, `env --pull`, `billing update`, `version`, …
    pub verb: String,
    /// What follows the verb and is no flag.
    pub words: Vec<String>,
    flags: BTreeMap<String, String>,
}

impl Call {
    pub fn parse(argv: Vec<String>) -> Self {
        let (mut words, mut flags) = (Vec::new(), BTreeMap::new());
        let mut rest = argv.iter();
        while let Some(word) = rest.next() {
            match word.strip_prefix("--").map(|flag| flag.split_once('=').unwrap_or((flag, ""))) {
                _ if word == "-y" => drop(flags.insert("yes".to_owned(), String::new())),
                Some((flag, "")) if TAKE_A_VALUE.contains(&flag) => {
                    flags.insert(flag.to_owned(), rest.next().cloned().unwrap_or_default());
                }
                Some((flag, value)) => drop(flags.insert(flag.to_owned(), value.to_owned())),
                None => words.push(word.clone()),
            }
        }
        let mut verb = if words.is_empty() && flags.contains_key("version") { "version" } else { "" }.to_owned();
        let depth = usize::from(words.first().is_some_and(|word| word == "projects"));
        let mut taken = depth;
        if let Some(word) = words.get(depth) {
            verb.push_str(word);
            taken += 1;
            let second = words.get(taken).filter(|second| NESTED.contains(&(word.as_str(), second.as_str())));
            if let Some(second) = second {
                verb = format!("{word} {second}");
                taken += 1;
            }
        }
        for (of, flag) in [("env", "pull"), ("init", "preflight"), ("add", "preflight")] {
            if verb == of && flags.contains_key(flag) {
                verb = format!("{of} --{flag}");
            }
        }
        words.drain(..taken);
        Self { argv, verb, words, flags }
    }

    pub fn of_projects(&self) -> bool {
        self.argv.first().is_some_and(|word| word == "projects")
    }

    pub fn has(&self, flag: &str) -> bool {
        self.flags.contains_key(flag)
    }

    pub fn value(&self, flag: &str) -> Option<&str> {
        self.flags.get(flag).map(String::as_str)
    }

    /// The first word after the verb: a name, a provider, a service.
    pub fn subject(&self) -> &str {
        self.words.first().map_or("", String::as_str)
    }
}

const TAKE_A_VALUE: [&str; 7] = ["color", "config", "limit", "mode", "name", "output", "provider"];

const NESTED: [(&str, &str); 6] = [
    ("billing", "show"),
    ("billing", "update"),
    ("env", "create"),
    ("env", "list"),
    ("env", "use"),
    ("services", "list"),
];
