//! Paths as they are typed into a shell.

use std::{ffi::OsStr, fmt::Write as _};

use domain::visible::is_visible;

/// Returns a path as one argument of a shell command, without a character that cannot be seen.
///
/// A path with such a character is written as `$'…'` with octal bytes, which bash, zsh, ksh and busybox read.
pub fn shell_quoted<T: AsRef<OsStr> + ?Sized>(path: &T) -> String {
    let path = path.as_ref();
    match path.to_str() {
        Some(text) if text.chars().all(is_visible) => format!("'{}'", text.replace('\'', r"'\''")),
        _ => ansi_quoted(path),
    }
}

/// Returns a path as one argument of a shell command, quoted only where a shell would read it differently.
pub fn shell_word<T: AsRef<OsStr> + ?Sized>(path: &T) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:,@%=".contains(c);
    match path.as_ref().to_str() {
        Some(text) if !text.is_empty() && text.chars().all(is_plain) => text.to_owned(),
        _ => shell_quoted(path),
    }
}

fn ansi_quoted(path: &OsStr) -> String {
    let mut quoted = "$'".to_owned();
    for chunk in path.as_encoded_bytes().utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\'' | '\\' => quoted.extend(['\\', c]),
                c if is_visible(c) => quoted.push(c),
                c => octal(&mut quoted, c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        octal(&mut quoted, chunk.invalid());
    }
    quoted + "'"
}

fn octal(quoted: &mut String, bytes: &[u8]) {
    for byte in bytes {
        let _ = write!(quoted, "\\{byte:03o}"); // a `String` takes every write
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn visible_path_is_in_single_quotes() {
        assert_eq!(shell_quoted("/a b/it's"), r"'/a b/it'\''s'");
        assert_eq!(shell_quoted(r"/a\n/é"), r"'/a\n/é'");
    }

    #[test]
    fn plain_word_is_not_quoted() {
        assert_eq!(shell_word("/work/x.env"), "/work/x.env");
        assert_eq!(shell_word("/work/x;y"), "'/work/x;y'");
        assert_eq!(shell_word(""), "''");
    }

    #[test]
    fn invisible_characters_are_octal_bytes() {
        assert_eq!(shell_quoted("/a'\\\n\u{202e}0"), r"$'/a\'\\\012\342\200\2560'");
    }

    /// The shell reads the same path back.
    #[cfg(unix)]
    #[test]
    #[expect(clippy::disallowed_methods, reason = "the test asks a shell")]
    fn bash_reads_the_same_path() {
        use std::{os::unix::ffi::OsStrExt as _, process::Command};
        let path = OsStr::from_bytes(b"/a'\\n\n\x1b]0;x\x07\xe2\x80\xae1\xff7 \"$HOME\" `x`");
        let Ok(output) = Command::new("bash").arg("-c").arg(format!("printf %s {}", shell_quoted(path))).output()
        else {
            return eprintln!("NOT CHECKED: there is no bash");
        };
        assert_eq!(output.stdout, path.as_bytes());
    }
}
