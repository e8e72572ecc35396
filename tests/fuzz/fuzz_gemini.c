/* Gemini's generateContent wire against anything, see wire_sides.h. */
#include "tests/fuzz/wire_sides.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sides_fuzz(&wire_gemini, data, size);
    return 0;
}
