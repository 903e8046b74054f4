#!/usr/bin/env bash
# Makes a Debian or Ubuntu machine ready for labctl: what is missing is named, with the reason, before it is installed.
#
#   ./setup.sh          what running labctl needs
#   ./setup.sh test     and what its tests need
#
# Safe to repeat and to interrupt; when nothing is to be done it takes a moment and says nothing.
set -euo pipefail
cd "$(dirname "$0")"
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
export DEBIAN_FRONTEND=noninteractive

sudo=
say() { echo "setup: $*" >&2; }
fail() { say "$1"; exit 6; }

quietly() { # its output is of interest only when it fails
    local output status=0
    output=$("$@" < /dev/null 2>&1) || status=$?
    [ "$status" = 0 ] || { echo "$output" >&2; fail "\`$*\` failed"; }
}

# Packages may bring services (FRR does): none is started while we install, and those that are ours to mask stay so.
policy=/usr/sbin/policy-rc.d
without_services() {
    local service
    for service in frr snmpd; do
        case " ${missing[*]} " in
            *" $service "*) [ -z "$(type -P systemctl)" ] || quietly $sudo systemctl mask $service.service ;;
        esac
    done
    if [ ! -e $policy ]; then
        trap with_services EXIT
        printf '#!/bin/sh\n# made by labctl setup\nexit 101\n' | $sudo tee $policy > /dev/null
        $sudo chmod 755 $policy
    fi
}
with_services() {
    if grep -qs 'made by labctl setup' $policy; then $sudo rm -f $policy; fi
}

# package | what it brings, a command or file that shows it is there | why
packages() {
    cat << 'END'
runc|runc|starts the containers of a lab, without a daemon
buildah|buildah|builds the images from images/*/Dockerfile, without a daemon
mmdebstrap|mmdebstrap|makes the Debian base image where no registry answers
iproute2|tc|the namespaces and cables of a lab, seen by hand
nftables|nft|keeps the kernel's own errors about a lab on the machine; faults that expire by themselves
python3-venv|PYTHON|the virtual environment .venv
END
    [ "$1" = test ] || return 0
    cat << 'END'
user-mode-linux|linux.uml|a second kernel for tests: netem, cgroup v2, VRF
kmod|modprobe|the second kernel loads its modules with it
procps|sysctl|tests look at processes and set sysctls
iputils-ping|ping|tests send pings through the cables they made
tcpdump|tcpdump|tests look at what crosses a cable
frr|vtysh|tests with FRR outside of containers; its service is not started, now or later
snmpd|snmpd|the same, with an SNMP agent
docker.io|dockerd|tests of labs on Docker start an engine of their own with it; its service is not started
busybox-static|BUSYBOX|starts the nodes of a lab on Docker (runtime docker)
END
}

# The system's own Python, never one that a version manager put first in PATH: only that one has Debian's venv.
find_python() {
    for python in /usr/bin/python3 /usr/bin/python3.1[1-9]; do
        if [ -x "$python" ] && "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null; then
            echo "$python"
            return
        fi
    done
}

present() {
    case $1 in
        PYTHON) [ -n "$(find_python)" ] && "$(find_python)" -c 'import ensurepip, venv' 2> /dev/null ;;
        BUSYBOX) type -P busybox > /dev/null && ! ldd "$(type -P busybox)" > /dev/null 2>&1 ;;
        *) [ -n "$(type -P "$1")" ] ;;
    esac
}

system_packages() {
    local missing=() package shown why
    while IFS='|' read -r package shown why; do
        present "$shown" && continue
        [ ${#missing[@]} -gt 0 ] || say "these Debian packages are missing and will be installed:"
        say "$(printf '  %-16s %s' "$package" "$why")"
        missing+=("$package")
    done < <(packages "$1")
    [ ${#missing[@]} -gt 0 ] || return 0
    [ -n "$(type -P apt-get)" ] || fail "there is no apt-get here; install what is named above by hand and repeat"
    if [ "$(id -u)" != 0 ]; then
        [ -n "$(type -P sudo)" ] || fail "installing needs root: repeat as root"
        sudo="sudo --preserve-env=DEBIAN_FRONTEND"
    fi
    # A run that was interrupted inside dpkg is finished first.
    quietly $sudo dpkg --configure -a
    quietly $sudo apt-get update -q
    without_services
    quietly $sudo apt-get install -qy --no-install-recommends "${missing[@]}"
    with_services
    while IFS='|' read -r package shown why; do
        present "$shown" || fail "$package is installed but brought no usable \`$shown\`"
    done < <(packages "$1")
}

virtual_environment() {
    local python stamp
    python=$(find_python)
    [ -n "$python" ] || fail "labctl needs Python 3.11 or later in /usr/bin (Debian 12, Ubuntu 24.04)"
    stamp="$python $("$python" -V) $PWD $(sha256sum requirements.lock pyproject.toml | sha256sum)"
    [ "$(cat .venv/setup-stamp 2> /dev/null)" != "$stamp" ] || return 0

    exec 9> .setup.lock
    flock 9
    [ "$(cat .venv/setup-stamp 2> /dev/null)" != "$stamp" ] || return 0
    say "making .venv with $("$python" -V) and the packages of requirements.lock"
    rm -f .venv/setup-stamp
    # Kept when it is of this Python and in this place (scripts hold absolute paths); else made anew.
    if [ "$(.venv/bin/python -c 'import sys; print(sys.prefix, sys.version_info[:2])' 2> /dev/null)" != \
        "$PWD/.venv $("$python" -c 'import sys; print(sys.version_info[:2])')" ] || ! .venv/bin/python -m pip -V > /dev/null 2>&1; then
        "$python" -m venv --clear .venv
    fi
    .venv/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock
    .venv/bin/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
    echo "$stamp" > .venv/setup-stamp
}

[ $# -le 1 ] && case ${1:-run} in run | test) ;; *) false ;; esac || fail "usage: ./setup.sh [test]"
system_packages "${1:-run}"
virtual_environment
