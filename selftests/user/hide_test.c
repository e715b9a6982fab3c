// SPDX-License-Identifier: GPL-2.0-only
/* Tests of user/restore/hide.c: stubs over image files, taken away again whoever dies. Needs root for mount(2). */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "restore/hide.h"
#include "tap.h"

/* two magics, a head with pages_id 7, then something like entries */
static const unsigned char image[] = {
	0x19, 0x43, 0x56, 0x54, 0x25, 0x40, 0x08, 0x56, 2, 0, 0, 0, 0x08, 0x07, 6, 0, 0, 0, 1, 2, 3, 4, 5, 6,
};
/* the same with pages_id 300, which takes a byte more */
static const unsigned char long_head[] = {
	0x19, 0x43, 0x56, 0x54, 0x25, 0x40, 0x08, 0x56, 3, 0, 0, 0, 0x08, 0xac, 0x02, 6, 0, 0, 0, 1, 2, 3, 4, 5, 6,
};

static char top[] = "/tmp/memfdcr-hide-XXXXXX";
static char images[64], scratch[64];

static void make(const char *name, const void *bytes, size_t size)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", images, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	if (fd < 0 || write(fd, bytes, size) != (ssize_t)size)
		abort();
	close(fd);
}

/* as CRIU reads: by name below the directory's descriptor */
static bool holds(int dirfd, const char *name, const void *bytes, size_t size)
{
	unsigned char got[256];
	int fd = openat(dirfd, name, O_RDONLY);
	ssize_t n;

	if (fd < 0)
		return false;
	n = read(fd, got, sizeof(got));
	close(fd);
	return n == (ssize_t)size && !memcmp(got, bytes, size);
}

static bool all_whole(int dirfd)
{
	return holds(dirfd, "pagemap-shmem-1.img", image, sizeof(image)) &&
	       holds(dirfd, "pagemap-shmem-2.img", long_head, sizeof(long_head));
}

static void test_hide(int dirfd)
{
	struct hide *h = hide_new(dirfd, scratch);
	struct stat st;

	if (!TAP_OK(h, "hide_new: %s", h ? "done" : strerror(errno)))
		return;
	TAP_OK(!hide_present(dirfd), "at first no stub is there");
	TAP_OK(!hide_file(h, "pagemap-shmem-1.img") && !hide_file(h, "pagemap-shmem-2.img"), "two files are hidden");
	TAP_OK(holds(dirfd, "pagemap-shmem-1.img", image, 14), "a stub is the head");
	TAP_OK(holds(dirfd, "pagemap-shmem-2.img", long_head, 15), "a long head is kept whole");
	TAP_OK(hide_present(dirfd) == 1, "stubs are seen");
	TAP_OK(holds(dirfd, "pages-1.img", "content", 7), "other files are as they were");
	TAP_OK(!hide_undo(h) && all_whole(dirfd), "undo gives the files back");
	TAP_OK(!hide_present(dirfd), "then no stub is there");
	hide_free(h);
	TAP_OK(stat(scratch, &st) && errno == ENOENT, "nothing is left of the scratch directory");
}

static void test_errors(int dirfd)
{
	struct hide *h = hide_new(dirfd, scratch);

	TAP_OK(hide_file(h, "pagemap-shmem-9.img") == -ENOENT, "a missing file: ENOENT");
	TAP_OK(hide_file(h, "pagemap-shmem-3.img") == -EBADMSG, "a file without a whole head: EBADMSG");
	TAP_OK(!hide_file(h, "pagemap-shmem-1.img"), "others can be hidden after that");
	hide_free(h);
	TAP_OK(all_whole(dirfd), "free undoes");
}

static void test_read_only(int dirfd)
{
	struct hide *h;
	int ro;

	if (mount(images, images, NULL, MS_BIND, NULL) ||
	    mount(NULL, images, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL)) {
		TAP_OK(false, "a read-only mount of the images");
		return;
	}
	ro = open(images, O_RDONLY | O_DIRECTORY);
	h = hide_new(ro, scratch);
	TAP_OK(openat(ro, "new", O_WRONLY | O_CREAT, 0600) < 0 && errno == EROFS, "the directory is read-only");
	TAP_OK(h && !hide_file(h, "pagemap-shmem-1.img"), "a file of a read-only directory is hidden");
	TAP_OK(holds(ro, "pagemap-shmem-1.img", image, 14), "and seen as a stub");
	hide_free(h);
	TAP_OK(all_whole(ro), "and given back");
	close(ro);
	umount2(images, MNT_DETACH);
	TAP_OK(all_whole(dirfd), "the files themselves never changed");
}

/* a mount namespace that was cloned meanwhile keeps the mounts: they must not pass for images any more */
static void test_cloned(int dirfd)
{
	struct hide *h = hide_new(dirfd, scratch);
	int go[2], status;
	pid_t child;
	char c;

	if (pipe(go) || hide_file(h, "pagemap-shmem-1.img"))
		abort();
	child = fork();
	if (!child) {
		int own;

		close(go[1]);
		if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
			_exit(2);
		own = open(images, O_RDONLY | O_DIRECTORY);
		if (!holds(own, "pagemap-shmem-1.img", image, 14))
			_exit(3);
		kill(getpid(), SIGSTOP);
		if (read(go[0], &c, 1))
			_exit(4);
		_exit(!holds(own, "pagemap-shmem-1.img", "", 0));
	}
	waitpid(child, &status, WUNTRACED);
	hide_free(h);
	TAP_OK(all_whole(dirfd), "given back here");
	close(go[0]);
	close(go[1]);
	kill(child, SIGCONT);
	waitpid(child, &status, 0);
	TAP_OK(WIFEXITED(status) && !WEXITSTATUS(status), "a stub left in another mount namespace is empty, which CRIU refuses");
}

/* a daemon that is killed, twice, leaves stubs on stubs */
static void test_killed(int dirfd)
{
	int i, status;

	for (i = 0; i < 2; i++) {
		pid_t child = fork();

		if (!child) {
			struct hide *h = hide_new(dirfd, scratch);

			if (!h || hide_file(h, "pagemap-shmem-1.img") || hide_file(h, "pagemap-shmem-2.img"))
				_exit(1);
			raise(SIGKILL);
		}
		waitpid(child, &status, 0);
		TAP_OK(WIFSIGNALED(status), "daemon %d hides and is killed", i);
		umount2(scratch, MNT_DETACH);
		rmdir(scratch);
	}
	TAP_OK(hide_present(dirfd) == 1, "its stubs are still there");
	TAP_OK(hide_clean_up(dirfd) == 4, "clean up takes all four away");
	TAP_OK(all_whole(dirfd) && !hide_present(dirfd), "and the files are whole");
	TAP_OK(!hide_clean_up(dirfd), "a second clean up finds nothing");
}

int main(void)
{
	char path[128];
	int dirfd;

	if (geteuid()) {
		tap_skip("mount(2) needs root");
		return tap_done();
	}
	/* whatever goes wrong here stays here */
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) || !mkdtemp(top))
		return 1;
	snprintf(images, sizeof(images), "%s/images", top);
	snprintf(scratch, sizeof(scratch), "%s/scratch", top);
	if (mkdir(images, 0700))
		return 1;
	make("pagemap-shmem-1.img", image, sizeof(image));
	make("pagemap-shmem-2.img", long_head, sizeof(long_head));
	make("pagemap-shmem-3.img", image, 13);
	make("pages-1.img", "content", 7);
	dirfd = open(images, O_RDONLY | O_DIRECTORY);

	test_hide(dirfd);
	test_errors(dirfd);
	test_read_only(dirfd);
	test_cloned(dirfd);
	test_killed(dirfd);

	snprintf(path, sizeof(path), "rm -rf %s", top);
	return system(path) ? 1 : tap_done();
}
