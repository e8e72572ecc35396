# setup.sh - installs the packages that a command needs, on Debian and Ubuntu. Sourced by ./dev.
#
# Asking dpkg takes milliseconds, so every command does it every time. On systems
# without dpkg nothing is installed: the compiler or meson reports what is missing.

packages_build="gcc libc6-dev meson ninja-build pkg-config ca-certificates
    libuv1-dev libc-ares-dev libnghttp2-dev libssl-dev libfyaml-dev libcmocka-dev
    zlib1g-dev libbrotli-dev libzstd-dev libedit-dev liblua5.4-dev
    libsqlite3-dev libpq-dev"
packages_lint="python3 clang-tidy"
packages_test="$packages_lint python3-venv curl openssl nginx postgresql"
packages_node="nodejs npm"
packages_browser="chromium"
packages_fmt="clang-format"
packages_fuzz="clang"
packages_bench="python3 nginx haproxy wrk"

# need GROUP...
# Returns when every package of these groups is installed; exits if that fails.
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
            echo "./dev: these packages are missing, and installing them needs root or" \
                "sudo: $*" >&2
            exit 1
        fi
    fi
    # A list that cannot be fetched may belong to an unrelated source: try to install anyway.
    try_step "fetching package lists" apt update || true
    case " $* " in *" postgresql "*) step "installing postgresql-common" no_cluster ;; esac
    step "installing $*" apt install "$@"
}

# Tests start PostgreSQL by themselves: its package must not start another one. A machine that
# has had it before is left as it is.
no_cluster() {
    [ ! -e /etc/postgresql-common/createcluster.conf ] || return 0
    apt install postgresql-common &&
        $as_root sed -i 's/^#*create_main_cluster = .*/create_main_cluster = false/' \
            /etc/postgresql-common/createcluster.conf
}

apt() {
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get -y -q -o DPkg::Lock::Timeout=300 \
        --no-install-recommends "$@" && return
    echo "apt-get failed: is this machine online, and are its package sources right?"
    return 1
}

# Ubuntu has Chromium only as a snap, which may not work for root or in a container: there the
# browser tests are skipped.
has_browser_package() {
    [ "$(. /etc/os-release && echo "$ID")" = debian ]
}
