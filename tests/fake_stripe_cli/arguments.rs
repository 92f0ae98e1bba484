//! The command line: a verb, its arguments and its flags.

use std::collections::BTreeMap;

/// One invocation.
pub struct Call {
    pub argv: Vec<String>,
    /// `add`, `add --preflight`, `services list`, `env`, `env --pull`, `billing update`, `version`, …
    pub verb: String,
    /// Positional arguments after the verb.
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
        let mut consumed = depth;
        if let Some(word) = words.get(depth) {
            verb.push_str(word);
            consumed += 1;
            let second = words.get(consumed).filter(|second| NESTED.contains(&(word.as_str(), second.as_str())));
            if let Some(second) = second {
                verb = format!("{word} {second}");
                consumed += 1;
            }
        }
        for (with_flag, flag) in [("env", "pull"), ("init", "preflight"), ("add", "preflight")] {
            if verb == with_flag && flags.contains_key(flag) {
                verb = format!("{with_flag} --{flag}");
            }
        }
        words.drain(..consumed);
        Self { argv, verb, words, flags }
    }

    pub fn is_for_plugin(&self) -> bool {
        self.argv.first().is_some_and(|word| word == "projects")
    }

    pub fn has(&self, flag: &str) -> bool {
        self.flags.contains_key(flag)
    }

    pub fn value(&self, flag: &str) -> Option<&str> {
        self.flags.get(flag).map(String::as_str)
    }

    /// Returns the first argument after the verb: a name, a provider or a service.
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
