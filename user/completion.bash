# SPDX-License-Identifier: GPL-2.0-only
# Completion of memfdcr for bash: commands, options, columns and pids; all but the latter asked from the command itself.
# shellcheck shell=bash

_memfdcr() {
	local word=${COMP_WORDS[COMP_CWORD]} before='' words
	if [ "$COMP_CWORD" = 1 ]; then
		words="$(memfdcr --help 2>/dev/null | sed -n 's/^  \([a-z][a-z-]*\) .*/\1/p') --help --version"
	elif [[ ${COMP_WORDS[1]} = list && ${COMP_WORDS[COMP_CWORD - 1]} =~ ^(-o|--output)$ ]]; then
		# one more column behind those with a comma between
		before=${word%"${word##*[,+]}"}
		words=$(memfdcr list --list-columns 2>/dev/null | cut -d ' ' -f 1)
		compopt -o nospace
	elif [[ ${COMP_WORDS[COMP_CWORD - 1]} =~ ^(-p|--pid|-t|--tree)$ ]]; then
		words=$(cd /proc && echo [1-9]*)
	elif [[ ${COMP_WORDS[COMP_CWORD - 1]} =~ ^(-D|--directory|--parent)$ ]]; then
		words=''
	else
		words=$(memfdcr "${COMP_WORDS[1]}" --help 2>/dev/null | sed -n 's/^  \(-.,\)\{0,1\} *\(--[a-z-]*\).*/\2/p')
	fi
	mapfile -t COMPREPLY < <(compgen -P "$before" -W "$words" -- "${word#"$before"}")
}
# show takes a path, and so do dump, verify and lazy-restore
complete -o default -F _memfdcr memfdcr
