/* SPDX-License-Identifier: GPL-2.0-only */
/* What all JSON has in common: text of any bytes, how it is printed, and errors. */
#ifndef MEMFDCR_COMMON_JSON_H
#define MEMFDCR_COMMON_JSON_H

#include <json-c/json.h>
#include <stdio.h>

/* a string with U+FFFD for each byte that is not UTF-8; NULL, which is JSON's null, if there is no memory */
struct json_object *json_new_text(const char *text);

/* prints json without a newline, and lets it go. 0 or -ENOMEM */
int json_print(FILE *f, struct json_object *json);

/* {"error":"..."} */
void json_print_error(FILE *f, const char *text);

#endif
