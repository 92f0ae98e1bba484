//! The env file editor at the byte level: only the bytes of the variable change.
//!
//! The tests build each file line by line, together with the expected result, so no test asks the editor where a line
//! begins. `PROPTEST_CASES` scales all of them.

use domain::{name::EnvVar, secret::Secret};
use files::dotenv::{DotenvError, EnvText};
use proptest::{collection::vec, prelude::*, sample::select};

proptest! {
    #![proptest_config(config())]

    #[test]
    fn set_changes_only_its_own_line(file in file(), value in value()) {
        let mut text = EnvText::new(file.bytes());
        match text.set(&var(), &Secret::new(value.clone()), ours) {
            Err(DotenvError::OpenQuote) if file.is_read_in_two_ways() => {
                prop_assert_eq!(shown(text.bytes()), shown(&file.bytes()));
                return Ok(());
            }
            outcome => outcome.unwrap(),
        }
        prop_assert_eq!(shown(text.bytes()), shown(&file.after_set(&value)));
        prop_assert_eq!(text.last(&var()), Some(value.clone().into_bytes()));

        let once = text.bytes().to_vec();
        text.set(&var(), &Secret::new(value), ours).unwrap();
        prop_assert_eq!(shown(text.bytes()), shown(&once));
    }

    #[test]
    fn remove_deletes_only_our_lines(file in file()) {
        let mut text = EnvText::new(file.bytes());
        let remaining = file.without(|line| matches!(line.role, Role::Ours));
        match text.remove(&var(), ours) {
            Err(DotenvError::OpenQuote) if file.is_read_in_two_ways() => {
                prop_assert_eq!(shown(text.bytes()), shown(&file.bytes()));
            }
            outcome => {
                prop_assert_eq!(outcome, Ok(remaining.lines.len() < file.lines.len()));
                prop_assert_eq!(shown(text.bytes()), shown(&remaining.bytes()));
            }
        }
    }

    #[test]
    fn remove_after_append_restores_the_file(file in file(), value in value()) {
        let file = file.without(|line| !matches!(line.role, Role::Other));
        let before = file.bytes();
        let mut text = EnvText::new(before.clone());
        match text.set(&var(), &Secret::new(value.clone()), |_| false) {
            Err(DotenvError::OpenQuote) if file.is_read_in_two_ways() => return Ok(()),
            outcome => outcome.unwrap(),
        }
        prop_assert_eq!(text.remove(&var(), |found| found == value.as_bytes()), Ok(true));
        let added = text.bytes().strip_prefix(before.as_slice());
        prop_assert!(matches!(added, Some(b"" | b"\n" | b"\n\n" | b"\r\n")));
    }

    #[test]
    fn other_variables_read_as_before(file in broken_lines(), value in value()) {
        let mut text = EnvText::new(file);
        let before = OTHERS.map(|name| text.values(&EnvVar::parse(name).unwrap()));
        let _ = text.set(&var(), &Secret::new(value), ours);
        let _ = text.remove(&var(), ours);
        prop_assert_eq!(OTHERS.map(|name| text.values(&EnvVar::parse(name).unwrap())), before);
    }

    #[test]
    fn arbitrary_bytes_survive(file in prop_oneof![broken_lines(), vec(any::<u8>(), 0..200)], value in value()) {
        let mut text = EnvText::new(file.clone());
        prop_assert_eq!(text.remove(&var(), |_| false), Ok(false));
        prop_assert_eq!(shown(text.bytes()), shown(&file));
        let (occurrences, line) = (text.values(&var()).len(), assignment(&value));
        match text.set(&var(), &Secret::new(value.clone()), |_| false) {
            Ok(()) if occurrences == 0 => {
                let added = text.bytes().strip_prefix(file.as_slice()).unwrap();
                prop_assert_eq!(shown(added.trim_ascii()), shown(line.as_bytes()));
            }
            Ok(()) => {
                prop_assert_eq!(text.values(&var()).len(), occurrences);
                prop_assert_eq!(text.last(&var()), Some(value.clone().into_bytes()));
                let line_moved = |newline: &&str| is_one_replacement(&file, text.bytes(), newline, &line);
                let one = ["", "\n", "\r\n"].iter().any(line_moved);
                prop_assert!(one, "more than a line was replaced");
            }
            Err(why) => {
                prop_assert_eq!(why, DotenvError::OpenQuote);
                prop_assert_eq!(shown(text.bytes()), shown(&file));
            }
        }
    }

    #[test]
    fn value_is_written_faithfully_or_not_at_all(value in any::<String>()) {
        let mut text = EnvText::new(Vec::new());
        match text.set(&var(), &Secret::new(value.clone()), ours) {
            Ok(()) => prop_assert_eq!(shown(text.bytes()), shown(format!("{}\n", assignment(&value)).as_bytes())),
            Err(why) => {
                prop_assert_eq!(why, DotenvError::Unrepresentable);
                prop_assert!(text.bytes().is_empty());
            }
        }
    }
}

/// Quadratic time would make these take hours.
#[test]
fn large_file_is_edited_in_linear_time() {
    let hundreds_of_kilobytes =
        ["B='x'\n", "B=\"x\n", "B='\\'\n", "B=\\\"'`\n", "\n", "#\"", "B=`\"'"].map(|line| (line, 300_000));
    let megabytes = ("SOME_VARIABLE=with a value of ordinary length, and # a comment\n", 10_000_000);
    for (line, size) in hundreds_of_kilobytes.into_iter().chain([megabytes]) {
        let mut file = line.repeat(size / line.len()).into_bytes();
        file.extend_from_slice(b"\nNAME=ours\n");
        let mut text = EnvText::new(file);
        text.set(&var(), &Secret::new("new".to_owned()), ours).unwrap();
    }
}

/// Four times `PROPTEST_CASES`: a case costs a fraction of a millisecond.
fn config() -> ProptestConfig {
    let default = ProptestConfig::default();
    ProptestConfig { cases: default.cases.saturating_mul(4), failure_persistence: None, ..default }
}

/// A file as this test builds it: each line, and its owner.
#[derive(Clone, Debug)]
struct File {
    mark: bool,
    lines: Vec<Line>,
    /// Whether the last line lacks its ending.
    open: bool,
}

#[derive(Clone, Debug)]
struct Line {
    role: Role,
    text: &'static str,
    ending: &'static str,
}

#[derive(Clone, Copy, Debug)]
enum Role {
    Other,
    Ours,
    Theirs,
}

impl File {
    fn bytes(&self) -> Vec<u8> {
        self.rendered(|_, line| Some(line.text.to_owned()))
    }

    /// Returns whether `python-dotenv` and Node disagree on the end of a quote. Such a file may have no edit that is
    /// right for both.
    fn is_read_in_two_ways(&self) -> bool {
        self.lines
            .iter()
            .any(|line| line.text.starts_with("OPEN=") || line.text == "NAME=\"NAME" || line.text.contains('`'))
    }

    fn without(&self, goes: impl Fn(&Line) -> bool) -> Self {
        let open = self.open && !self.lines.last().is_some_and(&goes);
        Self { mark: self.mark, lines: self.lines.iter().filter(|line| !goes(line)).cloned().collect(), open }
    }

    fn after_set(&self, value: &str) -> Vec<u8> {
        let assignment = assignment(value);
        let Some(last) = self.lines.iter().rposition(|line| !matches!(line.role, Role::Other)) else {
            let newline = self.newline();
            let mut bytes = self.bytes();
            match bytes.last() {
                Some(b'\r') => bytes.push(b'\n'),
                Some(byte) if *byte != b'\n' => bytes.extend(newline.bytes()),
                _ => {}
            }
            if bytes.ends_with(b"\\\n") {
                bytes.push(b'\n'); // or `sh` would continue that line with ours
            }
            bytes.extend([assignment.as_bytes(), newline.as_bytes()].concat());
            return bytes;
        };
        self.rendered(|place, line| match line.role {
            Role::Ours | Role::Theirs if place == last => {
                let (lead, _) = line.text.split_once(NAME).unwrap();
                // Not after a byte order mark: after removals, this is the first line if all lines before it were
                // removed.
                let is_first = self.lines[..place].iter().all(|line| matches!(line.role, Role::Ours));
                let newline = if self.mark && is_first { self.newline() } else { "" };
                Some(format!("{newline}{lead}{assignment}"))
            }
            Role::Ours => None,
            Role::Other | Role::Theirs => Some(line.text.to_owned()),
        })
    }

    fn rendered(&self, text: impl Fn(usize, &Line) -> Option<String>) -> Vec<u8> {
        let mut bytes = if self.mark { MARK.to_vec() } else { Vec::new() };
        for (place, line) in self.lines.iter().enumerate() {
            let Some(text) = text(place, line) else { continue };
            // A tilde stands for an invalid UTF-8 byte.
            bytes.extend(text.bytes().map(|byte| if byte == b'~' { 0xff } else { byte }));
            if !(self.open && place + 1 == self.lines.len()) {
                bytes.extend(line.ending.bytes());
            }
        }
        bytes
    }

    /// Returns the ending of the last line that ends in LF.
    fn newline(&self) -> &'static str {
        let bytes = self.bytes();
        let at = bytes.iter().rposition(|byte| *byte == b'\n');
        if at.is_some_and(|at| bytes[..at].ends_with(b"\r")) { "\r\n" } else { "\n" }
    }
}

fn file() -> impl Strategy<Value = File> {
    (any::<bool>(), vec(line(), 0..12), any::<bool>()).prop_map(|(mark, mut lines, open)| {
        // A lone CR before an empty line would be the first half of a CRLF.
        for next in (1..lines.len()).filter(|next| lines[*next].text.is_empty()).collect::<Vec<_>>() {
            lines[next - 1].ending = "\r\n";
        }
        File { mark, lines, open }
    })
}

fn line() -> impl Strategy<Value = Line> {
    let lines =
        |role, texts| (select(texts), select(ENDINGS)).prop_map(move |(text, ending)| Line { role, text, ending });
    prop_oneof![5 => lines(Role::Other, OTHER), 1 => lines(Role::Ours, OURS), 1 => lines(Role::Theirs, THEIRS)]
}

/// Randomly broken lines: unclosed quotes, partial names, stray endings.
fn broken_lines() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![select(BROKEN_LINES), select(OTHER), select(OURS), select(THEIRS), select(ENDINGS)];
    vec(part, 0..24).prop_map(|parts| parts.concat().into_bytes())
}

fn value() -> impl Strategy<Value = String> {
    "[A-Za-z0-9_-][A-Za-z0-9_./+,@%?!-]{0,20}=?|postgresql://[a-z]{1,5}:[a-z&#;|]{1,9}@h/d[?]a=b&c=d"
}

/// Returns the expected line. The value is bare, or in single quotes where a shell would interpret it.
fn assignment(value: &str) -> String {
    let acts = |c: char| "#&()*;<>[]^{|}".contains(c);
    let path_begins = value.starts_with(['~', '=']) || [":~", "=~", ":="].iter().any(|pair| value.contains(pair));
    if value.contains(acts) || path_begins { format!("{NAME}='{value}'") } else { format!("{NAME}={value}") }
}

fn var() -> EnvVar {
    EnvVar::parse(NAME).unwrap()
}

fn ours(value: &[u8]) -> bool {
    value.starts_with(b"ours")
}

/// Returns whether `after` is `before` with one range replaced by `line`. The range began with the name. After a byte
/// order mark, a newline and the line's indentation come first.
fn is_one_replacement(before: &[u8], after: &[u8], newline: &str, line: &str) -> bool {
    let unmarked = |head: &[u8]| match head.strip_prefix(MARK).and_then(|lead| lead.strip_prefix(newline.as_bytes())) {
        Some(lead) if !newline.is_empty() => [MARK, lead].concat(),
        _ => head.to_vec(),
    };
    (0..after.len()).any(|at| {
        let (head, rest) = after.split_at(at);
        let replaced = rest
            .strip_prefix(line.as_bytes())
            .and_then(|tail| before.strip_prefix(unmarked(head).as_slice()).and_then(|rest| rest.strip_suffix(tail)));
        replaced.is_some_and(|old| old.starts_with(NAME.as_bytes()))
    })
}

/// Formats bytes for a failure message.
fn shown(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

const NAME: &str = "NAME";
const OTHERS: [&str; 5] = ["OTHER", "QUOTED", "MULTI", "OPEN", "NAME_2"];
const MARK: &[u8] = b"\xef\xbb\xbf";
const ENDINGS: &[&str] = &["\n", "\r\n", "\r"];

/// A quote that is left open here never closes: wherever it next occurs, more than blanks follow.
const OTHER: &[&str] = &[
    "",
    " \t",
    "# note",
    "#NAME=ours",
    "  # export NAME=ours",
    "OTHER=1",
    "OTHER=NAME=ours",
    "export OTHER = 2 # NAME=ours",
    "name=ours",
    "NAME_2=ours",
    "MY_NAME=ours",
    "NAME.X=ours",
    "NAME",
    "export NAME",
    "NAMES: ours",
    "NAME:ours",
    "not a line NAME=ours",
    "QUOTED=\"NAME=ours\"",
    "QUOTED='a \"b' # it's",
    "MULTI=\"x\nNAME=ours\nexport NAME='ours'\n\" # \"x",
    "MULTI='x\r\nNAME=ours\r\n'",
    "MULTI=`x\rNAME=ours\r`",
    "MULTI='x \\'\nNAME=ours'",
    "OPEN=\"NAME",
    "OPEN='NAME",
    "\0NAME=ours",
    "~NAME=ours",
    "\u{e9}NAME=ours",
    "OTHER=\\",
    "=NAME=ours",
    "\"x\"",
    "it's",
    "OTHER=",
    "OTHER: 'x'",
];

const OURS: &[&str] = &[
    "NAME=ours",
    "NAME=ours-2",
    "export NAME=ours",
    "\t NAME=ours",
    " export\t NAME = ours # note",
    "NAME=\"ours\"",
    "NAME='ours\n#x'",
    "NAME: ours",
    "NAME = 'ours' # it's mine",
    "NAME=`ours\r\nOTHER=3`",
    "NAME=\"ours \\\" NAME=x\"",
];

const THEIRS: &[&str] = &[
    "NAME=",
    "NAME=x",
    "NAME=''",
    "export NAME=x ours",
    "NAME=#ours",
    "NAME=\"x\nNAME=ours\"",
    "NAME: \"x\"",
    "NAME=\"NAME",
    " NAME\t=\t~",
];

const BROKEN_LINES: &[&str] = &[
    "\"", "'", "`", "\\", "=", " ", "#", ":", "export ", "NAME", "NAME=", "NAME=\"", "NAME='", "OPEN=\"", "OPEN='",
    "OPEN=`", "ours", "\0", "\u{feff}", "\u{e9}", "\n", "\"\n", "'\n", "`\n",
];
