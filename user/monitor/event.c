// SPDX-License-Identifier: GPL-2.0-only
/* Events as text and as JSON. All in them is numbers and names of ours, so nothing has to be escaped. */
#include "monitor/event.h"

#include <inttypes.h>
#include <time.h>

#include "common/clock.h"
#include "common/names.h"

static void print_time(FILE *f, int64_t ns)
{
	time_t seconds = ns / NS_PER_S;
	struct tm tm;

	if (!localtime_r(&seconds, &tm))
		tm = (struct tm){ 0 };
	fprintf(f, "%02d:%02d:%02d.%06d", tm.tm_hour, tm.tm_min, tm.tm_sec, (int)(ns % NS_PER_S / 1000));
}

static void print_process(FILE *f, const struct watch_event *e)
{
	fprintf(f, " %u", e->pid);
	if (!e->tid)
		fputs("/?", f);
	else if (e->tid != e->pid)
		fprintf(f, "/%u", e->tid);
}

static void print_range(FILE *f, uint64_t start, uint64_t length)
{
	fprintf(f, " 0x%" PRIx64, start);
	/* mremap() makes another mapping of what is at an address, if it is to move nothing */
	if (length)
		fprintf(f, "-0x%" PRIx64, start + length);
}

static void print_mremap(FILE *f, const struct watch_event *e)
{
	fputs(" mremap", f);
	print_range(f, e->mremap.old, e->mremap.old_length);
	fputs(" ->", f);
	print_range(f, e->mremap.new, e->mremap.new_length);
	names_print(f, " ", mremap_flag_names, e->mremap.flags);
}

static void print_fork(FILE *f, const struct watch_event *e)
{
	size_t i;

	fprintf(f, " fork %u%s%s", e->child.pid, e->child.same_memory ? " same-memory" : "",
		e->child.hidden ? " hidden" : "");
	for (i = 0; i < e->child.n_uffds; i++)
		fprintf(f, "%s 0x%" PRIx64, i ? "" : " uffd", e->child.uffds[i]);
}

static void print_lost(FILE *f, const struct watch_event *e, const char *again)
{
	const char *noun = e->lost == 1 ? "event" : "events";

	if (e->command == WATCH_GAP)
		fprintf(f, " gap: %" PRIu64 " %s missing without a reason", e->lost, noun);
	else
		fprintf(f, " overrun: %" PRIu64 " %s lost", e->lost, noun);
	fprintf(f, "; \"%s\" shows how things are now", again);
}

void event_print_text(FILE *f, const struct watch_event *e, int64_t boot, const char *again)
{
	print_time(f, boot + (int64_t)e->time);
	if (e->command != WATCH_GAP && e->command != MEMFDCR_CMD_OVERRUN_NTF)
		print_process(f, e);
	switch (e->command) {
	case MEMFDCR_CMD_FORK_NTF:
		print_fork(f, e);
		break;
	case MEMFDCR_CMD_EXEC_NTF:
		fputs(e->exec.hidden ? " exec hidden" : " exec", f);
		break;
	case MEMFDCR_CMD_EXIT_NTF:
		if (e->exit.signal)
			fprintf(f, " exit signal %u", e->exit.signal);
		else
			fprintf(f, " exit %u", e->exit.code);
		break;
	case MEMFDCR_CMD_MREMAP_NTF:
		print_mremap(f, e);
		break;
	case MEMFDCR_CMD_UNMAP_NTF:
		fputs(" unmap", f);
		print_range(f, e->unmap.start, e->unmap.end - e->unmap.start);
		fprintf(f, " %s", cause_name(e->unmap.cause));
		break;
	default:
		print_lost(f, e, again);
	}
	fputc('\n', f);
}

static const char *event_name(uint8_t command)
{
	switch (command) {
	case MEMFDCR_CMD_FORK_NTF:
		return "fork";
	case MEMFDCR_CMD_EXEC_NTF:
		return "exec";
	case MEMFDCR_CMD_EXIT_NTF:
		return "exit";
	case MEMFDCR_CMD_MREMAP_NTF:
		return "mremap";
	case MEMFDCR_CMD_UNMAP_NTF:
		return "unmap";
	case MEMFDCR_CMD_OVERRUN_NTF:
		return "overrun";
	}
	return "gap";
}

static void json_process(FILE *f, const struct watch_event *e)
{
	fprintf(f, ",\"pid\":%u", e->pid);
	if (e->tid)
		fprintf(f, ",\"tid\":%u", e->tid);
	else
		fputs(",\"tid\":null", f);
}

static void json_fork(FILE *f, const struct watch_event *e)
{
	size_t i;

	fprintf(f, ",\"child\":%u,\"same_memory\":%s,\"hidden\":%s", e->child.pid,
		e->child.same_memory ? "true" : "false", e->child.hidden ? "true" : "false");
	fprintf(f, ",\"start_time\":%" PRIu64 ",\"uffd\":[", e->child.start_time);
	for (i = 0; i < e->child.n_uffds; i++)
		fprintf(f, "%s\"0x%" PRIx64 "\"", i ? "," : "", e->child.uffds[i]);
	fputc(']', f);
}

/* strings with commas between them */
struct json_list {
	FILE *f;
	const char *before;
};

static void put_json(void *data, const char *name)
{
	struct json_list *list = data;

	fprintf(list->f, "%s\"%s\"", list->before, name);
	list->before = ",";
}

static void json_mremap(FILE *f, const struct watch_event *e)
{
	struct json_list flags = { f, "" };

	fprintf(f, ",\"old\":\"0x%" PRIx64 "\",\"new\":\"0x%" PRIx64 "\"", e->mremap.old, e->mremap.new);
	fprintf(f, ",\"old_length\":%" PRIu64 ",\"new_length\":%" PRIu64, e->mremap.old_length, e->mremap.new_length);
	fputs(",\"flags\":[", f);
	names_each(mremap_flag_names, e->mremap.flags, put_json, &flags);
	fputc(']', f);
}

void event_print_json(FILE *f, const struct watch_event *e)
{
	fprintf(f, "{\"event\":\"%s\",\"time\":%" PRIu64 ",\"seq\":%" PRIu64, event_name(e->command), e->time,
		e->sequence);
	if (e->command != WATCH_GAP && e->command != MEMFDCR_CMD_OVERRUN_NTF)
		json_process(f, e);
	switch (e->command) {
	case MEMFDCR_CMD_FORK_NTF:
		json_fork(f, e);
		break;
	case MEMFDCR_CMD_EXEC_NTF:
		fprintf(f, ",\"hidden\":%s", e->exec.hidden ? "true" : "false");
		break;
	case MEMFDCR_CMD_EXIT_NTF:
		fprintf(f, ",\"code\":%u,\"signal\":%u", e->exit.code, e->exit.signal);
		break;
	case MEMFDCR_CMD_MREMAP_NTF:
		json_mremap(f, e);
		break;
	case MEMFDCR_CMD_UNMAP_NTF:
		fprintf(f, ",\"start\":\"0x%" PRIx64 "\",\"end\":\"0x%" PRIx64 "\",\"cause\":\"%s\"", e->unmap.start,
			e->unmap.end, cause_name(e->unmap.cause));
		break;
	default:
		fprintf(f, ",\"lost\":%" PRIu64, e->lost);
	}
	/* in whatever event it comes */
	if (e->last || e->command == MEMFDCR_CMD_EXIT_NTF)
		fprintf(f, ",\"last\":%s", e->last ? "true" : "false");
	fputs("}\n", f);
}
