// SPDX-License-Identifier: GPL-2.0-only
/* Text of any bytes as JSON, printing, and errors. */
#include "common/json.h"

#include <errno.h>
#include <stdlib.h>

#include "common/text.h"

struct json_object *json_new_text(const char *text)
{
	char *utf8 = text_to_utf8(text);
	struct json_object *json = utf8 ? json_object_new_string(utf8) : NULL;

	free(utf8);
	return json;
}

int json_print(FILE *f, struct json_object *json)
{
	const char *text = json_object_to_json_string_ext(json, JSON_C_TO_STRING_PLAIN |
							  JSON_C_TO_STRING_NOSLASHESCAPE);

	if (text)
		fputs(text, f);
	json_object_put(json);
	return text ? 0 : -ENOMEM;
}

void json_print_error(FILE *f, const char *text)
{
	struct json_object *json = json_object_new_object();

	json_object_object_add(json, "error", json_new_text(text));
	json_print(f, json);
	fputc('\n', f);
}
