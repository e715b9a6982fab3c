// SPDX-License-Identifier: GPL-2.0-only
/*
 * Watches: which sockets want to know what which processes do. A watch belongs to the socket that asked for it and ends
 * with it. While there is none, nothing is hooked.
 */
#include <linux/err.h>
#include <linux/log2.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/netlink.h>
#include <linux/notifier.h>
#include <linux/pid.h>
#include <linux/pid_namespace.h>
#include <linux/sched.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/stringify.h>
#include <linux/user_namespace.h>
#include <linux/workqueue.h>
#include <net/genetlink.h>
#include <net/net_namespace.h>
#include <net/sock.h>
#include <uapi/linux/memfdcr.h>

#include "access.h"
#include "hooks.h"
#include "members.h"
#include "netlink.h"
#include "space.h"
#include "walk.h"
#include "watch.h"

#define LIMIT_PRESET	4096
/* of one user */
#define MAX_WATCHES	128
/* how long a request may wait for the address spaces of others, all together: other families wait for it */
#define PATIENCE	msecs_to_jiffies(200)
/* looks for processes that were forked while the tree was looked through */
#define MAX_PASSES	16

/* the list and the hooks */
static DEFINE_MUTEX(lock);
static LIST_HEAD(watches);
static u32 last_number;
static struct workqueue_struct *ending;

static void unhook_idle(struct work_struct *work);

/* when nobody is left: taking hooks away is slow, and the next watch may be on its way */
static DECLARE_DELAYED_WORK(idle_work, unhook_idle);
#define IDLE HZ

static void unhook_idle(struct work_struct *work)
{
	int err = 0;

	mutex_lock(&lock);
	if (list_empty(&watches))
		err = memfdcr_hooks_remove();
	mutex_unlock(&lock);
	if (err == -ENOMEM)
		queue_delayed_work(ending, &idle_work, IDLE);
}

/**
 * memfdcr_watch_put() - drop a reference
 * @w: the watch
 *
 * Context: any.
 */
void memfdcr_watch_put(struct memfdcr_watch *w)
{
	if (refcount_dec_and_test(&w->refs))
		queue_work(ending, &w->free);
}

static void watch_free(struct work_struct *work)
{
	struct memfdcr_watch *w = container_of(work, struct memfdcr_watch, free);

	memfdcr_events_free(&w->events);
	sock_put(w->events.sk);
	put_net(w->events.net);
	put_pid_ns(w->ns);
	kfree(w);
	/* unloading then waits for the rest of this function when it destroys the queue */
	module_put(THIS_MODULE);
}

/* who answers for what is asked: in a user namespace, whoever made the outermost one, who may have many users there */
static kuid_t accountable(void)
{
	const struct user_namespace *ns;
	kuid_t uid = current_uid();

	for (ns = current_user_ns(); ns->parent; ns = ns->parent)
		uid = ns->owner;
	return uid;
}

static struct memfdcr_watch *watch_new(struct sk_buff *skb, struct genl_info *info, u32 limit, bool tree)
{
	struct sock *sk = NETLINK_CB(skb).sk;
	struct memfdcr_watch *w;
	int err;

	/* unloading has begun, and waits for this request */
	if (!try_module_get(THIS_MODULE))
		return ERR_PTR(-ENODEV);
	w = kzalloc(sizeof(*w), GFP_KERNEL_ACCOUNT);
	err = -ENOMEM;
	if (!w)
		goto err_watch;
	err = memfdcr_events_init(&w->events, ++last_number, roundup_pow_of_two(limit), get_net(genl_info_net(info)),
				  info->snd_portid, sk);
	if (err)
		goto err_events;
	sock_hold(sk);
	refcount_set(&w->refs, 1);
	INIT_WORK(&w->free, watch_free);
	INIT_LIST_HEAD(&w->all);
	w->owner = accountable();
	w->ns = get_pid_ns(task_active_pid_ns(current));
	w->tree = tree;
	return w;

err_events:
	put_net(genl_info_net(info));
	kfree(w);
err_watch:
	module_put(THIS_MODULE);
	return ERR_PTR(err);
}

/* with the lock held */
static void watch_end(struct memfdcr_watch *w)
{
	list_del(&w->node);
	memfdcr_members_clear(w);
	memfdcr_events_stop(&w->events);
	memfdcr_watch_put(w);
	if (list_empty(&watches))
		mod_delayed_work(ending, &idle_work, IDLE);
}

/* 0 or a negative errno, as memfdcr_members_add() has it; -EPERM */
static int add_process(struct memfdcr_watch *w, struct memfdcr_walk *walk, struct task_struct *process,
		       long *patience)
{
	struct user_namespace *reach = memfdcr_access_reach(&walk->access, process);
	int err;

	if (!reach)
		return -EPERM;
	err = memfdcr_members_add(w, process, reach, patience);
	put_user_ns(reach);
	return err;
}

/*
 * All processes that the request names. A child that a member forks becomes a member by itself; one that was forked
 * before its parent became one is found in the next pass.
 */
static int add_processes(struct memfdcr_watch *w, struct memfdcr_walk *walk, struct netlink_ext_ack *extack)
{
	struct task_struct *process;
	unsigned int pass, added = 1;
	long patience = PATIENCE;
	int err = 0;

	for (pass = 0; !err && added && pass < MAX_PASSES; pass++) {
		added = 0;
		memfdcr_walk_rewind(walk, false);
		while (!err && (process = memfdcr_walk_any(walk))) {
			if (IS_ERR(process))
				return PTR_ERR(process);
			err = add_process(w, walk, process, &patience);
			put_task_struct(process);
			added += !err;
			if (err == -EEXIST || err == -ESRCH)
				err = 0;
		}
	}
	if (err == -EPERM) {
		NL_SET_ERR_MSG(extack, "to watch a process, CAP_SYS_PTRACE or CAP_CHECKPOINT_RESTORE over it is needed");
	} else if (err == -EBUSY) {
		NL_SET_ERR_MSG(extack, "a long operation on a process's memory is under way, try again");
	} else if (!err && added) {
		NL_SET_ERR_MSG(extack, "the tree grows faster than it can be looked through, try again");
		err = -EBUSY;
	} else if (!err && !memfdcr_members_begin(w)) {
		NL_SET_ERR_MSG(extack, "the process has exited");
		err = -ESRCH;
	}
	return err;
}

static int reply(struct genl_info *info, const struct memfdcr_watch *w)
{
	struct sk_buff *msg = genlmsg_new(nla_total_size(sizeof(u32)), GFP_KERNEL);
	void *hdr;

	if (!msg)
		return -ENOMEM;
	hdr = genlmsg_put_reply(msg, info, &memfdcr_family, 0, MEMFDCR_CMD_WATCH_START);
	if (!hdr || nla_put_u32(msg, MEMFDCR_A_WATCH_WATCH, w->events.watch)) {
		nlmsg_free(msg);
		return -EMSGSIZE;
	}
	genlmsg_end(msg, hdr);
	return genlmsg_reply(msg, info);
}

/* so that nobody can have the kernel look through, and keep, any number of them */
static bool has_too_many(kuid_t owner)
{
	const struct memfdcr_watch *w;
	unsigned int n = 0;

	list_for_each_entry(w, &watches, node)
		n += uid_eq(w->owner, owner);
	return n >= MAX_WATCHES;
}

static int start_locked(struct sk_buff *skb, struct genl_info *info, struct memfdcr_walk *walk, u32 limit, bool tree)
{
	struct memfdcr_watch *w;
	int err;

	if (has_too_many(accountable())) {
		GENL_SET_ERR_MSG(info, "this user has " __stringify(MAX_WATCHES) " watches, and no more are allowed");
		return -EUSERS;
	}
	err = memfdcr_hooks_add();
	if (err == -ENOMEM) {
		GENL_SET_ERR_MSG(info, "no memory for the hooks");
		return err;
	}
	if (err == -EBUSY) {
		GENL_SET_ERR_MSG(info, "watches need function tracing, which is switched off (kernel.ftrace_enabled)");
		return -EOPNOTSUPP;
	}
	if (err) {
		GENL_SET_ERR_MSG(info, "this kernel lets nobody see fork, exec, exit or mremap");
		return -EOPNOTSUPP;
	}
	w = watch_new(skb, info, limit, tree);
	if (IS_ERR(w)) {
		mod_delayed_work(ending, &idle_work, IDLE);
		return PTR_ERR(w);
	}
	list_add(&w->node, &watches);
	err = add_processes(w, walk, info->extack);
	if (!err)
		err = reply(info, w);
	if (err)
		watch_end(w);
	else
		memfdcr_events_begin(&w->events);
	return err;
}

/* of a request to start a watch, until others have started theirs; hooking and unhooking are slow */
#define LOCK_PATIENCE HZ

/* the families of all others wait for this request, too. 0, -EBUSY, -EINTR */
static int lock_soon(struct netlink_ext_ack *extack)
{
	unsigned long end = jiffies + LOCK_PATIENCE;

	while (!mutex_trylock(&lock)) {
		if (time_after(jiffies, end)) {
			NL_SET_ERR_MSG(extack, "many watches are being started, try again");
			return -EBUSY;
		}
		if (schedule_timeout_killable(1) && fatal_signal_pending(current))
			return -EINTR;
	}
	return 0;
}

/**
 * memfdcr_watch_start() - watch-start
 * @skb: the request
 * @info: the request
 *
 * Context: process context of the sender; sleeps.
 * Return: 0; -EINVAL not one of pid and tree; -ESRCH no such process; -EPERM not allowed; -EBUSY not now; -EUSERS too
 * many watches; -EOPNOTSUPP not on this kernel; -ENODEV the module is being unloaded; -ENOMEM; -EINTR killed.
 */
int memfdcr_watch_start(struct sk_buff *skb, struct genl_info *info)
{
	struct nlattr *pid = info->attrs[MEMFDCR_A_WATCH_PID], *tree = info->attrs[MEMFDCR_A_WATCH_TREE];
	struct nlattr *limit = info->attrs[MEMFDCR_A_WATCH_LIMIT];
	struct memfdcr_walk walk;
	int err;

	if (!pid == !tree) {
		GENL_SET_ERR_MSG(info, "either a pid or a tree");
		return -EINVAL;
	}
	err = memfdcr_walk_begin(&walk, skb, info->nlhdr, MEMFDCR_A_WATCH_PID, tree, info->extack);
	if (err)
		return err;
	err = lock_soon(info->extack);
	if (!err) {
		err = start_locked(skb, info, &walk, limit ? nla_get_u32(limit) : LIMIT_PRESET, tree);
		mutex_unlock(&lock);
	}
	memfdcr_walk_end(&walk);
	return err;
}

/**
 * memfdcr_watch_stop() - watch-stop
 * @skb: the request
 * @info: the request
 *
 * Context: process context of the sender; sleeps.
 * Return: 0; -EINVAL watch is missing; -ENOENT this socket has no such watch; -EINTR killed.
 */
int memfdcr_watch_stop(struct sk_buff *skb, struct genl_info *info)
{
	struct nlattr *attr = info->attrs[MEMFDCR_A_WATCH_WATCH];
	struct memfdcr_watch *w;
	int err = -ENOENT;

	if (GENL_REQ_ATTR_CHECK(info, MEMFDCR_A_WATCH_WATCH)) {
		GENL_SET_ERR_MSG(info, "watch is missing");
		return -EINVAL;
	}
	/* those who wait to start one do not queue here: it is for no more than one of them */
	if (mutex_lock_killable(&lock))
		return -EINTR;
	list_for_each_entry(w, &watches, node) {
		if (w->events.watch != nla_get_u32(attr) || w->events.sk != NETLINK_CB(skb).sk)
			continue;
		watch_end(w);
		err = 0;
		break;
	}
	mutex_unlock(&lock);
	if (err)
		NL_SET_ERR_MSG_ATTR(info->extack, attr, "this socket has no such watch");
	return err;
}

/* watches go with their sockets */
static void end_closed(struct work_struct *work)
{
	struct memfdcr_watch *w, *next;

	mutex_lock(&lock);
	list_for_each_entry_safe(w, next, &watches, node)
		if (sock_flag(w->events.sk, SOCK_DEAD))
			watch_end(w);
	mutex_unlock(&lock);
}

static DECLARE_WORK(closed_work, end_closed);

/* whoever closes a socket, of whatever family, does not wait for watches */
static int socket_closed(struct notifier_block *nb, unsigned long state, void *data)
{
	const struct netlink_notify *closed = data;

	/* if it has one, that is there: nobody starts any with a socket that is being closed */
	if (state == NETLINK_URELEASE && closed->protocol == NETLINK_GENERIC && !list_empty(&watches))
		queue_work(ending, &closed_work);
	return NOTIFY_DONE;
}

static struct notifier_block notifier = { .notifier_call = socket_closed };

/**
 * memfdcr_watch_init() - get ready for memfdcr_watch_start()
 *
 * Context: process context; sleeps.
 * Return: 0 or a negative errno.
 */
int memfdcr_watch_init(void)
{
	int err;

	err = memfdcr_events_module_init();
	if (err)
		return err;
	err = memfdcr_spaces_init();
	if (err)
		goto err_spaces;
	ending = alloc_workqueue("memfdcr_watch", WQ_UNBOUND, 0);
	err = -ENOMEM;
	if (!ending)
		goto err_ending;
	netlink_register_notifier(&notifier);
	return 0;

err_ending:
	memfdcr_spaces_drain();
err_spaces:
	memfdcr_events_module_exit();
	return err;
}

/**
 * memfdcr_watch_exit() - undo memfdcr_watch_init(); no watch exists any more
 *
 * Context: process context; sleeps.
 */
void memfdcr_watch_exit(void)
{
	netlink_unregister_notifier(&notifier);
	cancel_work_sync(&closed_work);
	cancel_delayed_work_sync(&idle_work);
	memfdcr_hooks_exit();
	memfdcr_spaces_drain();
	destroy_workqueue(ending);
	memfdcr_events_module_exit();
	memfdcr_members_exit();
}
