//! Names, parsed once at the transport.
//!
//! No error quotes its input, because people paste keys into name fields.

use std::fmt;

use crate::{
    channel::Channel,
    diagnostic::{Diagnostic, Exit, PROGRAM},
    secret::looks_sensitive,
};

/// A project name: 1 to 63 of `a-z`, `0-9` and `-`, starting with a letter or digit.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ProjectName(String);

impl ProjectName {
    /// Parses a project name.
    ///
    /// # Errors
    /// [`NameError::Project`] for a bad form; [`NameError::Sensitive`] for a text that resembles a key or card number.
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

    /// Returns `<NAME>_<ENV_VAR>`, used when another project holds the provider's variable.
    ///
    /// A leading digit gets an underscore (`2nd` becomes `_2ND_…`), because shells do not accept it.
    ///
    /// # Errors
    /// [`NameError::EnvVar`] if too long, [`NameError::DangerousEnvVar`] for combinations such as `ld` and `PRELOAD`,
    /// [`NameError::PublishedEnvVar`] for a name such as `vite`.
    pub fn prefixed(&self, variable: &EnvVar) -> Result<EnvVar, NameError> {
        let name = self.0.to_ascii_uppercase().replace('-', "_");
        let guard = if name.starts_with(|c: char| c.is_ascii_digit()) { "_" } else { "" };
        EnvVar::parse(&format!("{guard}{name}_{variable}"))
    }
}

/// A provider's key in the registry, such as `vector-db`, with the alphabet of a project name.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ProviderKey(String);

impl ProviderKey {
    /// Parses a provider key.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        is_label(text).then(|| Self(text.to_owned())).ok_or(NameError::Provider)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An environment variable that may hold a credential: `[A-Za-z_][A-Za-z0-9_]*`, at most 128 bytes.
///
/// Variables that change how programs start are excluded, and those that build tools copy into what browsers load.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct EnvVar(String);

impl EnvVar {
    /// Parses a variable name.
    ///
    /// # Errors
    /// [`NameError::EnvVar`] for a bad form; [`NameError::DangerousEnvVar`] for `PATH`, `LD_PRELOAD` and similar names;
    /// [`NameError::PublishedEnvVar`] for `VITE_…`, `NEXT_PUBLIC_…` and similar names.
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
        if PUBLISHED_PREFIXES.iter().any(|prefix| upper.starts_with(prefix)) {
            return Err(NameError::PublishedEnvVar);
        }
        Ok(Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Stripe's name of a service or plan, `<provider>/<part>`: `supermemory/memory`, `neon/free`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServiceRef(String);

impl ServiceRef {
    /// Parses a service reference.
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

    /// Returns the part before the slash: the provider that Stripe bills and limits by the month.
    pub fn provider(&self) -> &str {
        self.0.split_once('/').map_or(self.0.as_str(), |(provider, _)| provider)
    }
}

macro_rules! display_as_str {
    ($($name:ty),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    )*};
}
display_as_str!(ProjectName, ProviderKey, EnvVar, ServiceRef);

/// The rule that a name violates; the text is not quoted.
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
    #[error("build tools publish variables of this name, so it may not carry a credential")]
    PublishedEnvVar,
    #[error("a name may not be a key or a card number, and this looks like one")]
    Sensitive,
    #[error("a service is written provider/service, such as supermemory/memory")]
    Service,
}

impl Diagnostic for NameError {
    fn code(&self) -> &'static str {
        "invalid_name"
    }

    fn hint(&self, channel: Channel) -> String {
        match self {
            Self::DangerousEnvVar | Self::EnvVar => channel.select(
                "choose a shorter project name, or ask the user to name a variable such as MEMORY_API_KEY in the registry"
                    .to_owned(),
                "choose a variable such as MEMORY_API_KEY in the registry, or a shorter project name".to_owned(),
            ),
            Self::Project => "choose a name such as agent-memory".to_owned(),
            Self::Provider => channel.select(
                "read the resource stripe-projects://providers to see the keys".to_owned(),
                format!("run `{PROGRAM} providers` to see the keys"),
            ),
            Self::PublishedEnvVar => channel.select(
                "choose another project name, or ask the user to name a variable such as MEMORY_API_KEY in the registry"
                    .to_owned(),
                "choose a variable such as MEMORY_API_KEY in the registry, or another project name".to_owned(),
            ),
            Self::Sensitive => channel.select(
                "choose a name such as agent-memory; if that was a real key, tell the user to rotate it now".to_owned(),
                "choose a name such as agent-memory; if that was a real key, rotate it now: your shell keeps a history"
                    .to_owned(),
            ),
            Self::Service => channel.person("copy the name of the service from `stripe projects catalog`"),
        }
    }

    fn exit(&self) -> Exit {
        Exit::Usage
    }
}

fn is_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && !text.starts_with('-')
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// Variables that decide which code runs, where it is found, or where its traffic goes.
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

/// Prefixes of such variables. `STRIPE_` would let a provider's key replace the credential that pays for it.
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

/// Prefixes of variables that a build tool copies into the code for browsers and apps, which everyone can read.
const PUBLISHED_PREFIXES: &[&str] = &[
    "BUN_PUBLIC_",
    "EXPO_PUBLIC_",
    "GATSBY_",
    "NEXT_PUBLIC_",
    "NG_APP_",
    "NUXT_ENV_",
    "NUXT_PUBLIC_",
    "PLASMO_PUBLIC_",
    "PREACT_APP_",
    "PUBLIC_",
    "REACT_APP_",
    "REDWOOD_ENV_",
    "SANITY_STUDIO_",
    "SNOWPACK_PUBLIC_",
    "STORYBOOK_",
    "TARO_APP_",
    "VITE_",
    "VUE_APP_",
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
    fn dangerous_variables_are_refused() {
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
    fn published_variables_are_refused() {
        for prefix in PUBLISHED_PREFIXES {
            let name = format!("{prefix}EXA_API_KEY");
            assert_eq!(EnvVar::parse(&name), Err(NameError::PublishedEnvVar), "{name}");
            assert_eq!(EnvVar::parse(&name.to_ascii_lowercase()), Err(NameError::PublishedEnvVar), "{name}");
        }
        let variable = EnvVar::parse("EXA_API_KEY").unwrap();
        for name in ["vite", "next-public", "react-app", "expo-public", "public", "gatsby", "nuxt-public", "vite-7"] {
            let prefixed = ProjectName::parse(name).unwrap().prefixed(&variable);
            assert_eq!(prefixed, Err(NameError::PublishedEnvVar), "{name}");
        }
        for good in ["VITEST_KEY", "PUBLICATION_KEY", "REACT_KEY", "MY_VITE_KEY"] {
            assert!(EnvVar::parse(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn prefixed_variable_starts_with_the_project_name() {
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
