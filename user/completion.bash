# SPDX-License-Identifier: GPL-2.0-only
# Completion of memfdcr for bash: commands and options, both asked from the command itself.
# shellcheck shell=bash

_memfdcr() {
	local word=${COMP_WORDS[COMP_CWORD]} words
	if [ "$COMP_CWORD" = 1 ]; then
		words="$(memfdcr --help 2>/dev/null | sed -n 's/^  \([a-z][a-z-]*\) .*/\1/p') --help --version"
	else
		words="--help"
	fi
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}
complete -F _memfdcr memfdcr
