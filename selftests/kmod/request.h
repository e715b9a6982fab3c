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
};

/* one attribute of a request */
struct attribute {
	int type;		/* 0 ends a list of them */
	int length;		/* 4: value as u32; 0: a flag */
	uint32_t value;
};

struct mnl_socket;

/* write() to sockets that their owner has connected, instead of sending to an address */
extern bool connected;

struct mnl_socket *request_socket(void);	/* NULL: errno */
int request_family(void);			/* its number; -ENOENT: there is none. May load the module. */
void request_forget(void);			/* the module may have another number now */
struct answer request(struct mnl_socket *sock, int cmd, const struct attribute *attributes);

/* with a socket of their own */
struct answer uffd_open(int mem_fd, unsigned int flags, bool guard);
struct answer uffd_complete(int fd);

#endif
