# SPDX-License-Identifier: GPL-2.0-only
# What selftests/check and selftests/check-debug share: running suites, counting, the last line.
# shellcheck shell=bash

case ${1-} in
-h|--help) sed -n '/^# Usage:/,/^[^#]/{s/^# \{0,1\}//p}' "$0"; exit 0 ;;
esac

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit

logs=build/${0##*/}
jobs=${MEMFDCR_CHECK_JOBS:-$(($(nproc) > 1 ? 2 : 1))}
names=() commands=()
declare -A running=()
passed=0 failed=0 skipped=0 failures=()
wanted=("$@")

is_wanted() {
	local w
	[ ${#wanted[@]} -gt 0 ] || return 0
	for w in "${wanted[@]}"; do
		[[ $1 == "$w"* ]] && return 0
	done
	return 1
}

# suite NAME COMMAND...: the suite is to be run, if it is wanted
suite() {
	is_wanted "$1" || return 0
	names+=("$1")
	shift
	commands+=("$(printf '%q ' "$@")")
}

# run_suite NAME COMMAND: prints the suite's results as they come. What it has printed is left in its log, and how it ended
# and the seconds it took beside that.
run_suite() {
	local log=$logs/$1.log status=0 began=$SECONDS
	: >"$log.end"
	printf '== %s\n' "$1"
	{
		eval "$2" </dev/null 2>&1 || status=$?
		echo "$status $((SECONDS - began))" >"$log.end"
	} | tee "$log" | grep --line-buffered -E '^(not )?ok |^Bail out' | sed -u "s/^/$1: /" || true
}

# A suite that ends with an error, or without as many results as its plans announce, is a failed test, too: a lost guest
# has printed no "not ok".
judge() {
	local name=$1 log=$logs/$1.log status seconds ok bad skip plan
	# without a line there: killed
	read -r status seconds <"$log.end" || { status=killed; seconds=0; }
	rm "$log.end"
	skip=$(grep -cE '^ok .*# SKIP' "$log" || true)
	ok=$(($(grep -cE '^ok ' "$log" || true) - skip))
	bad=$(grep -cE '^not ok ' "$log" || true)
	plan=$(sed -n 's/^1\.\.\([0-9][0-9]*\).*/\1/p' "$log" | awk '{ n += $1 } END { print n + 0 }')
	if [ "$status" != 0 ] && [ "$bad" = 0 ]; then
		bad=1
		failures+=("$name: exit status $status")
	elif [ "$((ok + bad + skip))" = 0 ] || [ "$((ok + bad + skip))" != "$plan" ]; then
		failures+=("$name: $plan tests planned, $((ok + bad + skip)) run")
		bad=$((bad + 1))
	elif [ "$bad" != 0 ]; then
		mapfile -t -O "${#failures[@]}" failures < <(sed -n "s/^not ok /$name: not ok /p" "$log")
	fi
	passed=$((passed + ok)) failed=$((failed + bad)) skipped=$((skipped + skip))
	printf '== %s: %d passed, %d failed, %d skipped, %d s\n' "$name" "$ok" "$bad" "$skip" "$seconds"
}

# Runs the suites, $jobs at a time, in their order, and judges each as it ends. Each is a process group, which goes when
# this script is told to.
run_suites() {
	local next=0 pid
	set -m
	trap 'for pid in "${!running[@]}"; do kill -- "-$pid"; done; exit 130' INT TERM HUP
	while [ "$next" -lt "${#names[@]}" ] || [ ${#running[@]} != 0 ]; do
		while [ "$next" -lt "${#names[@]}" ] && [ ${#running[@]} -lt "$jobs" ]; do
			run_suite "${names[next]}" "${commands[next]}" &
			running[$!]=${names[next]}
			next=$((next + 1))
		done
		wait -n -p pid "${!running[@]}" || true
		judge "${running[$pid]}"
		unset "running[$pid]"
	done
}

# What each failed test has said of itself: the lines since the result before and until the one after, as the shell tests
# explain themselves behind their result and the others before it; and the end of suites that ended too early. The
# last $1 lines of each.
show_failed_tests() {
	local name
	for name in "${names[@]}"; do
		if printf '%s\n' "${failures[@]}" | grep -qE "^$name: (exit status|[0-9]+ tests planned)"; then
			echo "== $name"
			tail -n "$1" "$logs/$name.log"
			continue
		fi
		awk -v max="$1" -v name="$name" '
			function show(i) {
				for (i = n > max ? n - max : 0; i < n; i++)
					print line[i]
				n = 0
			}
			/^(not )?ok / {
				if (failed)
					show()
				failed = /^not /
				if (failed) {
					print "== " name
					show()
					print
				}
				n = 0
				next
			}
			{ line[n++] = $0 }
			END { if (failed) show() }' "$logs/$name.log"
	done
}

# Runs the suites, shows what was skipped and what failed, and the last line; its status is that of the whole.
finish() {
	run_suites
	if [ "$skipped" != 0 ]; then
		echo "$skipped skipped:"
		grep -HE '^ok .*# SKIP' "$logs"/*.log || true
	fi
	if [ ${#failures[@]} != 0 ]; then
		show_failed_tests 100
		printf 'FAILED %s\n' "${failures[@]}"
	fi
	printf '%d passed, %d failed\n' "$passed" "$failed"
	[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
}

mkdir -p "$logs"
selftests/vm/setup
