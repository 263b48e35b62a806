#!/usr/bin/env bash
# Build the site strictly and without a network, with zensical into target/site-zensical and with mkdocs-material into
# target/site. Any warning is an error: an unknown name in a docstring, a link that leads nowhere, a page without a place.
set -euo pipefail
cd "$(dirname "$0")/.."
python=$(command -v "${PYTHON:-python}")
export PATH="${python%/*}:$PATH" NO_MKDOCS_2_WARNING=1 # the path has ruff, which formats signatures
offline=(unshare --net --map-root-user)
if ! "${offline[@]}" true; then
    echo "this system forbids network namespaces, so the site is built with a network" >&2
    offline=()
fi

rm -rf target/site target/site-zensical
"${offline[@]}" "$python" -m zensical build --strict --clean
mv target/site target/site-zensical
"${offline[@]}" "$python" -m mkdocs build --strict --quiet
echo "target/site-zensical: $(find target/site-zensical -name '*.html' | wc -l) pages; target/site: $(find target/site -name '*.html' | wc -l)"
