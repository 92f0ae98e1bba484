//! The file of single bytes behind the halt requests, and the space that is kept free for a kill.

use std::fs;

use files::fs::{ByteFile, reserve_space};
use tempfile::TempDir;

#[test]
fn byte_is_set_in_place_and_a_block_is_allocated_once() {
    let folder = TempDir::new().unwrap();
    let file = ByteFile::new(folder.path().join("bytes"));
    assert_eq!((file.get(7).unwrap(), file.all().unwrap().len()), (0, 0));
    file.allocate(7).unwrap();
    file.set(7, 9).unwrap();
    file.set(8, 3).unwrap();
    file.allocate(9).unwrap();
    assert_eq!((file.get(7).unwrap(), file.get(8).unwrap(), file.all().unwrap().len()), (9, 3, 4096));
    file.allocate(7).unwrap();
    assert_eq!((file.get(7).unwrap(), file.get(8).unwrap()), (0, 3), "its own byte only");
    file.allocate(4096).unwrap();
    assert_eq!((file.all().unwrap().len(), file.get(8).unwrap()), (8192, 3));
    file.sync().unwrap();
}

#[test]
fn reserved_space_is_written_once_and_whole() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("reserve");
    for _ in 0..2 {
        reserve_space(&path, 64 * 1024).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().len(), 64 * 1024);
    }
}
