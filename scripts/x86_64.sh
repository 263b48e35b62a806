#!/usr/bin/env bash
# Test the instruction sets of other x86-64 processors than this machine's, on models of them that Bochs emulates:
# Skylake-X (AVX-512 without VNNI), Arrow Lake (AVX-VNNI without AVX-512) and Sapphire Rapids (both).
#
#     scripts/x86_64.sh [FOLDER]
#
# Everything that is downloaded and built is kept in FOLDER, target/x86_64 by default, and used again by the next run.
# Nothing is installed, and Bochs is built from Debian's source: the package of Debian 12 lacks these models.
#
# Bochs starts Debian's kernel with all files in memory. On every model, Python searches, mines, clusters, plans and
# hashes by the instruction set that the engine chooses and by each that it can be forced to, and the digests must be
# those of this machine. An emulated processor refuses the instructions that its model lacks. The tests of the kernels
# run on the two models with VNNI, but for `peaks_are_plausible`, since an emulator has none. Property tests run fewer
# cases. No speed is measured.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$(realpath -m "${1:-target/x86_64}")
python=${PYTHON:-python3}
models=(corei7_skylake_x arrow_lake sapphire_rapids)
declare -A sets=(
    [corei7_skylake_x]="avx2 scalar"
    [arrow_lake]="avxvnni avx2 scalar"
    [sapphire_rapids]="avx512 vnni256 avxvnni avx2 scalar"
)
# shellcheck source-path=SCRIPTDIR
. scripts/unpacked.sh

step "packages to unpack"
mkdir -p "$folder/logs"
# Bochs comes from a newer release of Debian, from the mirror that this machine uses.
mirror=$(apt-cache policy | sed --quiet 's|^ *[0-9]* \(http[^ ]*/debian\) .*/main .*|\1|p' | head --lines 1)
more_sources="deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror trixie main"
read_lists amd64 machine python bochs
if [[ ! -e $folder/machine/complete ]]; then
    unpack machine "$(depends linux-image-cloud-amd64 'linux-image-[0-9].*')" bochsbios vgabios busybox-static isolinux \
        syslinux-common xorriso libisoburn1 libburn4 libisofs6 libjte2
fi
machine=$folder/machine
unpack_python amd64 x86_64

step "Bochs"
if [[ ! -e $folder/bochs/complete ]]; then
    mkdir -p "$folder/bochs"
    (cd "$folder" && apt-get "${options[@]}" --download-only --tar-only source bochs)
    tar --extract --strip-components 1 --directory "$folder/bochs" --file "$folder"/bochs_*.orig.tar.xz
    # A signal writes the speed to Bochs's log: where it arrives while another line is written, Bochs waits forever.
    (
        cd "$folder/bochs"
        ./configure --enable-x86-64 --enable-cpu-level=6 --enable-avx --enable-evex --enable-all-optimizations \
            --disable-show-ips --disable-plugins --disable-docbook --with-nogui
        make --jobs="$(nproc)" bochs
        touch complete
    ) >"$folder/logs/bochs" 2>&1
fi

step "builds"
export CARGO_TARGET_DIR=$folder/target
PYO3_BUILD_EXTENSION_MODULE=1 cargo build --quiet --release -p negmine-python

step "files of the emulated machine"
files=$folder/files
rm -rf "$files"
mkdir -p "$files"/{bin,dev,proc,sys,tmp,tests,package}
cp --archive "$folder"/python/{lib,lib64,usr} "$files"
rm -rf "$files"/usr/share "$files"/usr/lib/python*/{test,idlelib,lib2to3}
cp "$machine/bin/busybox" "$files/bin"
cp --archive "$site" "$files/site"
find "$files/site" -name tests -type d -prune -exec rm -rf {} +
cp --recursive python/negmine "$files/package"
rm -rf "$files/package/negmine/demo/data"
cp "$CARGO_TARGET_DIR/release/lib_native.so" "$files/package/negmine/_native.abi3.so"
cp tests/support/digests_operations.py "$files"
# Compiling modules would take minutes in every process of the emulated machine; one that cannot be compiled is not used.
PYTHONHOME=$folder/python/usr "$files/usr/bin/$interpreter" -m compileall -q --invalidation-mode unchecked-hash \
    "$files/usr/lib/$interpreter" "$files/site" "$files/package" || true
cargo test --quiet --no-run --message-format=json -p negmine-kernels --tests |
    sed --quiet 's/.*"executable":"\([^"]*\)".*/\1/p' | while read -r executable; do
    name=$(basename "$executable")
    strip -o "$files/tests/${name%-*}" "$executable"
done

# The first process of the emulated machine. A line that begins with "@" says what follows, or the status of what ended.
cat >"$files/init" <<'INIT'
#!/bin/busybox sh
export PATH=/bin:/usr/bin PYTHONPATH=/package:/site PROPTEST_CASES=16
busybox mount -t proc proc /proc
busybox mount -t sysfs sys /sys
busybox mount -t devtmpfs dev /dev
run() {
    echo "@ $*"
    "$@"
    echo "@ status $? of $*"
}
. /steps
echo "@ end"
while :; do busybox sleep 1000; done
INIT
chmod +x "$files/init"

# boot MODEL: an image with the steps of a model in $files/steps, and what it prints in the log of that name. It ends
# where the machine says so, or Bochs does.
boot() {
    local model=$1 image=$folder/image log=$folder/logs/$1 bochs
    rm -rf "$image" "$log"
    mkdir -p "$image/isolinux"
    cp "$machine/usr/lib/ISOLINUX/isolinux.bin" "$machine/usr/lib/syslinux/modules/bios/ldlinux.c32" "$image/isolinux"
    cp "$machine"/boot/vmlinuz-* "$image/kernel"
    (cd "$files" && find . | "$machine/bin/busybox" cpio -o -H newc) >"$image/initrd" 2>/dev/null
    # Bochs fails in the kernel's forms for "fast short rep mov", and the kernel in Bochs's interrupt controllers.
    cat >"$image/isolinux/isolinux.cfg" <<CONFIG
DEFAULT linux
LABEL linux
  KERNEL /kernel
  APPEND initrd=/initrd console=ttyS0 quiet nokaslr mitigations=off acpi=off noapic nolapic clearcpuid=fsrm
CONFIG
    LD_LIBRARY_PATH=$machine/usr/lib/x86_64-linux-gnu "$machine/usr/bin/xorriso" -as mkisofs -quiet -o "$image.iso" \
        -b isolinux/isolinux.bin -c isolinux/boot.cat -no-emul-boot -boot-load-size 4 -boot-info-table "$image" \
        2>"$folder/logs/xorriso"
    cat >"$folder/bochsrc" <<CONFIG
config_interface: textconfig
display_library: nogui
memory: guest=2048, host=2048
romimage: file=$machine/usr/share/bochs/BIOS-bochs-latest, options=fastboot
vgaromimage: file=$machine/usr/share/vgabios/vgabios.bin
cpu: model=$model, count=1, ips=50000000, ignore_bad_msrs=1
ata0-master: type=cdrom, path=$image.iso, status=inserted
boot: cdrom
clock: sync=none
log: $folder/logs/bochs_$model
panic: action=fatal
com1: enabled=1, mode=file, dev=$log
CONFIG
    "$folder/bochs/bochs" -q -f "$folder/bochsrc" >"$folder/logs/bochs_output" 2>&1 </dev/null &
    bochs=$!
    # shellcheck disable=SC2064 # this process, now
    trap "kill $bochs 2>/dev/null || true" EXIT
    until grep --quiet --text '^@ end' "$log" 2>/dev/null; do
        kill -0 "$bochs" 2>/dev/null || fail "Bochs ended early: see $folder/logs"
        sleep 2
    done
    kill "$bochs"
    wait "$bochs" || true
    sed --in-place 's/\r//' "$log"
}

"$python" tests/support/digests_operations.py | tee "$folder/logs/native"
for model in "${models[@]}"; do
    step "$model"
    {
        best=${sets[$model]%% *}
        echo "run $interpreter /digests_operations.py $best"
        for isa in ${sets[$model]}; do
            echo "run busybox env NEGMINE_ISA=$isa $interpreter /digests_operations.py $isa"
        done
        if [[ $best != avx2 ]]; then
            for test in "$files/tests"/*; do echo "run /tests/$(basename "$test") --skip peaks_are_plausible"; done
        fi
    } >"$files/steps"
    boot "$model"
    log=$folder/logs/$model
    if grep --text '^@ status [^0]' "$log"; then fail "a step failed on $model: see $log"; fi
    [[ $(grep --count --text '^@ status 0' "$log") = "$(wc --lines <"$files/steps")" ]] ||
        fail "not all steps ran on $model: see $log"
    runs=$(grep --count digests "$files/steps")
    while read -r line; do
        [[ $(grep --count --text --line-regexp --fixed-strings "$line" "$log") = "$runs" ]] ||
            fail "other digests on $model: see $log"
    done <"$folder/logs/native"
    echo "$best by itself, and forced to each of ${sets[$model]}: the same digests"
    passed=$(sed --quiet 's/^test result: ok. \([0-9]*\) passed.*/\1/p' "$log" | awk "{n += \$1} END {print n + 0}")
    echo "$passed tests passed"
done
step "done"
