/* SPDX-License-Identifier: GPL-2.0-only */
/* Requests to the module, and what it says to them. */
#ifndef REQUEST_H
#define REQUEST_H

#include <stdbool.h>
#include <stdint.h>

/* what came back: error 0 and the reply's attributes, or a negative errno and why */
struct answer {
	int error;
	char message[256];	/* "" if there was none */
	int bad;		/* type of the attribute that is at fault, 0: none named */
	int missing;		/* type of the attribute that is missing, 0: none named */
	int fd;			/* -1: none */
	uint64_t uffd_id;
	bool interrupted;	/* a message of a dump said NLM_F_DUMP_INTR */
};

/* one attribute of a request */
struct attribute {
	int type;		/* 0 ends a list of them */
	int length;		/* 4: value as u32; 8: as u64; 0: a flag */
	uint64_t value;
};

#define LIST(...) ((const struct attribute[]){ __VA_ARGS__, { 0 } })

/* where it is noted which attributes there are, the bit of this one */
#define HAS(a) (1ULL << MEMFDCR_A_##a)

struct mnl_socket;
struct nlmsghdr;

/* what each message of a reply is given to */
typedef void (*each_message)(const struct nlmsghdr *nlh, void *arg);

/* write() to sockets that their owner has connected, instead of sending to an address */
extern bool connected;

struct mnl_socket *request_socket(void);	/* NULL: errno */
int request_family(void);			/* its number; -ENOENT: there is none. May load the module. */
void request_forget(void);			/* the module may have another number now */
struct answer request(struct mnl_socket *sock, int cmd, const struct attribute *attributes);
struct answer request_do(struct mnl_socket *sock, int cmd, const struct attribute *attributes, each_message each,
			 void *arg);
struct answer request_dump(struct mnl_socket *sock, int cmd, const struct attribute *attributes, each_message each,
			   void *arg);
int request_send_dump(struct mnl_socket *sock, int cmd, const struct attribute *attributes);	/* nothing is read */

/* with a socket of their own */
struct answer uffd_open(int mem_fd, unsigned int flags, bool guard);
struct answer uffd_complete(int fd);

#endif
