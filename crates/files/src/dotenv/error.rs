//! The error of an edit.

/// Why an edit was refused. It never quotes the file or the value.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DotenvError {
    /// An unclosed quote stands above the variable.
    ///
    /// After the edit, a line below or the value's own quote would close it for some readers.
    #[error("the env file has an unclosed quote, and the edit would change what it encloses")]
    OpenQuote,
    #[error("the line written to the env file would not read back as the value")]
    SelfCheck,
    #[error("the value has characters that readers of env files do not agree on")]
    Unrepresentable,
}
