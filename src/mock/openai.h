/* openai.h - shared by the reading and the writing half of the simulated OpenAI API. */
#pragma once

#include "mock/wire.h"

bool mock_openai_check_key(struct mock_ask *ask, struct str key, struct mock_refusal *why);
bool mock_openai_read_chat(struct mock_ask *ask, struct mock_refusal *why);
bool mock_openai_read_completion(struct mock_ask *ask, struct mock_refusal *why);
void mock_openai_write_error(
    struct buf *out, const struct mock_refusal *e, struct str request_id, bool in_stream);
void mock_openai_write_fields(struct buf *out, char *request_id);
void mock_openai_fault_error(enum mock_fault fault, struct mock_refusal *e);
