#!/usr/bin/env bash
# Run fuzz targets with a nightly toolchain, with checks of overflow and debug assertions, from seeds that are made here.
#
#     scripts/fuzz.sh [RUNS [TARGET ...]]
#
# RUNS is the number of executions of each target, 300,000 by default; `scan`, which takes about half a millisecond, runs a
# thirtieth of them. Inputs that reach new code are kept in fuzz/corpus, and failures in fuzz/artifacts. What the targets
# hold, and how often they have run, is in docs/soundness.md.
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
    # Without AddressSanitizer, which scripts/asan.sh runs, and without traces of comparisons, executions are ten times as
    # many: targets read numbers and choices from the bytes, so that no comparison has to be guessed.
    cargo +nightly fuzz run --sanitizer none --no-trace-compares \
        ${CARGO_TARGET_DIR:+--target-dir "$CARGO_TARGET_DIR"} "$target" -- \
        -runs="$number" -max_len="$length" -len_control=0 -timeout=60 -rss_limit_mb=4096 -print_final_stats=1 -detect_leaks=0
done
