/* What the interpreter has to say, kept for the host: td_model_message() returns it. */
#ifndef TD_MESSAGE_H
#define TD_MESSAGE_H

#ifdef __cplusplus
extern "C" {
#endif

/* Appends text to the message while there is room. */
void td_message_add(const char *text);

/* The same, with arguments; in td_debug_log.c. Understands %s %c %d %i %u %x %X %p %% with h, l, ll
 * and z; flags, widths and precisions are passed over, and %f prints as "?". */
void td_message_print(const char *format, ...) __attribute__((format(printf, 1, 2)));

#ifdef __cplusplus
}
#endif

#endif
