//! Replaces an env file without losing what another program writes to it at the same time.
//!
//! The file is compared with what was read right before it is replaced. Where the file system can exchange two names in
//! one step, the old file is compared once more after that, so a change in between is found, too. Lines that were appended
//! meanwhile are carried over. A program that keeps the old file open and writes to it later writes to a file without a
//! name.

use std::{
    fs::File,
    io::{Read as _, Seek as _, SeekFrom, Write as _},
};

use super::{
    EnvFileError, Surroundings,
    staging::{Proof, Staging, beside},
    target::Target,
};
use crate::fs::{self, Attributes, FileContent, FileState, Folder, FsError, Obstacle, Privacy, obstacle};

/// The result of a replacement.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Replaced {
    /// Another program changed the file meanwhile; it is as that program left it.
    Changed,
    Done,
}

/// Replaces the content of a file that was read as `old`, durably. A new file is 0600.
pub(super) fn replace(
    target: &Target,
    surroundings: &Surroundings,
    old: Option<&FileContent>,
    bytes: &[u8],
    privacy: Privacy,
) -> Result<Replaced, EnvFileError> {
    let (new, replaced) = match old {
        None => create(target, surroundings, bytes)?,
        Some(old) => {
            let staging = Staging::choose(target, surroundings)?;
            let new = write(&staging, bytes, &Attributes::of(&old.file)?, privacy)?;
            let replaced = swap(&staging, target, old, &new)?;
            (new, replaced)
        }
    };
    if replaced == Replaced::Done {
        target.folder.sync()?;
        Proof::of(&target.path, surroundings).record(&FileState::of(&new, &target.path)?);
    }
    Ok(replaced)
}

/// Proves that the file can be replaced: it is replaced by a copy, and put back. Once for each file is enough.
///
/// # Errors
/// [`EnvFileError::NotReplaceable`], and the file is unchanged.
pub(super) fn rehearse(
    target: &Target,
    surroundings: &Surroundings,
    old: Option<&FileContent>,
) -> Result<Replaced, EnvFileError> {
    let staging = Staging::choose(target, surroundings)?;
    let Some(old) = old else { return Ok(Replaced::Done) }; // the trial of the place has written to the folder
    if let Some(why) = obstacle(&target.path) {
        return Err(EnvFileError::NotReplaceable { path: target.path.clone(), why });
    }
    let proof = Proof::of(&target.path, surroundings);
    if proof.covers(&old.state) {
        return Ok(Replaced::Done);
    }
    // Flushed, because a power loss may keep the first exchange and lose the second.
    let copy = write(&staging, &old.bytes, &Attributes::of(&old.file)?, Privacy::Unchanged)?;
    let (folder, name) = (staging.folder(), &staging.temporary);
    let refused = |_: FsError| EnvFileError::NotReplaceable { path: target.path.clone(), why: Obstacle::Refused };
    if !folder.exchange(name, &target.folder, &target.name).map_err(refused)? {
        if is_rewritten(&target.folder, &target.name, old) {
            return Ok(Replaced::Changed);
        }
        folder.rename(name, &target.folder, &target.name).map_err(refused)?;
        carry_over(old, &copy, target)?;
        target.folder.sync()?;
        proof.record(&FileState::of(&copy, &target.path)?);
        return Ok(Replaced::Done);
    }
    let copied = FileContent { bytes: old.bytes.clone(), state: FileState::of(&copy, &target.path)?, file: copy };
    folder.exchange(name, &target.folder, &target.name)?;
    if is_rewritten(folder, name, &copied) {
        folder.exchange(name, &target.folder, &target.name)?; // another program replaced the copy
        return Ok(Replaced::Changed);
    }
    carry_over(&copied, &writable(target)?, target)?;
    proof.record(&old.state);
    Ok(Replaced::Done)
}

/// Opens the file for appending what was written to its copy.
fn writable(target: &Target) -> Result<File, EnvFileError> {
    Ok(target.folder.open_to_append(&target.name)?)
}

/// Creates a missing file. It has no name before it is complete, where the system can do that.
fn create(target: &Target, surroundings: &Surroundings, bytes: &[u8]) -> Result<(File, Replaced), EnvFileError> {
    let replaced = |created| if created { Replaced::Done } else { Replaced::Changed };
    #[cfg(target_os = "linux")]
    if let Some(file) = target.folder.create_unnamed() {
        fill(&file, &target.folder, &target.name, bytes)?;
        if let Some(created) = target.folder.link_unnamed(&file, &target.name) {
            return Ok((file, replaced(created)));
        }
    }
    let staging = Staging::choose(target, surroundings)?;
    let file = write(&staging, bytes, &usual_attributes(target)?, Privacy::OwnerOnly)?;
    let created = staging.folder().rename_to_free(&staging.temporary, &target.folder, &target.name)?;
    Ok((file, replaced(created)))
}

/// Returns the attributes that a file gets in the target's folder, from an empty one.
fn usual_attributes(target: &Target) -> Result<Attributes, EnvFileError> {
    let (folder, name) = (&target.folder, beside(&target.name));
    let attributes = created(folder, &name).and_then(|file| Attributes::of(&file));
    folder.remove(&name)?;
    Ok(attributes?)
}

fn created(folder: &Folder, name: &str) -> Result<File, FsError> {
    folder.remove(name)?;
    folder.create(name)
}

fn write(staging: &Staging<'_>, bytes: &[u8], attributes: &Attributes, privacy: Privacy) -> Result<File, EnvFileError> {
    let folder = staging.folder();
    let file = created(folder, &staging.temporary)?;
    attributes.apply(&file, privacy)?;
    fill(&file, folder, &staging.temporary, bytes)?;
    Ok(file)
}

fn fill(mut file: &File, folder: &Folder, name: &str, bytes: &[u8]) -> Result<(), EnvFileError> {
    let failed = |action, source| FsError { action, path: folder.join(name), source };
    file.write_all(bytes).map_err(|error| failed("write", error))?;
    Ok(file.sync_all().map_err(|error| failed("flush", error))?)
}

/// Puts the temporary file `new` in the place of the old one, unless another program rewrote that meanwhile.
///
/// What was appended to the old file is appended to the new one.
fn swap(staging: &Staging<'_>, target: &Target, old: &FileContent, new: &File) -> Result<Replaced, EnvFileError> {
    let (folder, name) = (staging.folder(), &staging.temporary);
    if is_rewritten(&target.folder, &target.name, old) {
        return Ok(Replaced::Changed);
    }
    if folder.exchange(name, &target.folder, &target.name)? {
        if is_rewritten(folder, name, old) {
            folder.exchange(name, &target.folder, &target.name)?; // the other program's change counts
            return Ok(Replaced::Changed);
        }
    } else {
        folder.rename(name, &target.folder, &target.name)?;
    }
    carry_over(old, new, target)?;
    Ok(Replaced::Done)
}

/// Whether the name holds another file than `old`, or the same one with more than complete lines at its end.
fn is_rewritten(folder: &Folder, name: &str, old: &FileContent) -> bool {
    let Ok(Some(now)) = folder.read(name, super::MAX_FILE_SIZE) else { return true };
    let has_lines = old.bytes.is_empty() || old.bytes.ends_with(b"\n");
    let is_appended = now.state.identity() == old.state.identity() && now.bytes.starts_with(&old.bytes) && has_lines;
    !(is_appended || (now.state == old.state && now.bytes == old.bytes))
}

/// Appends to `new` what other programs appended to the old file since it was read.
fn carry_over(old: &FileContent, mut new: &File, target: &Target) -> Result<(), EnvFileError> {
    let failed = |action, source| FsError { action, path: target.path.clone(), source };
    let (mut from, mut carried) = (old.bytes.len() as u64, false);
    for _ in 0..ROUNDS {
        let (mut file, mut appended) = (&old.file, Vec::new());
        let read =
            file.seek(SeekFrom::Start(from)).and_then(|_| file.take(super::MAX_FILE_SIZE).read_to_end(&mut appended));
        read.map_err(|error| failed("read", error))?;
        if appended.is_empty() {
            break;
        }
        if !carried {
            fs::append_only(new).map_err(|error| failed("write", error))?;
        }
        new.write_all(&appended).map_err(|error| failed("write", error))?;
        from += appended.len() as u64;
        carried = true;
    }
    if carried {
        new.sync_all().map_err(|error| failed("flush", error))?;
    }
    Ok(())
}

/// How often appended lines are looked for. The next round finds only what came within microseconds.
const ROUNDS: usize = 16;
