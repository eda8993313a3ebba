//! The command `syncd`.

use std::process::ExitCode;
use std::time::Duration;

use syncd::{cli, context};

/// Work that waits for the disk may not hold up the end longer than this.
const LAST_WAIT: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let args = match cli::parse(std::env::args_os()) {
        Ok(args) => args,
        Err(ended) => return ended,
    };
    args.start_telemetry();
    // Explicitly, and before anything may speak TLS. It fails only when one is installed already.
    let _installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let cpus = std::thread::available_parallelism().map_or(2, usize::from);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cpus.max(2))
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return cli::no_runtime(error),
    };
    let ended = runtime.block_on(args.execute(context::wall_clock()));
    runtime.shutdown_timeout(LAST_WAIT);
    ended
}
