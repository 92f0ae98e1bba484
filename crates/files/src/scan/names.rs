//! Censors credentials in paths before they are shown.

use std::path::Path;

use super::{Matcher, Window};

impl Matcher {
    /// Returns the path as text with every credential replaced by asterisks.
    pub fn censored(&self, path: &Path) -> String {
        let mut bytes = path.as_os_str().as_encoded_bytes().to_vec();
        for hit in self.find(&Window::whole(path.as_os_str().as_encoded_bytes())) {
            if let Some(key) = bytes.get_mut(hit.range.0..hit.range.1) {
                key.fill(b'*');
            }
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }
}
