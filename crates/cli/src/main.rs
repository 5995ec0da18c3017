#![forbid(unsafe_code)]

use std::process::ExitCode;

// One thread: a child is told of its parent's death when the thread that started it ends, so that thread has to be the
// one that lives as long as the process.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    holdfast_cli::main().await
}
