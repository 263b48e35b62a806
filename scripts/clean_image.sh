#!/usr/bin/env bash
# Use a wheel in the image whose glibc is the oldest that the wheel names: manylinux2014, with glibc 2.17.
#
#     scripts/clean_image.sh WHEEL
#
# Needs Docker. The images are pinned by digest, as of August 2026.
set -euo pipefail
cd "$(dirname "$0")/.."
declare -A images=(
    [x86_64]=quay.io/pypa/manylinux2014_x86_64@sha256:95440e0e72dd3a81dc8d2cf59a84d57af661456620f5bc821ff92048d0e54ff9
    [aarch64]=quay.io/pypa/manylinux2014_aarch64@sha256:b63ff749fee6f3f2a6b67ed3101a073db3211df1791da19e9acf96f43c0dd6ff
)
wheel=$(realpath "$1")
docker run --rm --volume "$PWD/scripts:/scripts:ro" --volume "$(dirname "$wheel"):/dist:ro" \
    --env PYTHON=/opt/python/cp311-cp311/bin/python "${images[$(uname -m)]}" \
    bash -c 'ldd --version | head -n 1 && /scripts/clean_environment.sh "/dist/$1"' clean_image "$(basename "$wheel")"
