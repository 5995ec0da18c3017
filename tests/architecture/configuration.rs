//! docs/configuration.md has a row for every key that a service reads, and for no other. The keys are the fields of the
//! structs that its configuration is read into.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use syn::{Fields, GenericArgument, Item, ItemStruct, PathArguments, Type};

const PAGE: &str = "docs/configuration.md";
const SERVICES: [&str; 3] = ["jobs", "locks", "relay"];
/// Where the sections are that services have in common.
const SHARED: [&str; 4] = ["runtime", "pg", "redis", "telemetry"];

/// Structs that are read from configuration, by name: their fields and what these are.
type Structs = BTreeMap<String, Vec<(String, Type)>>;

pub fn differences(root: &Path) -> Vec<String> {
    let read = |path: String| fs::read_to_string(root.join(&path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    let page = read(PAGE.to_owned());
    let mut found = Vec::new();
    for service in SERVICES {
        let mut structs = Structs::new();
        for shared in SHARED {
            collect(&read(format!("crates/{shared}/src/config.rs")), &mut structs);
        }
        collect(&read(format!("services/{service}/src/config.rs")), &mut structs);
        // Sections that have a file of their own.
        for file in fs::read_dir(root.join(format!("services/{service}/src/config"))).into_iter().flatten().flatten() {
            collect(&fs::read_to_string(file.path()).expect("a source file is text"), &mut structs);
        }
        let (keys, rows) = (keys(&structs, "Config", ""), rows(&page, service));
        found.extend(keys.difference(&rows).map(|key| format!("{PAGE} lacks {key} of {service}")));
        found.extend(rows.difference(&keys).map(|key| format!("{PAGE} has {key}, which {service} does not read")));
    }
    found
}

fn collect(text: &str, structs: &mut Structs) {
    let file = syn::parse_file(text).expect("a source file is Rust");
    for item in file.items {
        if let Item::Struct(ItemStruct { attrs, ident, fields: Fields::Named(fields), .. }) = item
            && attrs.iter().any(|attribute| format!("{:?}", attribute.meta).contains("Deserialize"))
        {
            let named = fields.named.into_iter().filter_map(|field| Some((field.ident?.to_string(), field.ty)));
            structs.insert(ident.to_string(), named.collect());
        }
    }
}

/// The whole paths of the keys of a struct.
fn keys(structs: &Structs, name: &str, prefix: &str) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    for (field, of) in &structs[name] {
        let (path, of) = (format!("{prefix}{field}"), innermost(of));
        if structs.contains_key(&of) {
            keys.extend(self::keys(structs, &of, &format!("{path}.")));
        } else {
            keys.insert(path);
        }
    }
    keys
}

/// The name of a type, or of what an `Option` or a `Vec` holds.
fn innermost(of: &Type) -> String {
    let Type::Path(path) = of else { return String::new() };
    let Some(last) = path.path.segments.last() else { return String::new() };
    match (&last.arguments, last.ident.to_string().as_str()) {
        (PathArguments::AngleBracketed(arguments), "Option" | "Vec") => match arguments.args.first() {
            Some(GenericArgument::Type(inner)) => innermost(inner),
            _ => String::new(),
        },
        (_, name) => name.to_owned(),
    }
}

/// The keys in the tables of a service's part of the page.
fn rows(page: &str, service: &str) -> BTreeSet<String> {
    let parts = page.split("\n## ").filter_map(|part| part.split_once('\n'));
    let own = parts.filter(|(title, _)| *title == service).flat_map(|(_, text)| text.lines());
    own.filter_map(|line| Some(line.strip_prefix("| `")?.split_once('`')?.0.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_the_paths_to_what_is_no_section() {
        let mut structs = Structs::new();
        collect(
            "#[derive(Deserialize)] struct Config { listen: SocketAddr, tls: Option<shared::Tls>, workers: Vec<Worker> }
             #[derive(Deserialize)] struct Tls { key: String }
             #[derive(Deserialize)] struct Worker { tenants: Vec<TenantId> }
             struct SocketAddr { not: Configuration }",
            &mut structs,
        );
        let found: Vec<String> = keys(&structs, "Config", "").into_iter().collect();
        assert_eq!(found, ["listen", "tls.key", "workers.tenants"]);
    }

    #[test]
    fn a_row_counts_for_the_service_it_stands_under() {
        let page = "# Page\n\n## jobs\n\n### grpc\n\n| key |\n|---|\n| `a.b` | `c.d` |\n\n## relay\n\n| `e.f` |\n";
        assert_eq!(rows(page, "jobs"), BTreeSet::from(["a.b".to_owned()]));
        assert_eq!(rows(page, "relay"), BTreeSet::from(["e.f".to_owned()]));
    }
}
