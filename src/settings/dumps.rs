//! Protection of this process's memory: it may hold the API key of the environment and delivered keys.

/// Leaves no core dump, and lets no other process of the user read the memory or the environment of this one.
///
/// A system that refuses this is no reason to refuse the command. Programs that we start get the limit of core dumps, too.
pub fn prevent_dumps() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, setrlimit};
        let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    }
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    }
}
