//! Generates edited env files for other parsers: one JSON object per line, reproducible by seed.
//!
//! `env_cases SEED CASES CORPUS` generates a file from common styles, or takes one of the corpus, writes a value into it and
//! removes it again. The bytes before, after and at the end are in hex. See `env_files.py`.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::print_stdout, reason = "a test tool")]
#![allow(clippy::disallowed_methods, reason = "a test tool may use the file system directly")]

use std::{
    env, fs,
    io::{BufWriter, Write as _, stdout},
};

use domain::{
    name::EnvVar,
    secret::{Secret, hex},
};
use files::dotenv::EnvText;
use serde_json::json;

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [seed, cases, corpus] = arguments.as_slice() else { panic!("env_cases SEED CASES CORPUS") };
    let mut rng = Rng(seed.parse().expect("SEED is a number"));
    let cases: usize = cases.parse().expect("CASES is a number");
    let corpus: Vec<Vec<u8>> = fs::read_dir(corpus)
        .expect("CORPUS is a folder")
        .map(|file| fs::read(file.expect("a file").path()).expect("a readable file"))
        .collect();
    let var = EnvVar::parse(NAME).expect("a name");
    let mut out = BufWriter::new(stdout().lock());
    let (mut written, mut refused) = (0, 0);
    while written < cases {
        let before = if rng.one_in(5) { corpus[rng.below(corpus.len())].clone() } else { file(&mut rng) };
        let value = value(&mut rng);
        let mut text = EnvText::new(before.clone());
        let is_there = text.last(&var).is_some();
        if text.set(&var, &Secret::new(value.clone()), |_| false).is_err() {
            refused += 1;
            continue;
        }
        let after = text.bytes().to_vec();
        let withdrawn = match text.remove(&var, |current| current == value.as_bytes()) {
            Ok(_) => Some(hex(text.bytes())),
            Err(_) => None,
        };
        let case = json!({
            "variable": NAME, "value": value, "is_there": is_there,
            "before": hex(&before), "after": hex(&after), "withdrawn": withdrawn,
        });
        writeln!(out, "{case}").expect("stdout is open");
        written += 1;
    }
    writeln!(out, "{}", json!({ "refused": refused })).expect("stdout is open");
}

fn file(rng: &mut Rng) -> Vec<u8> {
    let mut bytes = if rng.one_in(15) { b"\xef\xbb\xbf".to_vec() } else { Vec::new() };
    let usual: &[u8] = if rng.one_in(6) { b"\r\n" } else { b"\n" };
    let lines = rng.below(12);
    // Invalid lines in every sixth file only: with more, most parsers would reject most files.
    let is_broken = rng.one_in(6);
    let ours = (!rng.one_in(3)).then(|| rng.below(lines + 1));
    for place in 0..lines {
        let lines_to_choose_from = if ours == Some(place) {
            OURS
        } else if is_broken && rng.one_in(3) {
            BROKEN
        } else {
            COMMON
        };
        bytes.extend_from_slice(lines_to_choose_from[rng.below(lines_to_choose_from.len())].as_bytes());
        let is_open = place + 1 == lines && rng.one_in(3);
        if !is_open {
            bytes.extend_from_slice(if rng.one_in(40) { b"\r\n" } else { usual });
        }
    }
    bytes
}

fn value(rng: &mut Rng) -> String {
    if rng.one_in(6) {
        return REAL[rng.below(REAL.len())].to_owned();
    }
    let alphabet: &[u8] = if rng.one_in(2) { BARE } else { QUOTED };
    let longest = if rng.one_in(10) { 300 } else { 40 };
    let length = 1 + rng.below(longest);
    (0..length).map(|_| char::from(alphabet[rng.below(alphabet.len())])).collect()
}

/// `SplitMix64`, which gives the same numbers for the same seed on every machine.
struct Rng(u64);

impl Rng {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % end as u64).expect("less than an index")
    }

    fn one_in(&mut self, many: usize) -> bool {
        self.below(many) == 0
    }
}

const NAME: &str = "MEMORY_API_KEY";

/// Characters that may be unquoted, and some that may be only in certain positions.
const BARE: &[u8] = b"ABCXYZabcxyz0123456789_-./:+,@%?!=~";

/// All characters of generated values.
const QUOTED: &[u8] = b"ABCabc019_-./:+,@%?!=~#&()*;<>[]^{|}";

const REAL: &[&str] = &[
    "sk_proj_0123456789abcdefghijklmnopqrstuvwxyz",
    "sk-ant-api03-AbC_dEf-0123456789",
    "postgresql://user:pa55word@ep-cool-1234.eu-central-1.aws.neon.tech/neondb?sslmode=require&channel_binding=require",
    "redis://default:abc~def@redis-12345.c1.eu-west-1-3.ec2.cloud.example.com:12345",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c",
    "AKIAIOSFODNN7EXAMPLE/wJalrXUtnFEMI+K7MDENG==",
    "https://hooks.example.com/services/T00/B00/XXX?a=b&c=d#fragment",
    "-----BEGIN",
    "export",
    "#not-a-comment",
    "~/not-a-home",
    "=",
    "==",
    "a=b=c",
    "{\"json\":1}",
    "[1,2]",
    "<html>",
    "a;b",
    "a|b",
    "*",
    "0",
    "true",
    "null",
];

/// Common styles of other lines.
const COMMON: &[&str] = &[
    "",
    "   ",
    "# comment",
    "#MEMORY_API_KEY=old",
    "# it's \"mine\"",
    "A=1",
    "A=2",
    "B=two",
    "export C=3",
    "export  D=\"four\"",
    "E='five six' # comment",
    "F=\"with # no comment\"",
    "G=url#fragment",
    "H=value # comment",
    "I=",
    "J=\"\"",
    "K=''",
    "L=$A",
    "M=${A}",
    "N=\"${A}-${B:-default}\"",
    "O='$A literal'",
    "P=\"line one\nline two\"",
    "Q='-----BEGIN KEY-----\nMEMORY_API_KEY=no variable\n-----END KEY-----'",
    "R=\"escaped \\\" quote\"",
    "S=\"tab\\tnewline\\n\"",
    "T=back\\slash",
    "U='{\"json\": \"value\"}'",
    "V=op://vault/item/field",
    "W=base64:aGVsbG8=",
    "X=https://example.com/?a=b",
    "  Y=indented",
    "\tZ=tabbed",
    "AA=trailing   ",
    "AB=unicode-é-🎉",
    "AC=~/home",
    "AD=*.txt",
    "MEMORY_API_KEY_2=other",
    "MY_MEMORY_API_KEY=other",
    "memory_api_key=lower",
    "AE=MEMORY_API_KEY=inner",
];

/// Lines that at least one parser rejects or misreads.
const BROKEN: &[&str] = &[
    "BA: yaml",
    "BB : yaml",
    "BC = spaces",
    "BD=hello world",
    "BE=it's",
    "BF='open",
    "BG=\"open",
    "BH=`open",
    "BI='a' trailing",
    "BJ=\"a\" trailing",
    "BK='a'#comment",
    "BL=`back ticks`",
    "not an assignment",
    "BM",
    "export BN",
    "BO.dotted=1",
    "BP-dashed=1",
    "2BQ=1",
    "=nothing",
    "BR=(a b)",
    "BS=a&b",
    "BT=don't # won't",
    "export",
    "BU=\\",
    "[section]",
    "; semicolon",
    "'quoted'=1",
];

/// Forms of our variable before the edit.
const OURS: &[&str] = &[
    "MEMORY_API_KEY=",
    "MEMORY_API_KEY=old",
    "MEMORY_API_KEY=\"\"",
    "MEMORY_API_KEY='old' # comment",
    "MEMORY_API_KEY=\"old\nkey\"",
    "export MEMORY_API_KEY=old",
    "export MEMORY_API_KEY=\"old\" # comment",
    "  MEMORY_API_KEY=old",
    "MEMORY_API_KEY = old",
    "MEMORY_API_KEY: old",
    "MEMORY_API_KEY=old\nMEMORY_API_KEY=older",
];
