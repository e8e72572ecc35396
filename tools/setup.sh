# setup.sh - installs what a command needs, on Debian and Ubuntu. Sourced by ./dev.
#
# Asking dpkg takes a few milliseconds, so every command asks every time. On systems
# without dpkg nothing is installed: the compiler or meson will name what is missing.

packages_build="gcc libc6-dev meson ninja-build pkg-config ca-certificates
    libuv1-dev libllhttp-dev libnghttp2-dev libssl-dev libfyaml-dev libcmocka-dev"
packages_lint="python3 clang-tidy"
packages_test="$packages_lint python3-venv curl openssl nginx"
packages_node="nodejs npm"
packages_fmt="clang-format"
packages_fuzz="clang"
packages_bench="python3 nginx haproxy wrk"

# need GROUP...
# Returns when every package of these groups is installed; leaves the script if it cannot be.
need() {
    command -v dpkg-query >/dev/null || return 0

    wanted=
    for group in "$@"; do
        eval "wanted=\"\$wanted \$packages_$group\""
    done
    installed=$(dpkg-query -W -f ',${db:Status-Status} ${Package},' $wanted 2>/dev/null || true)
    missing=
    for package in $wanted; do
        case "$installed" in
        *",installed $package,"*) ;;
        *) missing="$missing $package" ;;
        esac
    done
    [ -z "$missing" ] || install_packages $missing
}

install_packages() {
    as_root=
    if [ "$(id -u)" != 0 ]; then
        as_root=sudo
        if ! command -v sudo >/dev/null; then
            echo "./dev: these packages are missing, and without root or sudo I cannot install" \
                "them: $*" >&2
            exit 1
        fi
    fi
    case " $* " in
    *" libllhttp-dev "*) borrow_llhttp ;;
    esac
    # A list that cannot be fetched, of some unrelated source perhaps, need not be in our way.
    try_step "fetching package lists" apt update || true
    step "installing $*" apt install "$@"
}

apt() {
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get -y -q -o DPkg::Lock::Timeout=300 \
        --no-install-recommends "$@" && return
    echo "apt-get failed: is this machine online, and are its package sources right?"
    return 1
}

# Debian 12 and Ubuntu 24.04 have no libllhttp. The next release's needs nothing newer than their
# libc, so it is taken from there.
borrow_llhttp() {
    case $(. /etc/os-release && echo "$VERSION_CODENAME") in
    bookworm) step "allowing libllhttp from Debian 13" allow_llhttp_from trixie main debian \
        'bookworm|oldstable|stable' ;;
    noble) step "allowing libllhttp from Ubuntu 26.04" allow_llhttp_from resolute universe ubuntu \
        noble ;;
    esac
}

# allow_llhttp_from RELEASE COMPONENT DISTRIBUTION OWN-SUITES
# From the mirror that serves this machine; a negative priority keeps all else of the release away.
allow_llhttp_from() {
    mirror=$(apt-get indextargets --format '$(SUITE) $(REPO_URI)' |
        sed -nE "/^($4) /{s/^[^ ]* //p;q}")
    [ -n "$mirror" ] || { echo "apt has no source for $4, whose mirror has $1 too"; return 1; }
    $as_root tee "/etc/apt/preferences.d/openclaw-$1" <<END
Package: *
Pin: release n=$1
Pin-Priority: -1

Package: libllhttp*
Pin: release n=$1
Pin-Priority: 500
END
    $as_root tee "/etc/apt/sources.list.d/openclaw-$1.sources" <<END
Types: deb
URIs: $mirror
Suites: $1
Components: $2
Signed-By: /usr/share/keyrings/$3-archive-keyring.gpg
END
}
