//! No more than two files of a crate import each other in a circle: who reads one of them would have to read them all.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use syn::visit::{self, Visit};

/// A module's path within its crate; empty: the root.
type Module = Vec<String>;

/// What each module names of its crate.
type Imports = BTreeMap<Module, BTreeSet<Module>>;

/// Collects the paths that begin with `crate`, `self` or `super`.
#[derive(Default)]
struct Paths(Vec<Vec<String>>);

impl Paths {
    fn of_tree(&mut self, tree: &syn::UseTree, mut before: Vec<String>) {
        match tree {
            syn::UseTree::Path(path) => {
                before.push(path.ident.to_string());
                self.of_tree(&path.tree, before);
            }
            syn::UseTree::Group(group) => {
                for tree in &group.items {
                    self.of_tree(tree, before.clone());
                }
            }
            syn::UseTree::Name(name) => {
                before.push(name.ident.to_string());
                self.0.push(before);
            }
            syn::UseTree::Rename(name) => {
                before.push(name.ident.to_string());
                self.0.push(before);
            }
            syn::UseTree::Glob(_) => self.0.push(before),
        }
    }
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        // Tests within a file may use whatever they like.
        if !module.attrs.iter().any(|attribute| attribute.path().is_ident("cfg")) {
            visit::visit_item_mod(self, module);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.of_tree(&item.tree, Vec::new());
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.0.push(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        visit::visit_path(self, path);
    }
}

/// The module that a path leads to, from the module in which it is written.
fn target(path: &[String], here: &Module, known: &BTreeSet<Module>) -> Option<Module> {
    let (base, rest) = match path.first()?.as_str() {
        "crate" => (Vec::new(), &path[1..]),
        "self" => (here.clone(), &path[1..]),
        "super" => {
            let up = path.iter().take_while(|segment| *segment == "super").count();
            (here[..here.len().checked_sub(up)?].to_vec(), &path[up..])
        }
        _ => return None,
    };
    let mut full: Module = base.into_iter().chain(rest.iter().cloned()).collect();
    while !known.contains(&full) {
        full.pop()?;
    }
    Some(full)
}

fn imports(files: &BTreeMap<Module, String>) -> anyhow::Result<Imports> {
    let known: BTreeSet<Module> = files.keys().cloned().collect();
    let mut out = Imports::new();
    for (module, text) in files {
        let file = syn::parse_file(text).with_context(|| format!("{} can't be read", module.join("::")))?;
        let mut paths = Paths::default();
        paths.visit_file(&file);
        let named = paths.0.iter().filter_map(|path| target(path, module, &known));
        out.insert(module.clone(), named.filter(|named| named != module && !named.is_empty()).collect());
    }
    Ok(out)
}

fn reached(from: &Module, imports: &Imports) -> BTreeSet<Module> {
    let mut seen = BTreeSet::new();
    let mut next = VecDeque::from([from.clone()]);
    while let Some(module) = next.pop_front() {
        for to in imports.get(&module).into_iter().flatten() {
            if seen.insert(to.clone()) {
                next.push_back(to.clone());
            }
        }
    }
    seen
}

/// The sets of modules each of which leads to all others of its set, by size of at least three.
fn circles(imports: &Imports) -> BTreeSet<BTreeSet<Module>> {
    let reach: BTreeMap<&Module, BTreeSet<Module>> = imports.keys().map(|m| (m, reached(m, imports))).collect();
    let leads_back = |other: &Module, to: &Module| reach.get(other).is_some_and(|reached| reached.contains(to));
    let circle =
        |m: &Module| reach[m].iter().filter(|other| leads_back(other, m)).cloned().collect::<BTreeSet<Module>>();
    imports.keys().map(circle).filter(|circle| circle.len() > 2).collect()
}

fn files(folder: &Path, module: &Module, out: &mut BTreeMap<Module, String>) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path: PathBuf = entry?.path();
        let Some(name) = path.file_stem().and_then(|name| name.to_str()).map(str::to_owned) else { continue };
        if path.is_dir() {
            files(&path, &module.iter().cloned().chain([name]).collect(), out)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let root = ["mod", "lib", "main"].contains(&name.as_str());
            let own = if root { module.clone() } else { module.iter().cloned().chain([name]).collect() };
            out.insert(own, std::fs::read_to_string(&path)?);
        }
    }
    Ok(())
}

#[test]
fn no_more_than_two_files_import_each_other() -> anyhow::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut crates = vec![root.join("proto/src"), root.join("tests/src")];
    for group in ["crates", "services"] {
        for entry in std::fs::read_dir(root.join(group))? {
            crates.push(entry?.path().join("src"));
        }
    }
    ensure!(crates.len() > 10, "{} crates were found", crates.len());
    for folder in crates {
        let mut found = BTreeMap::new();
        files(&folder, &Module::new(), &mut found)?;
        let circles = circles(&imports(&found)?);
        ensure!(circles.is_empty(), "{}: {circles:?}", folder.display());
    }
    Ok(())
}

#[test]
fn a_circle_of_three_is_found_however_it_is_written() -> anyhow::Result<()> {
    let file = |name: &str, text: &str| (name.split("::").map(str::to_owned).collect::<Module>(), text.to_owned());
    let mut found = BTreeMap::from([
        file("a", "use crate::b::{self, Thing};"),
        file("b", "fn f() -> super::c::Other { todo!() }"),
        file("c", "mod inner { fn g() { crate::a::h(); } }"),
        file("d", "use crate::a; #[cfg(test)] mod tests { use crate::a; }"),
    ]);
    let circle: BTreeSet<Module> = ["a", "b", "c"].map(|name| vec![name.to_owned()]).into();
    ensure!(circles(&imports(&found)?) == BTreeSet::from([circle]));
    found.insert(vec!["c".to_owned()], "#[cfg(test)] mod tests { use crate::a; }".to_owned());
    ensure!(circles(&imports(&found)?).is_empty());
    Ok(())
}
