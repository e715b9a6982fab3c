# SPDX-License-Identifier: GPL-2.0-only
# What the scripts of this directory share: messages, the cache, locks and apt on the suites we need.
# shellcheck shell=bash

vm_dir=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
# shellcheck disable=SC2034 # for the scripts that read this file
top_dir=$(cd -- "$vm_dir/../.." && pwd)
cache=${MEMFDCR_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/memfdcr}
export LC_ALL=C.UTF-8

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() { say "$@"; exit 1; }
usage_error() { say "$@"; say "see ${0##*/} --help"; exit 2; }

# The text between "Usage:" and the end of the comment at the head of the calling script.
show_help() { sed -n '/^# Usage:/,/^[^#]/{s/^# \{0,1\}//p}' "$0"; }

# Which Debian root goes with a kernel that -k names.
suite_of_kernel() {
	case $1 in
	bookworm) echo bookworm ;;
	trixie|backports|debug) echo trixie ;;
	*) usage_error "unknown kernel '$1', known are bookworm, trixie, backports and debug" ;;
	esac
}

# home_of_kernel NAME ROOT: the directory that holds this kernel, as tree/ and kernels: the root itself, where the kernel
# is one of its packages, or what selftests/vm/kernel has built.
home_of_kernel() {
	case $1 in
	debug) "$vm_dir/kernel" "$1" ;;
	*) echo "$2" ;;
	esac
}

# release_of_kernel HOME NAME
release_of_kernel() { sed -n "s/^$2 //p" "$1/kernels"; }

# Hash of strings and standard input: the name of a cache entry, so that a change of any input makes a new entry.
hash_of() { { printf '%s\n' "$@"; cat; } | sha256sum | cut -c1-16; }

# lock_exclusive NAME, lock_shared NAME: held until unlock or the end of the (sub)shell, one at a time.
lock_exclusive() { _lock -x "$1"; }
lock_shared() { _lock -s "$1"; }
_lock() {
	mkdir -p "$cache/lock"
	exec {lock_fd}>>"$cache/lock/$2"
	if ! flock -n "$1" "$lock_fd"; then
		say "waiting for another run that works on $2"
		flock "$1" "$lock_fd"
	fi
}
unlock() { exec {lock_fd}>&-; }

# run_quiet LOG CMD...: shows what CMD printed only when it failed.
run_quiet() {
	local log=$1 status=0
	shift
	"$@" >"$log" 2>&1 </dev/null || status=$?
	[ "$status" = 0 ] || cat "$log" >&2
	return "$status"
}

# Address of the machine's own Debian mirror with the given label ("Debian" or "Debian-Security").
apt_mirror() {
	# shellcheck disable=SC2016 # apt expands this, not the shell
	apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' "Label: $1" | sed -n 1p
}

# sources.list line for one of the suites, from the machine's own mirrors.
apt_sources() {
	local suite=$1 label=Debian uri key options=
	case $suite in *-security) label=Debian-Security ;; esac
	uri=$(apt_mirror "$label")
	if [ -z "$uri" ]; then
		[ "$label" = Debian-Security ] && return 0
		die "apt knows no Debian mirror here (run apt-get update first?)"
	fi
	for key in /usr/share/keyrings/debian-archive-keyring.{pgp,gpg}; do
		[ ! -e "$key" ] || options="[signed-by=$key] "
	done
	echo "deb $options$uri $suite main"
}

# apt_for SUITE... -- CMD...: runs an apt command that sees these suites only, with lists of its own; the
# machine's sources and lists stay as they are.
apt_for() {
	local suites=() suite state
	while [ "$1" != -- ]; do suites+=("$1"); shift; done
	shift
	state=$cache/apt/$(IFS=+; echo "${suites[*]}")
	mkdir -p "$state/lists/partial" "$state/cache/archives/partial" "$state/parts"
	for suite in "${suites[@]}"; do apt_sources "$suite"; done >"$state/sources.list"
	local cmd=$1
	shift
	"$cmd" -o Dir::Etc::SourceList="$state/sources.list" -o Dir::Etc::SourceParts="$state/parts" \
		-o Dir::State::Lists="$state/lists" -o Dir::Cache="$state/cache" -o APT::Sandbox::User=root "$@"
}
