#!/usr/bin/env bash
# Run the tests of kernels and core under AddressSanitizer, with a nightly toolchain, on x86-64.
#
# In between, show that it would see a mistake: in a copy of the kernels, a function reads one value past the end of a row
# and does not use it, which no test can notice. The script fails unless AddressSanitizer does.
set -euo pipefail
cd "$(dirname "$0")/.."
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
step() { printf '\n=== %s (after %s s)\n' "$1" "$SECONDS"; }
fail() { echo "$1" >&2; exit 1; }
CARGO_TARGET_DIR=$(realpath -m "${CARGO_TARGET_DIR:-target}/asan")
export CARGO_TARGET_DIR
export RUSTFLAGS=-Zsanitizer=address
# Tests ask for more memory than there is, and expect a refusal.
export ASAN_OPTIONS=allocator_may_return_null=1
export PROPTEST_CASES=${PROPTEST_CASES:-16}
# A target that is named is built apart from build scripts and macros, which are not instrumented.
check=(cargo +nightly test --quiet --target x86_64-unknown-linux-gnu --config 'profile.dev.package."*".opt-level=1')

step "kernels"
"${check[@]}" -p negmine-kernels --tests -- --skip peaks_are_plausible

step "a mistake that must be seen"
root=$PWD
cp -r Cargo.toml Cargo.lock rust benches "$scratch"
kernel=$scratch/rust/negmine-kernels/src/arch/x86_64/avx2/canonical.rs
mistake='    if !q.is_empty() { unsafe { std::ptr::read_volatile(q.as_ptr().add(q.len())) }; }'
sed -i "/let (blocks, tail) = q.as_chunks::<LANES>();/a\\$mistake" "$kernel"
diff rust/negmine-kernels/src/arch/x86_64/avx2/canonical.rs "$kernel" && fail "nothing was planted"
cd "$scratch"
# In a target folder of its own: cargo would take the copy's crate for that of the repository.
if CARGO_TARGET_DIR=$scratch/target "${check[@]}" -p negmine-kernels --test canonical >"$scratch/log" 2>&1; then
    fail "the tests passed with a read past the end of a row"
fi
grep -q 'ERROR: AddressSanitizer: heap-buffer-overflow' "$scratch/log" || { cat "$scratch/log"; fail "it was not seen"; }
grep -m 1 'ERROR: AddressSanitizer' "$scratch/log"
cd "$root"

step "core"
"${check[@]}" -p negmine-core --lib --test scan --test shards -- --skip awkward_widths_equal
