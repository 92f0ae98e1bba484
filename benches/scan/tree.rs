//! Creates a typical developer's tree: many small sources, some lock files, a few large transcripts and binaries.

use std::{fmt::Write as _, fs, path::Path};

/// Creates the tree and returns its size in bytes.
pub fn create(tree: &Path) -> usize {
    let mut rng = Rng::new(7);
    let mut bytes = 0;
    let mut write = |path: String, text: Vec<u8>| {
        let path = tree.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        bytes += text.len();
        fs::write(path, text).unwrap();
    };
    for number in 0..16_000 {
        write(format!("src/{}/{}/m{number}.ts", number % 40, number % 400), source(&mut rng, 5_000).into_bytes());
    }
    for number in 0..6 {
        write(format!("packages/{number}/package-lock.json"), lock(&mut rng, 1_000_000).into_bytes());
        write(format!(".claude/projects/{number}.jsonl"), transcript(&mut rng, 14_000_000).into_bytes());
    }
    for number in 0..4 {
        write(format!("target/lib{number}.so"), (0..7_500_000).map(|_| rng.byte()).collect());
    }
    bytes
}

fn source(rng: &mut Rng, length: usize) -> String {
    let mut text = String::new();
    while text.len() < length {
        let (a, b, c) = (rng.word(), rng.word(), rng.word());
        let _ = writeln!(text, "  const {a}_{b} = await task_{c}({a}.{c}, \"{b} {c}\", {});", rng.below(9_999));
        let _ = writeln!(text, "  // The {c} of {a} is what {b} wants before it may {a} a {c}.");
    }
    text
}

fn lock(rng: &mut Rng, length: usize) -> String {
    let mut text = String::new();
    while text.len() < length {
        let name = rng.word();
        let _ = writeln!(text, "    \"node_modules/{name}\": {{ \"integrity\": \"sha512-{}==\",", rng.hex(86));
        let _ = writeln!(
            text,
            "      \"resolved\": \"https://registry.npmjs.org/{name}/-/{name}-1.2.{}.tgz\" }},",
            rng.below(99)
        );
    }
    text
}

fn transcript(rng: &mut Rng, length: usize) -> String {
    let mut text = String::new();
    while text.len() < length {
        let (id, a, b, c) = (rng.hex(32), rng.word(), rng.word(), rng.word());
        let _ = writeln!(
            text,
            "{{\"uuid\":\"{id}\",\"type\":\"assistant\",\"message\":{{\"text\":\"I read {a}/{b}.ts and the {c} of \
             it:\\n\\n  const {a} = {b}({c});\\n\\nThen I ran `npm test -- {a}` and {b} failed at {c}.\"}}}}"
        );
    }
    text
}

/// A pseudo-random number generator with the same sequence in every run.
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn hex(&mut self, length: usize) -> String {
        (0..length).map(|_| char::from(b"0123456789abcdef"[self.below(16)])).collect()
    }

    fn word(&mut self) -> &'static str {
        WORDS[self.below(WORDS.len())]
    }

    fn byte(&mut self) -> u8 {
        u8::try_from(self.below(256)).unwrap()
    }

    fn below(&mut self, end: usize) -> usize {
        // SplitMix64; its high bits have the better quality.
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ (mixed >> 31)) >> 32).unwrap() % end
    }
}

const WORDS: &[&str] = &[
    "account",
    "balance",
    "cache",
    "client",
    "config",
    "context",
    "credential",
    "customer",
    "handler",
    "invoice",
    "ledger",
    "message",
    "mask",
    "options",
    "payment",
    "policy",
    "project",
    "provider",
    "request",
    "response",
    "risk",
    "session",
    "state",
    "token",
    "transaction",
    "usage",
    "value",
    "webhook",
    "workspace",
    "index",
];
