//! Who holds leases: a process is known by a name that it keeps.

use std::path::Path;

use uuid::Uuid;

/// The name of a process, kept in its folder, so that after a crash it goes on with what it had at once.
///
/// # Errors
/// When the name can't be kept.
pub fn holder_name(folder: &Path) -> std::io::Result<String> {
    let file = folder.join("name");
    match std::fs::read_to_string(&file) {
        Ok(name) if name.trim().parse::<Uuid>().is_ok() => Ok(name.trim().to_owned()),
        _ => {
            let name = Uuid::new_v4().to_string();
            std::fs::write(&file, &name)?;
            Ok(name)
        }
    }
}
