# SPDX-License-Identifier: GPL-2.0-only
# What people call: make, make install, make dkms-install, make demo, make check. See README.md.

VERSION := $(shell sed -n 's/^PACKAGE_VERSION="\(.*\)"/\1/p' dkms.conf)
KDIR ?= /lib/modules/$(shell uname -r)/build
DESTDIR ?=
PREFIX ?= /usr
INSTALL ?= install

sbindir := $(DESTDIR)$(PREFIX)/sbin
libexecdir := $(DESTDIR)$(PREFIX)/libexec/memfdcr
mandir := $(DESTDIR)$(PREFIX)/share/man/man8
completiondir := $(DESTDIR)$(PREFIX)/share/bash-completion/completions
# where dkms looks, whatever the prefix
dkmsdir := /usr/src/memfdcr-$(VERSION)

all: user

help:
	@echo 'make               build the memfdcr command (user/)'
	@echo 'make install       install command, man page, completion and the hook for CRIU'
	@echo 'make dkms-install  install the module for the running kernel and those to come, by DKMS'
	@echo 'make module        build the module here for KDIR ($(KDIR))'
	@echo 'make demo          see a PostgreSQL come back lazily, in a virtual machine'
	@echo 'make check         run every test; ends with "N passed, N failed"'
	@echo 'make check-debug   run the tests of the module on a kernel that looks at itself'
	@echo 'make check-host    run those that need no virtual machine'
	@echo 'make bench         measure the dump against /proc and what a watch costs (in virtual machines), and the pager (here)'
	@echo 'make clean         remove what was built'

user:
	+$(MAKE) -C user PREFIX=$(PREFIX)

module:
	+$(MAKE) -C $(KDIR) M=$(CURDIR) modules

install: user
	$(INSTALL) -d $(sbindir) $(libexecdir) $(mandir) $(completiondir)
	$(INSTALL) -m 755 build/user/memfdcr $(sbindir)/memfdcr
	ln -sf ../../sbin/memfdcr $(libexecdir)/criu-action
	$(INSTALL) -m 644 docs/man/memfdcr.8 $(mandir)/memfdcr.8
	$(INSTALL) -m 644 user/completion.bash $(completiondir)/memfdcr

# where dkms keeps sources, so that a new kernel is served long after this directory is gone
dkms-sources:
	[ ! -e /var/lib/dkms/memfdcr/$(VERSION) ] || dkms remove memfdcr/$(VERSION) --all
	rm -rf $(dkmsdir)
	$(INSTALL) -d $(dkmsdir)
	cp -R Kbuild dkms.conf COPYING kmod $(dkmsdir)/

dkms-install: dkms-sources
	dkms install memfdcr/$(VERSION)
	@[ ! -e /sys/module/memfdcr ] || echo 'An older memfdcr is loaded: rmmod memfdcr, then modprobe memfdcr.'
	modprobe memfdcr

dkms-uninstall:
	dkms remove memfdcr/$(VERSION) --all
	rm -rf $(dkmsdir)

demo:
	selftests/demo/run

check:
	selftests/check

check-host:
	selftests/check host

check-debug:
	selftests/check-debug

bench:
	selftests/bench/run

clean:
	rm -rf build
	+[ ! -e kmod/main.o ] || $(MAKE) -C $(KDIR) M=$(CURDIR) clean

.PHONY: all help user module install dkms-sources dkms-install dkms-uninstall demo check check-host check-debug bench clean
