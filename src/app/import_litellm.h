/* import_litellm.h - a configuration of LiteLLM's proxy as one of ours. */
#pragma once

#include "app/import_report.h"
#include "conf/yaml.h"

/* Appends our configuration, as YAML. False if the document is not one of LiteLLM's, which is in the report. */
bool litellm_convert(
    const struct yaml *doc, struct buf *out, struct import_report *report) MUST_CHECK;
