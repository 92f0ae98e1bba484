//! File system access: private files, atomic replacement and locks.
//!
//! Only this module uses `std::fs`. A replaced file holds either the old or the new content, also after a power loss;
//! a file that it creates is readable by its owner only; a lock ends with its process.

mod attributes;
mod byte_file;
mod diagnostic;
mod error;
mod file_system;
mod folder;
mod host_lease;
mod inspect;
mod lock;
mod obstacle;
mod own_file;
mod path;
mod private;
mod program;
mod read;
mod replace;
mod shell;
mod write_access;

pub use attributes::Attributes;
pub use byte_file::{ByteFile, free_space, reserve_space, write_in_place};
pub use error::FsError;
pub use file_system::{FileSystem, can_resize};
pub use folder::{FileContent, FileState, Folder, append_only};
pub use host_lease::{Holder, Host, HostLease};
pub use inspect::{
    Kind, Owner, Ownership, Stamp, files_in, folder_identity, folders_in, is_empty, is_private, kind, length,
    ownership, stamp,
};
pub use lock::{Lock, is_input_of};
pub use obstacle::{Obstacle, obstacle};
pub use own_file::{Foreign, foreign};
pub use path::{in_real_ancestor, in_real_folder, real_folder, real_path, resolve};
pub use private::{create_private_file, create_private_folder, make_private};
pub use program::{Distrust, Program, ProgramError, RefusedProgram, SearchPath};
pub use read::{open_regular, read, read_named};
pub use replace::{Privacy, remove, replace, sweep, temporary};
pub use shell::{shell_quoted, shell_word};
pub use write_access::{WriteAccess, dangling_link, write_access};
