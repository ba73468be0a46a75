//! Compiles the relaxed SIMD kernels of the browser's build into a module of their own (`src/quant/cpu/relaxed`), and lets the
//! engine's function table grow, where they are put. Does nothing for other targets.

use std::path::PathBuf;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src/quant/cpu/relaxed");
    let of = |name: &str| std::env::var(name).unwrap_or_default();
    if of("CARGO_CFG_TARGET_ARCH") != "wasm32" {
        return;
    }
    println!("cargo::rustc-link-arg=--growable-table");
    // Helpers on the same memory (`src/web/threads.rs`) have a stack of their own, which the page must be able to set.
    println!("cargo::rustc-link-arg=--export=__stack_pointer");
    let out = PathBuf::from(of("OUT_DIR"));
    // Memory is either a page's own or shared between threads, and what imports it must say so.
    let shared = ["--shared-memory", "--max-memory=1073741824", "--no-check-features"].map(|arg| format!("link-arg={arg}"));
    for (name, more) in [("relaxed.wasm", &[][..]), ("relaxed_shared.wasm", &shared)] {
        let done = Command::new(of("RUSTC"))
            .args(["--edition", "2024", "--crate-type", "cdylib", "--crate-name", "relaxed", "--target", &of("TARGET")])
            .args(["-C", "opt-level=3", "-C", "panic=abort", "-C", "strip=symbols", "-C", "target-feature=+simd128,+relaxed-simd"])
            // It lives in the memory of its caller, and must need none of its own.
            .args(["-C", "link-arg=--import-memory", "-C", "link-arg=--no-entry", "-C", "link-arg=-zstack-size=0"])
            .args(more.iter().flat_map(|arg| ["-C", arg]))
            .arg("-o")
            .arg(out.join(name))
            .arg("src/quant/cpu/relaxed/root.rs")
            .status();
        match done {
            Ok(status) if status.success() => {}
            other => panic!("the relaxed SIMD kernels do not compile: {other:?}"),
        }
    }
}
