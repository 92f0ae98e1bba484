//! Names, parsed once at the door and trusted afterwards.
//!
//! No error here quotes what it was given: a name field is where keys get pasted.

use std::fmt;

use crate::secret::looks_sensitive;

/// What a project is called: 1 to 63 of `a-z`, `0-9` and `-`, starting with a letter or digit.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ProjectName(String);

impl ProjectName {
    /// # Errors
    /// [`NameError::Project`] says the rule; [`NameError::Sensitive`] refuses what reads like a key or a card.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        if looks_sensitive(text) {
            return Err(NameError::Sensitive);
        }
        if !is_label(text) {
            return Err(NameError::Project);
        }
        Ok(Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `<NAME>_<ENV_VAR>`: the variable of a second project whose provider's variable is already in use.
    ///
    /// No shell accepts a leading digit, so `2nd` becomes `_2ND_…`.
    ///
    /// # Errors
    /// [`NameError`] when the two together are too long or dangerous (`ld` + `PRELOAD`).
    pub fn prefixed(&self, variable: &EnvVar) -> Result<EnvVar, NameError> {
        let name = self.0.to_ascii_uppercase().replace('-', "_");
        let guard = if name.starts_with(|c: char| c.is_ascii_digit()) { "_" } else { "" };
        EnvVar::parse(&format!("{guard}{name}_{variable}"))
    }
}

/// The key of a provider in the registry, such as `vector-db`: the same alphabet as a project name.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ProviderKey(String);

impl ProviderKey {
    /// # Errors
    /// [`NameError::Provider`] says the rule.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        is_label(text).then(|| Self(text.to_owned())).ok_or(NameError::Provider)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The name of an environment variable that may carry a credential: `[A-Za-z_][A-Za-z0-9_]*`, at most 128, and
/// none that changes how programs start.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct EnvVar(String);

impl EnvVar {
    /// # Errors
    /// [`NameError::EnvVar`] says the rule; [`NameError::DangerousEnvVar`] refuses `PATH`, `LD_PRELOAD` and their like.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let starts_well = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        let continues_well = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !starts_well || !continues_well || text.len() > 128 {
            return Err(NameError::EnvVar);
        }
        let upper = text.to_ascii_uppercase();
        let dangerous =
            DANGEROUS.contains(&upper.as_str()) || DANGEROUS_PREFIXES.iter().any(|prefix| upper.starts_with(prefix));
        if dangerous {
            return Err(NameError::DangerousEnvVar);
        }
        Ok(Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// `<provider>/<part>`, as Stripe names services and plans: `supermemory/memory`, `neon/free`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServiceRef(String);

impl ServiceRef {
    /// # Errors
    /// [`NameError::Service`] says the rule.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let part = |text: &str| {
            !text.is_empty()
                && text.len() <= 64
                && text.starts_with(|c: char| c.is_ascii_alphanumeric())
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b':' | b'.'))
        };
        match text.split_once('/') {
            Some((provider, service)) if part(provider) && part(service) => Ok(Self(text.to_owned())),
            _ => Err(NameError::Service),
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part before the slash: whom Stripe bills for, and whom a monthly limit is set for.
    pub fn provider(&self) -> &str {
        self.0.split_once('/').map_or(self.0.as_str(), |(provider, _)| provider)
    }
}

macro_rules! shown_as_text {
    ($($name:ty),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    )*};
}
shown_as_text!(ProjectName, ProviderKey, EnvVar, ServiceRef);

/// Why a text is not the name it was meant to be: the rule, never the text.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NameError {
    #[error("this variable changes how programs start, so it may not carry a credential")]
    DangerousEnvVar,
    #[error("a variable name is 1 to 128 letters, digits or `_` and does not start with a digit")]
    EnvVar,
    #[error("a project name is 1 to 63 of a-z, 0-9 and `-`, starting with a letter or digit")]
    Project,
    #[error("a provider key is 1 to 63 of a-z, 0-9 and `-`, starting with a letter or digit")]
    Provider,
    #[error("a name may not be a key or a card number, and this reads like one")]
    Sensitive,
    #[error("a service is written provider/service, such as supermemory/memory")]
    Service,
}

fn is_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && !text.starts_with('-')
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// Variables that decide which code runs, how it is found, or where its traffic goes.
const DANGEROUS: &[&str] = &[
    "ALL_PROXY",
    "BASHOPTS",
    "BASH_ENV",
    "BROWSER",
    "CDPATH",
    "CLASSPATH",
    "COMSPEC",
    "EDITOR",
    "ENV",
    "GCONV_PATH",
    "GLOBIGNORE",
    "HOME",
    "HOSTALIASES",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "IFS",
    "JAVA_TOOL_OPTIONS",
    "JDK_JAVA_OPTIONS",
    "LOCPATH",
    "LOGNAME",
    "MAIL",
    "MANPAGER",
    "NLSPATH",
    "NO_PROXY",
    "OLDPWD",
    "OPENSSL_CONF",
    "PAGER",
    "PATH",
    "PATHEXT",
    "PROMPT_COMMAND",
    "PS1",
    "PS2",
    "PS4",
    "PWD",
    "RUSTC_WRAPPER",
    "RUSTFLAGS",
    "SHELL",
    "SHELLOPTS",
    "SHLVL",
    "SSLKEYLOGFILE",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "TERM",
    "TMPDIR",
    "USER",
    "VISUAL",
    "_JAVA_OPTIONS",
];

/// Families of them. `STRIPE_` would let a provider's key replace the credential that pays for it.
const DANGEROUS_PREFIXES: &[&str] = &[
    "BASH_FUNC_",
    "CARGO_",
    "DYLD_",
    "GIT_",
    "LD_",
    "NODE_",
    "NPM_CONFIG_",
    "PERL5",
    "PERLLIB",
    "PYTHON",
    "RUBYLIB",
    "RUBYOPT",
    "STRIPE_",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn project_names() {
        for good in ["a", "7", "agent-memory", "0-0", &"x".repeat(63)] {
            assert!(ProjectName::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "A", "a_b", "a b", "a/b", "é", "a\n", "../a", &"x".repeat(64)] {
            assert_eq!(ProjectName::parse(bad), Err(NameError::Project), "{bad}");
        }
        assert_eq!(ProjectName::parse("4242424242424242"), Err(NameError::Sensitive));
    }

    #[test]
    fn variables_that_steer_programs_are_refused() {
        for bad in
            ["PATH", "path", "LD_PRELOAD", "DYLD_INSERT_LIBRARIES", "NODE_OPTIONS", "PYTHONPATH", "STRIPE_API_KEY"]
        {
            assert_eq!(EnvVar::parse(bad), Err(NameError::DangerousEnvVar), "{bad}");
        }
        for bad in ["", "1A", "A-B", "A B", "A=B", "Ä"] {
            assert_eq!(EnvVar::parse(bad), Err(NameError::EnvVar), "{bad}");
        }
        assert!(EnvVar::parse("SUPERMEMORY_API_KEY").is_ok());
        assert!(EnvVar::parse(&"A".repeat(128)).is_ok());
        for length in [129, 1000] {
            assert_eq!(EnvVar::parse(&"A".repeat(length)), Err(NameError::EnvVar), "{length}");
        }
    }

    #[test]
    fn a_second_project_gets_a_variable_of_its_own() {
        let variable = EnvVar::parse("EXA_API_KEY").unwrap();
        let name = ProjectName::parse("my-search").unwrap();
        assert_eq!(name.prefixed(&variable).unwrap().as_str(), "MY_SEARCH_EXA_API_KEY");
        assert_eq!(ProjectName::parse("2nd").unwrap().prefixed(&variable).unwrap().as_str(), "_2ND_EXA_API_KEY");
        let preload = EnvVar::parse("PRELOAD").unwrap();
        assert_eq!(ProjectName::parse("ld").unwrap().prefixed(&preload), Err(NameError::DangerousEnvVar));
    }

    #[test]
    fn services() {
        assert_eq!(ServiceRef::parse("neon/postgres").unwrap().provider(), "neon");
        for bad in ["neon", "/x", "x/", "a/b/c", "a b/c", "--x/y"] {
            assert_eq!(ServiceRef::parse(bad), Err(NameError::Service), "{bad}");
        }
    }
}
