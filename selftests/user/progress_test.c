// SPDX-License-Identifier: GPL-2.0-only
/* Tests of user/dump/progress.c: what is told, and that nobody is waited for. */
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "dump/progress.h"
#include "tap.h"

static const struct copy_progress none = { .total = 400 << 20 }, half = { .total = 400 << 20, .done = 200 << 20 },
				  all = { .total = 400 << 20, .done = 400 << 20 };

/* all that is there to be read */
static const char *seen(int fd)
{
	static char text[65536];
	ssize_t n;

	fcntl(fd, F_SETFL, O_NONBLOCK);
	n = read(fd, text, sizeof(text) - 1);
	text[n > 0 ? n : 0] = '\0';
	return text;
}

static size_t lines(const char *text)
{
	size_t n = 0;

	for (; (text = strchr(text, '\n')); text++)
		n++;
	return n;
}

static void test_json(void)
{
	struct progress p;
	const char *text;
	int ends[2], i;
	FILE *f;

	if (pipe(ends) || !(f = fdopen(ends[1], "w")))
		abort();
	progress_begin(&p, NULL, f);
	progress_tell(&p, &none);
	TAP_OK(tap_same(seen(ends[0]), "{\"done\":0,\"total\":419430400,\"rate\":0,\"left\":null}\n"), "the first line comes at once");
	progress_tell(&p, &half);
	TAP_OK(!*seen(ends[0]), "the next not before a second has gone by");
	usleep(1100000);
	progress_tell(&p, &half);
	text = seen(ends[0]);
	TAP_OK(strstr(text, "\"done\":209715200,") && (strstr(text, "\"left\":2}\n") || strstr(text, "\"left\":3}\n")),
	       "then it does: %.*s", (int)strcspn(text, "\n"), text);
	progress_tell(&p, &all);
	TAP_OK(strstr(seen(ends[0]), "\"left\":0}\n"), "the last line comes in any case");
	progress_end(&p);
	fcntl(ends[1], F_SETPIPE_SZ, 4096);
	for (i = 0; i < 1000; i++)
		progress_tell(&p, &all);
	TAP_OK(lines(seen(ends[0])) < 1000, "who does not read is not waited for");
	fclose(f);
	close(ends[0]);
}

static void test_bar(void)
{
	int ours, terminal, i;
	struct progress p;
	const char *text;
	FILE *f;

	if (openpty(&ours, &terminal, NULL, NULL, NULL) || !(f = fdopen(terminal, "w")))
		abort();
	progress_begin(&p, f, NULL);
	progress_end(&p);
	TAP_OK(!*seen(ours), "nothing is cleared before there is anything");
	usleep(10000);
	progress_tell(&p, &half);
	text = seen(ours);
	TAP_OK(strstr(text, "\r[###############               ] 200M of 400M, ") && strstr(text, "/s, 1 s left\033[K"),
	       "half a bar: %s", text + strspn(text, "\r"));
	progress_tell(&p, &all);
	text = seen(ours);
	TAP_OK(strstr(text, "\r[##############################] 400M of 400M, ") && strstr(text, "/s, 0 s left\033[K"),
	       "a whole one: %s", text + strspn(text, "\r"));
	progress_end(&p);
	TAP_OK(tap_same(seen(ours), "\r\033[K"), "it goes");
	if (tcflow(terminal, TCOOFF))
		abort();
	for (i = 0; i < 1000; i++)
		progress_tell(&p, &half);
	progress_end(&p);
	TAP_OK(!*seen(ours), "a terminal that was stopped is not waited for");
	if (tcflow(terminal, TCOON))
		abort();
	for (i = 0; i < 1000; i++)
		progress_tell(&p, &half);
	progress_end(&p);
	TAP_OK(*seen(ours), "nor one that nobody reads");
	fclose(f);
	close(ours);
}

int main(void)
{
	/* who does wait is killed */
	alarm(60);
	test_json();
	test_bar();
	return tap_done();
}
