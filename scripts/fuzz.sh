#!/usr/bin/env bash
# Run fuzz targets with a nightly toolchain and AddressSanitizer, from seeds that are made here.
#
#     scripts/fuzz.sh [RUNS [TARGET ...]]
#
# RUNS is the number of executions of each target, 300,000 by default; `scan`, whose executions take a millisecond, runs a
# thirtieth of them. Inputs that reach new code are kept in fuzz/corpus, and failures in fuzz/artifacts.
# docs/soundness.md says what the targets hold.
set -euo pipefail
cd "$(dirname "$0")/../fuzz"
runs=${1:-300000}
targets=(csr quantize plans scan)
if [[ $# -gt 1 ]]; then targets=("${@:2}"); fi
cargo fuzz --version >/dev/null 2>&1 || cargo install --quiet --locked cargo-fuzz

for target in "${targets[@]}"; do
    # Bytes that a short input needs for every choice; those of `scan` are rows and rules as well.
    case $target in
        scan) length=4096 number=$((runs / 30)) ;;
        *) length=400 number=$runs ;;
    esac
    printf '\n=== %s, %s executions (after %s s)\n' "$target" "$number" "$SECONDS"
    mkdir -p "corpus/$target"
    "${PYTHON:-python3}" - "corpus/$target" "$length" <<'END'
import pathlib
import random
import sys

folder, length = pathlib.Path(sys.argv[1]), int(sys.argv[2])
draw = random.Random(length)
for number in range(64):
    (folder / f"seed{number:02}").write_bytes(draw.randbytes(length * (number % 8 + 1) // 8))
END
    # Leaks are looked for once, in the tests of bindings; contexts of allocations and a large quarantine cost most of the time.
    ASAN_OPTIONS=quarantine_size_mb=4:malloc_context_size=0:detect_leaks=0 \
        cargo +nightly fuzz run ${CARGO_TARGET_DIR:+--target-dir "$CARGO_TARGET_DIR"} "$target" -- \
        -runs="$number" -max_len="$length" -len_control=0 -timeout=60 -rss_limit_mb=4096 -print_final_stats=1 -detect_leaks=0
done
