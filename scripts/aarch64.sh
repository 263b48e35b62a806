#!/usr/bin/env bash
# Build for 64-bit ARM on x86-64 Debian, and test under QEMU on three models of processor: Cortex-A72 (no dotprod),
# Neoverse N1 (dotprod) and "max" (everything that QEMU knows).
#
#     scripts/aarch64.sh [FOLDER]
#
# Everything that is downloaded and built is kept in FOLDER, target/aarch64 by default, and used again by the next run.
# The cross compiler and QEMU are installed if they are missing, which needs root; other packages are only unpacked.
#
# The tests of kernels and core run on every model, but for these: `awkward_widths_equal_*` of core, which is slow;
# `the_environment_forces_down`, which starts its own executable; `peaks_are_plausible`, since an emulator has none. The
# integration tests of core that use few kernels run on "max" alone. Property tests run fewer cases.
#
# Then a Python for ARM searches, mines, clusters, plans and hashes, and prints one digest per operation: on every model
# and instruction set they must be those of this machine's Python. The codes of the instructions that QEMU has translated
# show which kernels ran. No speed is measured: an emulator says nothing about it.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$(realpath -m "${1:-target/aarch64}")
python=${PYTHON:-python3}
target=aarch64-unknown-linux-gnu
declare -A expected=([cortex-a72]=neon [neoverse-n1]=neon_dotprod [max]=neon_dotprod)
# shellcheck source-path=SCRIPTDIR
. scripts/unpacked.sh

step "the cross compiler and QEMU"
if ! { command -v aarch64-linux-gnu-gcc && command -v qemu-aarch64; } >/dev/null; then
    apt-get update --quiet --quiet
    apt-get install --quiet --yes --no-install-recommends gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user
fi

step "packages to unpack"
mkdir -p "$folder"/{bin,logs}
read_lists "amd64 arm64" rust python
if [[ ! -e $folder/rust/complete ]]; then
    library=$(depends libstd-rust-web-dev 'libstd-rust-web-[0-9.]*')
    unpack rust rustc-web "$library" "$(depends "$library" 'libllvm[0-9]*')" \
        libstd-rust-web-dev libstd-rust-web-dev:arm64
fi
unpack_python arm64 aarch64

# Debian's compiler has a standard library for ARM; cargo is that of this machine.
root=$folder/rust/usr
cat >"$folder/bin/rustc" <<WRAPPER
#!/bin/sh
LD_LIBRARY_PATH='$root/lib/x86_64-linux-gnu' exec '$root/bin/rustc' --sysroot '$root' "\$@"
WRAPPER
chmod +x "$folder/bin/rustc"
export RUSTC=$folder/bin/rustc CARGO_BUILD_TARGET=$target CARGO_TARGET_DIR=$folder/target
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
export PYO3_BUILD_EXTENSION_MODULE=1 PYO3_CROSS=1 PYO3_CROSS_PYTHON_VERSION=$version PROPTEST_CASES=16

step "no warnings"
RUSTFLAGS="-D warnings" CARGO_TARGET_DIR=$folder/check cargo check --quiet --all-targets \
    -p negmine-kernels -p negmine-core -p negmine-python

step "builds"
cargo build --quiet --release -p negmine-python
cargo test --quiet --no-run -p negmine-kernels -p negmine-core --tests

for model in "${!expected[@]}"; do
    step "tests of kernels and core on $model"
    export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="qemu-aarch64 -L /usr/aarch64-linux-gnu -cpu $model"
    cargo test --quiet --no-fail-fast -p negmine-kernels --tests -- \
        --skip the_environment_forces_down --skip peaks_are_plausible
    parts=(--lib --test scan --test bound_bites)
    if [[ $model = max ]]; then parts=(--tests); fi
    cargo test --quiet --no-fail-fast -p negmine-core "${parts[@]}" -- --skip awkward_widths_equal
done

step "the same digests, by the expected kernels"
package=$folder/package
rm -rf "$package"
mkdir "$package"
cp -r python/negmine "$package"
cp "$folder/target/$target/release/lib_native.so" "$package/negmine/_native.abi3.so"
"$python" tests/support/digests_operations.py | tee "$folder/logs/native"
instructions=$folder/logs/instructions
# count CODE: the instructions of that code that QEMU has translated; it does not know the names of all.
count() { grep --count --extended-regexp "^0x[0-9a-f]+: +$1" "$instructions" || true; }
for model in "${!expected[@]}"; do
    # Without a name the engine chooses.
    for name in "" neon scalar; do
        isa=${name:-${expected[$model]}}
        qemu-aarch64 -L "$folder/python" -cpu "$model" -d in_asm -D "$instructions" -E "NEGMINE_ISA=$name" \
            -E "PYTHONHOME=$folder/python/usr" -E "PYTHONPATH=$package:$site" \
            "$folder/python/usr/bin/$interpreter" tests/support/digests_operations.py "$isa" >"$folder/logs/$model"
        diff "$folder/logs/native" "$folder/logs/$model" || fail "other digests on $model, $isa"
        panels=$(count '4f[89ab].e[0-389ab]..') rows=$(count '4e[89].9[4-7]..') pairs=$(count '4e606[89ab]..')
        case $isa in
            neon_dotprod) ((panels > 0 && rows > 0)) ;;
            neon) ((panels == 0 && rows == 0 && pairs > 0)) ;;
            scalar) ((panels == 0 && rows == 0 && pairs == 0)) ;;
        esac || fail "other kernels than those of $isa ran on $model"
        echo "$model, ${name:-by itself}: $isa, the same digests; $panels sdot of panels, $rows of rows, $pairs sadalp"
    done
done
rm "$instructions"
step "done"
