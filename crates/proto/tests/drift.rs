//! The committed bindings are what `proto/` generates. `make proto` rewrites them (HOLDFAST_PROTO_WRITE=1).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use prost_reflect::{DescriptorPool, DynamicMessage, Value};
use protox::prost::Message as _;

const HEADER: &str = "// @generated from proto/ by `make proto`. Do not edit.\n";

#[test]
fn committed_bindings_are_what_proto_generates() {
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/generated");
    let fresh = generate();
    if std::env::var_os("HOLDFAST_PROTO_WRITE").is_some() {
        std::fs::remove_dir_all(&committed).ok();
        std::fs::create_dir_all(&committed).unwrap();
        for (name, bytes) in &fresh {
            std::fs::write(committed.join(name), bytes).unwrap();
        }
        return;
    }
    let on_disk: BTreeMap<String, Vec<u8>> = std::fs::read_dir(&committed)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read(&path).unwrap()))
        .collect();
    assert_eq!(on_disk.keys().collect::<Vec<_>>(), fresh.keys().collect::<Vec<_>>(), "files differ: run `make proto`");
    for (name, bytes) in &fresh {
        assert!(on_disk[name] == *bytes, "{name} differs from proto/: run `make proto`");
    }
}

fn generate() -> BTreeMap<String, Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto");
    let mut files = Vec::new();
    proto_files(&root.join("holdfast"), &mut files);
    files.sort();
    let mut compiler = protox::Compiler::new([&root]).unwrap();
    compiler.include_source_info(true).include_imports(true).open_files(&files).unwrap();
    let commented = compiler.file_descriptor_set();
    let mut bare = commented.clone();
    for file in &mut bare.file {
        file.source_code_info = None;
    }
    // prost drops what it does not know, the options that matter here among it.
    let pool = DescriptorPool::decode(compiler.encode_file_descriptor_set().as_slice()).unwrap();

    let out = tempfile::tempdir().unwrap();
    tonic_prost_build::configure()
        .out_dir(out.path())
        .bytes(".holdfast.jobs.v1.Payload.data")
        .skip_debug([".holdfast.jobs.v1.Payload"])
        .extern_path(".google.rpc.Status", "::tonic_types::Status")
        .compile_fds(commented)
        .unwrap();
    let mut generated = BTreeMap::new();
    for entry in std::fs::read_dir(out.path()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if !name.starts_with("holdfast.") {
            continue;
        }
        let code = syn::parse_file(&std::fs::read_to_string(&path).unwrap()).unwrap();
        generated.insert(name, format!("{HEADER}{}", prettyplease::unparse(&code)).into_bytes());
    }
    generated.insert("catalogue.rs".into(), catalogue(&pool).into_bytes());
    generated.insert("redacted.rs".into(), redacted(&pool).into_bytes());
    generated.insert("descriptor_set.bin".into(), bare.encode_to_vec());
    generated
}

fn proto_files(dir: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            proto_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "proto") {
            files.push(path);
        }
    }
}

/// The fields that are marked debug_redact, as a table.
fn redacted(pool: &DescriptorPool) -> String {
    let ours = pool.all_messages().filter(|message| message.package_name().starts_with("holdfast."));
    let fields = ours.flat_map(|message| message.fields().collect::<Vec<_>>());
    let marked = fields.filter(|field| {
        let mark = field.options().get_field_by_name("debug_redact").map(|value| value.as_bool() == Some(true));
        mark == Some(true)
    });
    let mut names: Vec<String> = marked.map(|field| field.full_name().to_owned()).collect();
    names.sort();
    let mut code = format!(
        "{HEADER}\n/// The full names of fields that can hold, or give away, what must not be read by others.\n\
         pub const REDACTED: &[&str] = &[\n"
    );
    for name in names {
        writeln!(code, "    {name:?},").unwrap();
    }
    code.push_str("];\n");
    code
}

/// The traits of each reason as a table.
fn catalogue(pool: &DescriptorPool) -> String {
    let reasons = pool.get_enum_by_name("holdfast.errors.v1.Reason").unwrap();
    let extension = pool.get_extension_by_name("holdfast.errors.v1.traits").unwrap();
    let mut code = format!(
        "{HEADER}\nuse super::v1::Reason;\n\n\
         /// One row a reason: (reason, its name on the wire, gRPC status code, retryable).\n\
         pub const CATALOGUE: &[(Reason, &str, i32, bool)] = &[\n"
    );
    for value in reasons.values().filter(|value| value.number() != 0) {
        let options: DynamicMessage = value.options();
        let Value::Message(traits) = options.get_extension(&extension).into_owned() else {
            panic!("{} has no traits", value.name())
        };
        let grpc_code = traits.get_field_by_name("grpc_code").unwrap().as_i32().unwrap();
        let retryable = traits.get_field_by_name("retryable").unwrap().as_bool().unwrap();
        assert!(grpc_code > 0, "{} has no gRPC code", value.name());
        let wire_name = value.name().strip_prefix("REASON_").unwrap();
        let variant = variant(wire_name);
        writeln!(code, "    (Reason::{variant}, {wire_name:?}, {grpc_code}, {retryable}),").unwrap();
    }
    code.push_str("];\n");
    code
}

/// The name that prost gives an enum value: JOB_404_NOT_FOUND is Job404NotFound.
fn variant(wire_name: &str) -> String {
    wire_name.split('_').map(|word| word[..1].to_owned() + &word[1..].to_lowercase()).collect()
}
