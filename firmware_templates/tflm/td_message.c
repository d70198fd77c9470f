#include "td_message.h"

#include <stddef.h>

#include "td_model.h"

enum { MESSAGE_BYTES = 240 };

static char message[MESSAGE_BYTES];
static size_t message_length;

void td_message_add(const char *text) {
  while (*text != '\0' && message_length < sizeof message - 1) message[message_length++] = *text++;
}

const char *td_model_message(void) { return message; }
