// SPDX-License-Identifier: GPL-2.0-only
/* A module full of mistakes, one for each check that a debug kernel makes: what=NAME makes one of them when loaded. */
#include <linux/list.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/timer.h>

static char *what = "";
module_param(what, charp, 0);

static void use_after_free(void)
{
	volatile char *p = kmalloc(64, GFP_KERNEL);

	kfree((void *)p);
	p[8] = 1;
}

static void leak(void)
{
	char *p = kmalloc(64, GFP_KERNEL);

	OPTIMIZER_HIDE_VAR(p);
}

static void shift(void)
{
	int n = 40;

	OPTIMIZER_HIDE_VAR(n);
	n = 1 << n;
	OPTIMIZER_HIDE_VAR(n);
}

static DEFINE_MUTEX(first);
static DEFINE_MUTEX(second);

static void lock_order(void)
{
	mutex_lock(&first);
	mutex_lock(&second);
	mutex_unlock(&second);
	mutex_unlock(&first);
	mutex_lock(&second);
	mutex_lock(&first);
	mutex_unlock(&first);
	mutex_unlock(&second);
}

static DEFINE_SPINLOCK(spin);

static void sleep_with_lock(void)
{
	spin_lock(&spin);
	might_sleep();
	spin_unlock(&spin);
}

static int number;
static int __rcu *pointer = (int __rcu *)&number;

static void rcu(void)
{
	int *p = rcu_dereference(pointer);

	OPTIMIZER_HIDE_VAR(p);
}

static void never(struct timer_list *timer)
{
}

static void free_timer(void)
{
	struct timer_list *timer = kmalloc(sizeof(*timer), GFP_KERNEL);

	timer_setup(timer, never, 0);
	mod_timer(timer, jiffies + 1000 * HZ);
	kfree(timer);
}

static void list(void)
{
	LIST_HEAD(head);
	LIST_HEAD(other);

	list_add(&other, &head);
	list_del(&other);
	list_del(&other);
}

static const struct {
	const char *name;
	void (*fn)(void);
} mistakes[] = {
	{ "use_after_free", use_after_free }, { "leak", leak }, { "shift", shift }, { "lock_order", lock_order },
	{ "sleep_with_lock", sleep_with_lock }, { "rcu", rcu }, { "free_timer", free_timer }, { "list", list },
};

static int __init splat_init(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(mistakes); i++) {
		if (strcmp(mistakes[i].name, what))
			continue;
		mistakes[i].fn();
		return 0;
	}
	return -EINVAL;
}
module_init(splat_init);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("mistakes that a debug kernel has to notice");
