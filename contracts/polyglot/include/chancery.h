/* The host functions of a Chancery contract. Written from the table of `runtime/engine/src/host/functions.rs`: do not edit.
 * Every function is charged before it works. A pointer or length outside the memory stops the call. */
#ifndef CHANCERY_H
#define CHANCERY_H

#include <stdint.h>

/* What an entry function answers. */
#define CHANCERY_DONE 0
#define CHANCERY_REFUSED 1
#define CHANCERY_BAD_ARGUMENTS 2

/* Bytes that chancery_context writes. */
#define CHANCERY_CONTEXT_BYTES 128

/* An entry function: int32_t call(uint32_t selector, uint32_t arguments_len). */
#define CHANCERY_ENTRY(name) __attribute__((export_name(#name))) int32_t name

#define CHANCERY_IMPORT(name) __attribute__((import_module("chancery_v1"), import_name(name)))

/* arguments: copies the arguments to `out` */
CHANCERY_IMPORT("arguments") void chancery_arguments(uint8_t *out);

/* context: writes 128 bytes: actor, contract and ledger (32 bytes each), time in ms and height (u64 LE), request id (u128 LE) */
CHANCERY_IMPORT("context") void chancery_context(uint8_t *out);

/* result: sets the result, at most 8,192 bytes; the last one counts */
CHANCERY_IMPORT("result") void chancery_result(const uint8_t *ptr, uint32_t len);

/* fault: sets the contract's error (u16) and its encoded fields, at most 4,096 bytes; the entry function then answers 1 */
CHANCERY_IMPORT("fault") void chancery_fault(uint32_t code, const uint8_t *ptr, uint32_t len);

/* state_get: answers the value's length, or -1 where there is none; writes the value if it fits `cap` */
CHANCERY_IMPORT("state_get") int64_t chancery_state_get(const uint8_t *key, uint32_t key_len, uint8_t *out, uint32_t cap);

/* state_set: sets a key of 1 to 512 bytes to a value of at most 60,000 bytes */
CHANCERY_IMPORT("state_set") void chancery_state_set(const uint8_t *key, uint32_t key_len, const uint8_t *value, uint32_t value_len);

/* state_remove: removes a key */
CHANCERY_IMPORT("state_remove") void chancery_state_remove(const uint8_t *key, uint32_t key_len);

/* state_scan: writes pairs of the half-open range [from, to) in byte order (see below) */
CHANCERY_IMPORT("state_scan") int64_t chancery_state_scan(const uint8_t *from, uint32_t from_len, const uint8_t *to, uint32_t to_len, uint32_t flags, uint32_t limit, uint8_t *out, uint32_t cap);

/* event: emits an event (u16) with its encoded fields; those of a call, each counted with 6 bytes more, at most 16,384 bytes */
CHANCERY_IMPORT("event") void chancery_event(uint32_t kind, const uint8_t *ptr, uint32_t len);

/* trace: adds an encoded step to the decision trace; those of a call together at most 65,536 bytes */
CHANCERY_IMPORT("trace") void chancery_trace(const uint8_t *ptr, uint32_t len);

/* verify_ed25519: answers 1 where the 64 bytes are the strict Ed25519 signature of the 32-byte key over the message, else 0 */
CHANCERY_IMPORT("verify_ed25519") int32_t chancery_verify_ed25519(const uint8_t *key, const uint8_t *message, uint32_t message_len, const uint8_t *signature);

/* blake3: writes the 32 bytes of BLAKE3 of the bytes */
CHANCERY_IMPORT("blake3") void chancery_blake3(const uint8_t *ptr, uint32_t len, uint8_t *out);

/* sha256: writes the 32 bytes of SHA-256 of the bytes */
CHANCERY_IMPORT("sha256") void chancery_sha256(const uint8_t *ptr, uint32_t len, uint8_t *out);

/* log: a diagnostic text, shown in tests and dry runs and never recorded; what is beyond 4,096 bytes of a call is dropped */
CHANCERY_IMPORT("log") void chancery_log(const uint8_t *ptr, uint32_t len);

#endif
