# SPDX-License-Identifier: GPL-2.0-only
# A Debian PostgreSQL that CRIU can dump: making, starting, asking and killing it. For the test and for the demo.
# shellcheck shell=bash

pg_bin=$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
pg_version=${pg_bin%/bin} pg_version=${pg_version##*/}
pg_data=/var/lib/postgresql/$pg_version/demo

as_postgres() { setpriv --reuid=postgres --regid=postgres --init-groups "$@"; }

# pg_make SHARED_BUFFERS: a cluster whose server can be dumped. No DSM segments in /dev/shm, which another boot would not
# have, and nothing that writes by itself: CRIU restores a file only at the size it had, so files must stand still
# between two restores from the same images.
pg_make() {
	pg_createcluster "$pg_version" demo \
		-o shared_buffers="$1" -o dynamic_shared_memory_type=mmap -o huge_pages=off -o listen_addresses= \
		-o autovacuum=off -o checkpoint_timeout=1h -o wal_level=minimal -o max_wal_senders=0 -o max_wal_size=2GB \
		-o fsync=off -o max_parallel_workers_per_gather=0 -o jit=off -- --no-sync >/dev/null
}

# In an IPC namespace of its own: it has a System V segment, too, which CRIU dumps with its namespace only.
pg_start() { unshare --ipc pg_ctlcluster "$pg_version" demo start; }

pg_pid() { head -n 1 "$pg_data/postmaster.pid"; }

# pg_sql SQL: rows, unaligned; an error is an error
pg_sql() {
	as_postgres "$pg_bin/psql" -X -q -A -t -v ON_ERROR_STOP=1 -h /var/run/postgresql -c "$1" </dev/null
}

pg_is_gone() { ! pgrep -x postgres >/dev/null; }

# pg_dump_server IMAGES
pg_dump_server() {
	mkdir -p "$1"
	criu dump -t "$(pg_pid)" -D "$1" -o dump.log --tcp-established --ext-unix-sk --shell-job
}

# pg_restore_server IMAGES WORK
pg_restore_server() {
	mkdir -p "$2"
	criu restore -d -D "$1" -W "$2" -o restore.log --tcp-established --ext-unix-sk --shell-job </dev/null >"$2/out" 2>&1
}

# All at once: a server process that sees another one die would write to the log that the images know the size of.
pg_kill() {
	local pids pid
	mapfile -t pids < <(pgrep -x postgres)
	for pid in "${pids[@]}"; do kill -STOP "$pid" 2>/dev/null || true; done
	for pid in "${pids[@]}"; do kill -KILL "$pid" 2>/dev/null || true; done
	while ! pg_is_gone; do sleep 0.05; done
}
