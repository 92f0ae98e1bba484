//! Env files that our code wrote, for readers that others wrote: one JSON object a line, in thousands, from a seed.
//!
//! `env_cases SEED CASES CORPUS` makes up a file out of habits that people have, or takes one of the corpus, delivers a
//! value into it and withdraws it again. The bytes before, after and in the end are in hex. See `env_files.py`.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a tool of the tests"
)]
#![allow(clippy::disallowed_methods, reason = "a tool of the tests stands outside the house")]

use std::{
    env, fs,
    io::{BufWriter, Write as _, stdout},
};

use serde_json::json;
use stripe_projects_mcp::{dotenv::EnvText, name::EnvVar, secret::Secret, secret::hex};

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [seed, cases, corpus] = arguments.as_slice() else { panic!("env_cases SEED CASES CORPUS") };
    let mut dice = Dice(seed.parse().expect("a seed is a number"));
    let cases: usize = cases.parse().expect("the number of cases is a number");
    let corpus: Vec<Vec<u8>> = fs::read_dir(corpus)
        .expect("a corpus is a folder")
        .map(|file| fs::read(file.expect("a file").path()).expect("a file that can be read"))
        .collect();
    let var = EnvVar::parse(NAME).expect("a name");
    let mut out = BufWriter::new(stdout().lock());
    let (mut made, mut refused) = (0, 0);
    while made < cases {
        let before = if dice.one_in(5) { corpus[dice.below(corpus.len())].clone() } else { file(&mut dice) };
        let value = value(&mut dice);
        let mut text = EnvText::new(before.clone());
        let is_there = text.last(&var).is_some();
        if text.set(&var, &Secret::new(value.clone()), |_| false).is_err() {
            refused += 1;
            continue;
        }
        let after = text.bytes().to_vec();
        let withdrawn = match text.remove(&var, |found| found == value.as_bytes()) {
            Ok(_) => Some(hex(text.bytes())),
            Err(_) => None,
        };
        let case = json!({
            "variable": NAME, "value": value, "is_there": is_there,
            "before": hex(&before), "after": hex(&after), "withdrawn": withdrawn,
        });
        writeln!(out, "{case}").expect("somebody who reads");
        made += 1;
    }
    writeln!(out, "{}", json!({ "refused": refused })).expect("somebody who reads");
}

fn file(dice: &mut Dice) -> Vec<u8> {
    let mut bytes = if dice.one_in(15) { b"\xef\xbb\xbf".to_vec() } else { Vec::new() };
    let usual: &[u8] = if dice.one_in(6) { b"\r\n" } else { b"\n" };
    let lines = dice.below(12);
    // A broken line in every sixth file: more, and most readers would read nothing at all.
    let is_broken = dice.one_in(6);
    let ours = (!dice.one_in(3)).then(|| dice.below(lines + 1));
    for place in 0..lines {
        let of = match place {
            _ if ours != Some(place) => {
                if is_broken && dice.one_in(3) {
                    BROKEN
                } else {
                    HABITS
                }
            }
            _ => OURS,
        };
        bytes.extend_from_slice(of[dice.below(of.len())].as_bytes());
        let is_open = place + 1 == lines && dice.one_in(3);
        if !is_open {
            bytes.extend_from_slice(if dice.one_in(40) { b"\r\n" } else { usual });
        }
    }
    bytes
}

fn value(dice: &mut Dice) -> String {
    if dice.one_in(6) {
        return REAL[dice.below(REAL.len())].to_owned();
    }
    let alphabet: &[u8] = if dice.one_in(2) { BARE } else { QUOTED };
    let longest = if dice.one_in(10) { 300 } else { 40 };
    let length = 1 + dice.below(longest);
    (0..length).map(|_| char::from(alphabet[dice.below(alphabet.len())])).collect()
}

/// `SplitMix64`: the same numbers for the same seed, on every machine.
struct Dice(u64);

impl Dice {
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

/// All that may be written bare, and a few that may not in every place.
const BARE: &[u8] = b"ABCXYZabcxyz0123456789_-./:+,@%?!=~";

/// All that is ever written.
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

/// How people write what is not ours.
const HABITS: &[&str] = &[
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

/// What some reader stumbles at.
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

/// How our variable may stand there before.
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
