// SPDX-License-Identifier: GPL-2.0-only
/*
 * CRIU's action script, stage by stage: pre-restore starts the daemon, post-restore has it take over, and the dump's
 * first stage waits until a daemon has finished with the tree.
 */
#include "restore/hook.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "common/log.h"
#include "serve/channel.h"
#include "serve/incomplete.h"
#include "restore/daemon.h"
#include "restore/hide.h"

static const char *image_dir(void)
{
	const char *path = getenv("CRTOOLS_IMAGE_DIR");

	return path ? path : "";
}

/* CRTOOLS_IMAGE_DIR is /proc/PID/fd/N of the CRIU process that runs us */
static pid_t criu_pid(void)
{
	int pid;

	return sscanf(image_dir(), "/proc/%d/fd/", &pid) == 1 ? pid : getppid();
}

/* the daemon is no more: nobody else will take its stubs off. 0 when CRIU sees its own images (again), or negative */
static int clean_up(void)
{
	int fd = open(image_dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC), ret;

	if (fd < 0)
		return -errno;
	ret = flock(fd, LOCK_EX | LOCK_NB) ? -errno : hide_clean_up(fd);
	close(fd);
	return ret < 0 ? ret : 0;
}

/* CRIU may have the hook in two of its configuration files, and then runs it twice at each stage */
static bool daemon_is_there(pid_t criu)
{
	char directory[PATH_MAX];
	int fd;

	if (channel_directory(criu, directory, sizeof(directory)))
		return false;
	fd = channel_connect(directory);
	if (fd < 0)
		return false;
	close(fd);
	return true;
}

/* without a daemon: CRIU may go on if it sees its own images */
static int go_on_eagerly(const char *why)
{
	char directory[PATH_MAX];
	int fd = open(image_dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC), ret;
	bool hidden = !channel_directory(criu_pid(), directory, sizeof(directory)) && hide_is_marked(directory);

	ret = fd < 0 ? 0 : hide_present(fd);
	if (fd >= 0)
		close(fd);
	if (hidden || ret > 0)
		ret = clean_up();
	if (ret) {
		log_error("%s and its stubs cannot be taken off the image directory: %s; umount(8) them (findmnt shows them as \"memfdcr\")",
			  why, strerror(-ret));
		return 1;
	}
	log_notice("eager restore: %s", why);
	return 0;
}

static int pre_restore(void)
{
	bool decided = false;
	int ret;

	if (daemon_is_there(criu_pid()))
		return 0;
	ret = daemon_start(criu_pid(), image_dir(), &decided);
	if (decided)
		return ret ? 1 : 0;
	return go_on_eagerly(ret == -EPIPE ? "the daemon died while it prepared a lazy one" : strerror(-ret));
}

static int post_restore(void)
{
	const char *root = getenv("CRTOOLS_INIT_PID");
	char directory[PATH_MAX];
	int fd, ret;

	ret = channel_directory(criu_pid(), directory, sizeof(directory));
	if (ret) {
		log_error("cannot find the CRIU process: %s", strerror(-ret));
		return 1;
	}
	fd = channel_connect(directory);
	if (fd < 0) {
		/* never started or eager: nothing was hidden, CRIU has restored everything itself */
		if (!hide_is_marked(directory)) {
			channel_remove(directory);
			return 0;
		}
		ret = clean_up();
		channel_remove(directory);
		log_error("the daemon of this restore is gone and with it the content of lazy objects: the restore is given up; the images are whole%s, restore again",
			  ret ? ", but for stubs mounted over them (findmnt shows them as \"memfdcr\")" : "");
		return 1;
	}
	if (!root) {
		log_error("CRIU did not say which process it restored (CRTOOLS_INIT_PID)");
		close(fd);
		return 1;
	}
	ret = channel_request(fd, "arm", atoi(root));
	close(fd);
	/*
	 * It was just ending: this is the second run for one restore, and the first has had its answer. Who ends in order has
	 * taken the socket away; of one that was killed it is still there.
	 */
	if ((ret == -ECONNRESET || ret == -EPIPE) && channel_connect(directory) == -ENOENT)
		return 0;
	if (ret < 0)
		log_error("the daemon of this restore does not answer: %s", strerror(-ret));
	return ret ? 1 : 0;
}

/* CRIU reads shared memory past every userfaultfd: what is still to come, it would dump as zeros */
static int pre_dump(void)
{
	const char *root = getenv("CRTOOLS_INIT_PID");

	if (root)
		return channel_finish_all(atoi(root)) || incomplete_check_tree(atoi(root)) ? 1 : 0;
	if (access(CHANNEL_ROOT, F_OK))
		return 0;
	log_error("CRIU did not say which process it dumps (CRTOOLS_INIT_PID)");
	return 1;
}

int hook_run(const char *action)
{
	if (!strcmp(action, "pre-restore"))
		return pre_restore();
	if (!strcmp(action, "post-restore"))
		return post_restore();
	if (!strcmp(action, "pre-dump"))
		return pre_dump();
	return 0;
}
