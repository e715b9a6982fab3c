# SPDX-License-Identifier: GPL-2.0-only
# What the tests in a guest share: KTAP, running CRIU with hooks, the test tree's orders, the hook's log.
# shellcheck shell=bash disable=SC2034,SC2154

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
hook=/usr/libexec/memfdcr/criu-action
base=/var/tmp/memfdcr
cgroups=/sys/fs/cgroup
# Seconds that anything may take. Without KVM, next to other guests, all is slow: this is no measure of speed.
patience=150

tests_run=0 tests_failed=0

# of an order: a line an object and process that has it
results=24

# run_test FUNCTION MEANING: in a shell of its own, with a directory of its own in $dir; what it prints is shown if it fails.
# Exit status 77: skipped, the last line says why.
run_test() {
	local name=$1 meaning=$2 log=$base/$1.log status=0 began=$EPOCHREALTIME
	tests_run=$((tests_run + 1))
	rm -rf "${base:?}/$name"
	(
		set -eEuo pipefail
		trap 'echo "$BASH_SOURCE:$LINENO: failed: $BASH_COMMAND"' ERR
		dir=$base/$name
		mkdir -p "$dir"
		cd "$dir"
		"$name"
	) >"$log" 2>&1 || status=$?
	case $status in
	0) echo "ok $tests_run - $meaning" ;;
	77) echo "ok $tests_run - $meaning # SKIP $(tail -n 1 "$log")" ;;
	*)
		tests_failed=$((tests_failed + 1))
		echo "not ok $tests_run - $meaning"
		tail -n 60 "$log" | sed 's/^/# /'
		show_state "$base/$name" | sed 's/^/# /'
		;;
	esac
	echo "# ${name#test_}: $(seconds_since "$began") s"
	end_all
	[ "$status" != 0 ] || rm -rf "${base:?}/$name"
}

# show_state DIRECTORY: what a failed test leaves: the hook's log, who still runs, and where in the kernel
show_state() {
	local pid thread
	tail -n 40 "$1/$restore_log" 2>/dev/null || true
	dmesg | tail -n 8
	for pid in $(leftovers 2>/dev/null); do
		for thread in "/proc/$pid/task"/*; do
			echo "$pid/${thread##*/}: $(cat "$thread/comm"): $(head -n 4 "$thread/stack" | awk '{ print $2 }' | xargs)"
		done 2>/dev/null
	done
}

finish_tests() {
	echo "1..$tests_run"
	[ "$tests_failed" = 0 ] && [ "$tests_run" -gt 0 ]
}

skip() { echo "$*"; exit 77; }
fail() { echo "$*"; exit 1; }

seconds_since() { local us=$((${EPOCHREALTIME/./} - ${1/./})); printf '%d.%03d\n' $((us / 1000000)) $((us / 1000 % 1000)); }

# wait_for WHAT COMMAND...: until COMMAND succeeds
wait_for() {
	local what=$1 end=$((SECONDS + patience))
	shift
	until "$@"; do
		[ "$SECONDS" -lt "$end" ] || fail "no end of waiting for $what"
		sleep 0.02
	done
}

# What a test has left behind goes. A tree may be forking while it is killed, so again and again.
end_all() {
	local pid mount end=$((SECONDS + patience))
	while leftovers >/dev/null; do
		for pid in $(leftovers); do kill -9 "$pid" 2>/dev/null || true; done
		if [ "$SECONDS" -ge "$end" ]; then
			ps -eo pid,ppid,stat,wchan:32,args | sed 's/^/# /'
			for pid in $(leftovers); do sed "s/^/# $pid: /" "/proc/$pid/stack"; done
			echo "Bail out! what a test has started cannot be killed"
			exit 1
		fi
		sleep 0.05
	done
	awk -v base="$base/" 'index($5, base) == 1 { print $5 }' /proc/self/mountinfo | while read -r mount; do
		umount "$mount" || umount -l "$mount" || true
	done
}

# old versions of pgrep think the pattern too long for a name, say so, and do what is wanted
leftovers() { pgrep -x 'shmtest|criu|memfdcr-pager' 2>/dev/null; }

# use_scripts SCRIPT...: CRIU's configuration has these action scripts, run in this order. CRIU puts each new one before
# those it has already.
use_scripts() {
	local i
	mkdir -p /etc/criu
	for ((i = $#; i > 0; i--)); do echo "action-script ${!i}"; done >/etc/criu/default.conf
}

# script_at STAGE TEXT: an action script that runs TEXT at that stage; prints its path
script_at() {
	local file
	file=$(mktemp "$PWD/script.XXXXXX")
	# shellcheck disable=SC2016
	printf '#!/bin/bash\n[ "$CRTOOLS_SCRIPT_ACTION" = %s ] || exit 0\n%s\n' "$1" "$2" >"$file"
	chmod +x "$file"
	echo "$file"
}

# start_tree [ARG]...: a test tree with its directory in $PWD/tree
start_tree() {
	rm -rf tree
	mkdir tree
	setsid "$here/shmtest" "$@" "$PWD/tree" </dev/null >start.log 2>&1 &
	wait_for "the test tree ($(cat start.log))" test -s tree/ready
}

# order N check|storm: gives the tree's N-th order and waits until all are done with it
order() {
	give_order "$1" "$2"
	await_order "$1"
}

give_order() {
	rm -f "$tree/result.$1".*
	echo "$2" >"$tree/go.tmp"
	mv "$tree/go.tmp" "$tree/go.$1"
}

await_order() { wait_for "order $1 to be carried out" test -e "$tree/result.$1.0" -a -e "$tree/result.$1.1" -a -e "$tree/result.$1.2"; }

# forget_order N: it and all later ones, which a tree that an earlier test has restored may have been given
forget_order() {
	local file
	rm -f "$tree/wrong"
	for file in "$tree"/{go,result}.[0-9]*; do
		[ ! -e "$file" ] || [ "$(cut -d. -f2 <<<"${file##*/}")" -lt "$1" ] || rm "$file"
	done
}

# every object in every process: ok, and all pages compared
order_is_right() {
	local n
	if [ -e "$tree/wrong" ]; then
		cat "$tree/wrong"
		return 1
	fi
	cat "$tree/result.$1".*
	! grep -q FAILED "$tree/result.$1".* || return 1
	n=$(cat "$tree/result.$1".* | grep -c '^object .*: ok')
	[ "$n" = "$results" ] || fail "$n results"
	! grep -h '^object' "$tree/result.$1".* | grep -q ' 0 pages'
}

tree_pid() { cat "$tree/ready"; }

# dump IMAGES [ARG]...
dump() {
	local images=$1
	shift
	mkdir -p "$images"
	timeout --foreground "$patience" criu dump -t "$(tree_pid)" -D "$images" -o dump.log "$@" || { tail -n 20 "$images/dump.log"; return 1; }
	wait_for "the dumped tree to go" tree_is_gone
}

tree_is_gone() { ! pgrep -x shmtest >/dev/null; }

# restore IMAGES [ARG]...: with the scripts that use_scripts has set; CRIU's exit status. Logs go to ./work
restore() {
	local images=$1
	shift
	mkdir -p work
	rm -f work/*.log
	timeout --foreground "$patience" criu restore -D "$images" -W work -o restore.log -d "$@" </dev/null >work/out 2>&1
}

in_cgroup() {
	local group=$1
	shift
	(echo "$BASHPID" >"$cgroups/$group/cgroup.procs" && "$@")
}

make_cgroup() {
	echo '+memory +io' >"$cgroups/cgroup.subtree_control"
	[ ! -d "$cgroups/$1" ] || { wait_for "cgroup $1 to be empty" rmdir "$cgroups/$1"; }
	mkdir "$cgroups/$1"
}

# limit_reading GROUP RATE: who is in the cgroup reads the file system of the images from the disk at RATE bytes a second
limit_reading() {
	local device
	device=$(lsblk -no MAJ:MIN "$(findmnt -no SOURCE -T "$base")" | tr -d ' ')
	echo "$device rbps=$2" >"$cgroups/$1/io.max"
}

# slow_down GROUP RATE: the same, and what is in the page cache already, and would come at once, is dropped: makes the
# lazy phase as long as a test needs it. Whatever the processes look at on that disk then, they wait for, too.
slow_down() {
	limit_reading "$@"
	sync
	echo 3 >/proc/sys/vm/drop_caches
}

restore_log=work/memfdcr-restore.log

pager_is_gone() { ! pgrep -x memfdcr-pager >/dev/null; }

# the pager has come to its end, and says that all is in
await_pager() {
	wait_for "the pager's end" pager_is_gone
	cat $restore_log
	grep -q 'summary: objects lazy' $restore_log || fail "no summary"
	! grep 'summary:.*incomplete' $restore_log || fail "incomplete"
}

# summary_number WORD: the number after WORD in the summary line
summary_number() { sed -n "s/.*summary: .*[ (]$1 \([0-9]*\).*/\1/p" $restore_log; }

# no_stubs IMAGES: nothing is mounted over files there
no_stubs() { ! grep -F "$1" /proc/self/mountinfo; }

sums() { (cd "$1" && sha256sum ./*.img); }

# no mapping of the tree is watched by a userfaultfd
nobody_watches() {
	local pid
	for pid in $(pgrep -x shmtest); do
		! grep -E '^VmFlags:.* um( |$)' "/proc/$pid/smaps" || return 1
	done
}
