#!/usr/bin/env bash
# Proves that the README is true on a machine with nothing on it: a minimal Debian with git, make and certificates, a
# clean clone of what is committed here, `make TARGET` in it, twice.
#
#   tests/bare/run.sh test            what `make test` does on a bare Debian
#   tests/bare/run.sh setup images    one after the other in the same root
#
# The root is a chroot with its own mount, process and control group namespaces; when this script ends, however it ends,
# its processes and mounts are gone, and what is left on the disk is removed and reported. LABCTL_BARE_KEEP=1 keeps the
# root for a look inside. The network is the machine's, for the package mirrors; how to reach those (proxies, pip's
# settings, certificate bundles) is taken over from the environment, and so is ARGS for make.
set -euo pipefail

say() { echo "bare: $*" >&2; }

enter() { # in the new namespaces: mounts, then the targets
    local root=$1 group=$2
    shift 2
    mount -t proc proc "$root/proc"
    mount -t sysfs sysfs "$root/sys"
    mount --rbind /dev "$root/dev"
    mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
    mount -t tmpfs -o mode=755 tmpfs "$root/run"
    mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
    # The control groups of this place: whatever is created in here is created below $group.
    mount -t tmpfs -o mode=755 tmpfs "$root/sys/fs/cgroup"
    local kind point options
    while read -r kind point options; do
        point=$root${point/#\/sys\/fs\/cgroup/\/sys\/fs\/cgroup}
        mkdir -p "$point"
        if [ "$kind" = cgroup2 ]; then mount -t cgroup2 cgroup2 "$point"; else mount -t cgroup -o "$options" cgroup "$point"; fi
        if [ "$kind" = cgroup2 ] && [ "$point" = "$root/sys/fs/cgroup" ]; then
            mkdir "$point/init" && echo 0 > "$point/init/cgroup.procs" # a group with processes cannot have controllers
        fi
    done < <(hierarchies)

    local name environment=(HOME=/root TERM="${TERM:-dumb}" LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin)
    while read -r name; do environment+=("$name=${!name}"); done < <(passed_on)
    chroot "$root" git -c advice.detachedHead=false clone -q /labctl.bundle /root/labctl
    local target run start status=0
    for target in "$@"; do
        for run in 1 2; do
            say "make $target, run $run"
            start=$SECONDS status=0
            # In the background a shell has its children ignore Ctrl-C; tests send it.
            env -i --default-signal=INT,QUIT "${environment[@]}" chroot "$root" make -C /root/labctl "$target" < /dev/null || status=$?
            say "make $target, run $run: exit $status after $((SECONDS - start)) s"
            [ "$status" = 0 ] || break 2
        done
    done
    # The network is the machine's, and so are the packet filters of labs that a target leaves running (`demo` does).
    env -i "${environment[@]}" chroot "$root" sh -ec 'cd /root/labctl; [ ! -x .venv/bin/labctl ] ||
        .venv/bin/python tools/in_root.py .venv/bin/labctl destroy --all --yes' < /dev/null || status=${status/#0/1}
    return "$status"
}

passed_on() { # variables that say how to reach package mirrors, and what the tests take
    compgen -e | grep -E '^(PIP_|UV_|SSL_CERT_|REQUESTS_CA_BUNDLE$|CURL_CA_BUNDLE$|LABCTL_TEST)|^ARGS$|_(proxy|PROXY)$' || true
}

hierarchies() { # type, mount point and controllers of each control group hierarchy
    awk '{ for (i = 1; i <= NF && $i != "-"; i++); type = $(i + 1)
           if (type == "cgroup" || type == "cgroup2") { sub(/^rw,?/, "", $(i + 3)); print type, $5, $(i + 3) } }' /proc/self/mountinfo
}

groups() { # directories of one group in all hierarchies
    local kind point options
    while read -r kind point options; do echo "$point/$1"; done < <(hierarchies)
}

filters() { # tables of the packet filter that are labctl's
    nft list tables 2> /dev/null | grep ' labctl-' | sort || true
}

clean_up() {
    local directory file
    trap - EXIT
    if [ -n "$inside" ]; then kill -KILL "$inside" 2> /dev/null || true; fi # and with it its process namespace
    for _ in $(seq 50); do
        for directory in $(groups "$group"); do # a frozen process does not die
            for file in $(find "$directory" -name freezer.state 2> /dev/null); do echo THAWED > "$file" || true; done
            for file in $(find "$directory" -name cgroup.freeze 2> /dev/null); do echo 0 > "$file" || true; done
            find "$directory" -depth -type d -exec rmdir {} + 2> /dev/null || true
        done
        left=$(for directory in $(groups "$group"); do [ ! -d "$directory" ] || echo "$directory"; done)
        [ -n "$left" ] || break
        sleep 0.2
    done
    [ -z "$left" ] || say "LEFT: $left"
    left=$(comm -13 <(echo "$tables") <(filters))
    [ -z "$left" ] || say "LEFT: $left"
    if grep -q " $root" /proc/self/mountinfo; then say "LEFT: mounts below $root"; fi
    if [ -n "${LABCTL_BARE_KEEP:-}" ]; then say "the root is kept in $root"; else rm -rf --one-file-system "$root"; fi
}

{ # read as a whole, so that editing this file does not change a run
if [ "${1:-}" = --inside ]; then
    shift
    enter "$@"
    exit
fi

[ $# -gt 0 ] || { say "usage: tests/bare/run.sh TARGET..."; exit 2; }
[ "$(id -u)" = 0 ] || { say "needs root: mounts and namespaces"; exit 6; }
[ -n "$(type -P mmdebstrap)" ] || { say "needs mmdebstrap: apt-get install mmdebstrap"; exit 6; }
cd "$(dirname "$0")/../.."
root=$(mktemp -d "${TMPDIR:-/var/tmp}/labctl-bare.XXXXXX")
group=labctl-bare-$$
inside= left= tables=$(filters)
trap clean_up EXIT
trap 'exit 130' INT TERM HUP

say "a minimal Debian in $root"
mmdebstrap --quiet --variant=minbase --include=ca-certificates,git,make bookworm "$root"
cp /etc/resolv.conf "$root/etc/resolv.conf"
{ apt-config dump 2> /dev/null | grep -iE '^Acquire::(http|https)::proxy' > "$root/etc/apt/apt.conf.d/99proxy"; } || true
if compgen -G '/usr/local/share/ca-certificates/*.crt' > /dev/null; then
    cp /usr/local/share/ca-certificates/*.crt "$root/usr/local/share/ca-certificates/"
    chroot "$root" update-ca-certificates > /dev/null 2>&1
fi
for name in $(passed_on); do
    if [ -f "${!name}" ]; then
        install -D -m 644 "${!name}" "$root${!name}"
    elif [ -d "${!name}" ] && [ ! -e "$root${!name}" ]; then
        mkdir -p "$root${!name}" && cp -r "${!name}/." "$root${!name}/"
    fi
done
git bundle create -q "$root/labctl.bundle" HEAD
git --no-pager log -1 --format='bare: at commit %h, %s' >&2

for directory in $(groups "$group"); do mkdir -p "$directory"; done
(
    for directory in $(groups "$group"); do
        # A v1 cpuset has no processors of its own until it is told.
        if [ -e "$directory/cpuset.cpus" ] && [ -z "$(cat "$directory/cpuset.cpus")" ]; then
            cat "$directory/../cpuset.cpus" > "$directory/cpuset.cpus"
            cat "$directory/../cpuset.mems" > "$directory/cpuset.mems"
        fi
        echo "$BASHPID" > "$directory/cgroup.procs"
    done
    exec setpriv --pdeathsig KILL \
        unshare --mount --pid --fork --kill-child --cgroup --uts --ipc --propagation private \
        "$(realpath "tests/bare/run.sh")" --inside "$root" "$group" "$@"
) &
inside=$!
wait "$inside"
inside=
say "done: $*, each twice"
exit
}
