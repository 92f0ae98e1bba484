//! Brings the anchor file up to the end of the chain.

use super::{
    anchor::{INITIALIZED, NOTES, Recorded, TIMEOUT},
    chain,
    verify::{self, Break},
};
use crate::{
    ledger::{Ledger, LedgerError},
    store::{Tx, values},
};

pub(super) fn seal(ledger: &Ledger) -> Result<Option<Break>, LedgerError> {
    ledger.check_folder()?;
    let Some(_lock) = ledger.anchor.lock(TIMEOUT)? else {
        return Ok(None);
    };
    let recorded = ledger.anchor.read()?;
    let End { seq, hash, broken, initialized, current } = ledger.write(|tx| end(tx, &recorded))?;
    if seq == 0 || broken.is_some() || (current && initialized) {
        return Ok(broken);
    }
    ledger.anchor.write(seq, &hash)?;
    // After the file: a crash between the two leaves a file that is not expected yet, and raises no false alarm.
    if !initialized {
        ledger.kv().put_note(NOTES, INITIALIZED, "yes")?;
    }
    Ok(None)
}

/// The end of the chain, beside what the anchor file records.
struct End {
    seq: i64,
    hash: String,
    broken: Option<Break>,
    initialized: bool,
    /// The file records this end already.
    current: bool,
}

fn end(tx: &dyn Tx, recorded: &Recorded) -> Result<End, LedgerError> {
    let (seq, hash) = chain::head(tx)?;
    let current = *recorded == Recorded::At { seq, hash: hash.clone() };
    if !current {
        // A synced write takes every earlier row to the disk. It counts, because SQLite skips a write without a change and
        // then syncs nothing.
        tx.run(COUNT, &values![NOTES, SEALS])?;
    }
    Ok(End { seq, hash, broken: verify::check(tx, recorded)?, initialized: verify::is_initialized(tx)?, current })
}

const COUNT: &str = "INSERT INTO notes VALUES (?1, ?2, '1') ON CONFLICT (backend, key) \
    DO UPDATE SET value = CAST(CAST(notes.value AS BIGINT) + 1 AS TEXT)";

/// How often the file was about to be replaced.
const SEALS: &str = "seals";
