# Functions of the scripts that test other processors: Debian's packages, unpacked into a folder without installing them.
# The caller sets `folder`, where everything is kept.

step() { printf '\n=== %s (after %s s)\n' "$1" "$SECONDS"; }
fail() { echo "$1" >&2; exit 1; }

# read_lists ARCHITECTURES FOLDER...: reads the lists of packages, unless all of these folders are complete, into a place
# of their own, so that those of this machine stay as they are. `more_sources` may have a line for sources.list.
read_lists() {
    local architecture part
    options=(-o "Dir::State=$folder/apt" -o "Dir::Cache=$folder/apt/cache" -o "Dir::Etc::SourceList=$folder/apt/sources.list"
        -o APT::Sandbox::User=root --quiet --quiet)
    for architecture in $1; do options+=(-o "APT::Architectures::=$architecture"); done
    shift
    mkdir -p "$folder"/apt/{lists,cache/archives}/partial
    { cat /etc/apt/sources.list 2>/dev/null || true; echo "${more_sources:-}"; } >"$folder/apt/sources.list"
    for part; do
        if [[ ! -e $folder/$part/complete ]]; then
            apt-get "${options[@]}" update
            return
        fi
    done
}

# Prints the package that another one depends on and whose name matches a pattern.
depends() { apt-cache "${options[@]}" depends "$1" | sed -n "s/^ *\(Pre\)\?Depends: \($2\)\$/\2/p" | head -n 1; }

# Unpacks packages into a folder, unless that was done before.
unpack() {
    local root=$folder/$1 package
    shift
    mkdir -p "$root/packages"
    (cd "$root/packages" && apt-get "${options[@]}" download "$@")
    for package in "$root"/packages/*.deb; do dpkg-deb --extract "$package" "$root"; done
    touch "$root/complete"
}

# Unpacks Debian's Python of an architecture with the libraries that it and NumPy need, and NumPy itself. Sets
# `interpreter`, `version` and `site`.
unpack_python() {
    local architecture=$1 machine=$2 minimal
    if [[ ! -e $folder/python/complete ]]; then
        minimal=$(depends python3-minimal 'python3[0-9.]*-minimal')
        unpack python "$minimal:$architecture" "lib$minimal:$architecture" "lib${minimal/minimal/stdlib}:$architecture" \
            {libc6,libgcc-s1,libstdc++6,zlib1g,libexpat1,libbz2-1.0,liblzma5,libffi8,libcrypt1,libssl3}:"$architecture"
    fi
    interpreter=$(cd "$folder/python/usr/bin" && echo python3.*)
    version=${interpreter#python}
    site=$folder/site-$version
    if [[ ! -e $site/numpy ]]; then
        "$python" -m pip install --quiet --target "$site" --only-binary=:all: --no-deps --python-version "$version" \
            --platform "manylinux_2_28_$machine" --platform "manylinux_2_27_$machine" \
            --platform "manylinux2014_$machine" numpy
    fi
}
