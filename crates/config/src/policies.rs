//! `[policies]`: a folder of Cedar, checked against the schema that the SCIM catalogue gives.

use std::collections::BTreeMap;
use std::path::PathBuf;

use rollcall_domain::access::policy::PolicySpec;
use rollcall_policy::{PolicySchema, PolicyText, Scope, source};
use rollcall_scim::Catalogue;

use crate::section::Section;

/// The largest file of policies.
const MAX_FILE: u64 = 4 << 20;

/// Every policy of the folder; `is_known` says whether something that a policy is about can be held.
pub(crate) fn policies(
    mut s: Section<'_>,
    catalogue: &Catalogue,
    is_known: impl Fn(&Scope) -> bool,
) -> Vec<PolicySpec> {
    let folder = s.parsed("folder", |text| Ok(PathBuf::from(text)));
    let mut found = Vec::new();
    if let Some(folder) = folder {
        match PolicySchema::of(catalogue) {
            Ok(schema) => {
                for (file, text) in files(&mut s, &folder) {
                    match source::read(&text, &schema) {
                        Ok(policies) => found.extend(policies.into_iter().map(|policy| (file.clone(), policy))),
                        Err(mistakes) => mistakes.iter().for_each(|mistake| s.mistake(format!("{file}: {mistake}"))),
                    }
                }
            }
            Err(why) => s.mistake(format!("the schemas can't be policies' schema: {why}")),
        }
    }
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    for (file, PolicyText { id, scope, .. }) in &found {
        if let Some(other) = seen.insert(id.clone(), file.clone()) {
            s.mistake(format!("{file}: the @id \"{id}\" is in {other} already"));
        }
        if !is_known(scope) {
            s.mistake(format!("{file}: `{id}` is about {scope:?}, which no app has"));
        }
    }
    s.finish();
    let spec = |(_, policy): (String, PolicyText)| {
        let PolicyText { id, text, reason, owner, .. } = policy;
        Some(PolicySpec { id: id.parse().ok()?, text, reason, owner })
    };
    found.into_iter().filter_map(spec).collect()
}

/// The `.cedar` files of a folder, in the order of their names.
fn files(s: &mut Section<'_>, folder: &std::path::Path) -> Vec<(String, String)> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) => {
            s.mistake(format!("folder: '{}' can't be read: {e}", folder.display()));
            return Vec::new();
        }
    };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "cedar"));
    paths.sort();
    let mut out = Vec::new();
    for path in paths {
        let name = path.display().to_string();
        let is_small = std::fs::metadata(&path).is_ok_and(|about| about.len() <= MAX_FILE);
        match std::fs::read_to_string(&path) {
            Ok(_) if !is_small => s.mistake(format!("{name} is larger than {MAX_FILE} bytes")),
            Ok(text) => out.push((name, text)),
            Err(e) => s.mistake(format!("{name} can't be read: {e}")),
        }
    }
    out
}
