//! What the pages for people point at is there.

use std::path::{Path, PathBuf};

use anyhow::ensure;

fn pages(folder: &Path, out: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            pages(&path, out)?;
        } else if path.extension().is_some_and(|extension| extension == "md") {
            out.push(path);
        }
    }
    Ok(())
}

/// The targets of a page's links, without those in code.
fn links(page: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let mut in_code = false;
    for line in page.lines() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        } else if !in_code {
            out.extend(line.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target));
        }
    }
    out
}

/// The names by which the headings of a page are linked to.
fn anchors(page: &str) -> Vec<String> {
    let headings = page.lines().filter(|line| line.starts_with('#'));
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    let anchor = |text: &str| text.to_lowercase().chars().filter(kept).collect::<String>().replace(' ', "-");
    headings.map(|line| anchor(line.trim_start_matches('#').trim())).collect()
}

#[test]
fn every_link_between_pages_leads_somewhere() -> anyhow::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut all = Vec::new();
    pages(&root.join("docs"), &mut all)?;
    for name in ["README.md", "CHANGELOG.md", "CONTRIBUTING.md"] {
        all.push(root.join(name));
    }
    let (mut broken, mut followed) = (Vec::new(), 0);
    for page in &all {
        let text = std::fs::read_to_string(page)?;
        for link in links(&text).into_iter().filter(|link| !link.contains("://") && !link.starts_with("mailto:")) {
            followed += 1;
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if path.is_empty() { page.clone() } else { page.with_file_name("").join(path) };
            let leads = match std::fs::read_to_string(&target) {
                Ok(there) => anchor.is_empty() || anchors(&there).iter().any(|known| known == anchor),
                // A folder, or a picture.
                Err(_) => target.exists() && anchor.is_empty(),
            };
            if !leads {
                broken.push(format!("{}: {link}", page.display()));
            }
        }
    }
    ensure!(followed > 50, "only {followed} links were found");
    ensure!(broken.is_empty(), "these lead nowhere:\n{}", broken.join("\n"));
    Ok(())
}

#[test]
fn a_link_that_leads_nowhere_is_seen() {
    assert_eq!(links("[a](b.md#c) and [d](e)\n```\n[f](g)\n```"), ["b.md#c", "e"]);
    assert_eq!(anchors("# The `words`, again\ntext\n## 1. One-two"), ["the-words-again", "1-one-two"]);
}
