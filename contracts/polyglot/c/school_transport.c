/* School transport: a pupil who lives far enough from the school travels free.
 *
 * The contract computes the distance along the earth's surface from two positions, in floating point, by the C library: that is what the WASI
 * profile is for. Money has no place in it. What it takes, gives and stores is described by school_transport.json; every value is in the
 * one encoding (docs/src/formats/encoding.md), which for these types is little-endian integers one after the other.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "chancery.h"

enum method { REGISTER_SCHOOL, DECIDE, ENTITLEMENT };
enum error { UNKNOWN_SCHOOL, TOO_NEAR, DECIDED_BEFORE, NO_POSITION };

/* Metres from which on a pupil is entitled, by age: under eight two miles, then three (Education Act 1996, section 444(5)). */
static uint32_t required_metres(uint8_t age) { return age < 8 ? 3219 : 4828; }

static uint8_t arguments[32];
static uint32_t at;

static uint32_t u32(void) {
  uint32_t value;
  memcpy(&value, arguments + at, 4);
  at += 4;
  return value;
}

/* Storage key of a map (docs/src/formats/storage-keys.md): length of the name, name, the number big-endian so that keys are in order. */
static uint32_t key_of(uint8_t *key, const char *name, uint32_t number) {
  uint32_t len = (uint32_t)strlen(name);
  key[0] = (uint8_t)len;
  memcpy(key + 1, name, len);
  for (int byte = 0; byte < 4; byte++) key[1 + len + byte] = (uint8_t)(number >> (24 - 8 * byte));
  return 5 + len;
}

/* Millionths of a degree within the bounds of the earth. */
static int is_position(int32_t latitude, int32_t longitude) {
  return latitude >= -90000000 && latitude <= 90000000 && longitude >= -180000000 && longitude <= 180000000;
}

/* Great-circle distance on a sphere of 6,371,009 m, by the haversine formula. */
static uint32_t metres_between(const int32_t a[2], const int32_t b[2]) {
  const double radian = 3.14159265358979323846 / 180e6;
  double latitude = sin((b[0] - (double)a[0]) * radian / 2), longitude = sin((b[1] - (double)a[1]) * radian / 2);
  double chord = latitude * latitude + cos(a[0] * radian) * cos(b[0] * radian) * longitude * longitude;
  return (uint32_t)floor(2 * 6371009.0 * asin(sqrt(chord < 1 ? chord : 1)));
}

static uint32_t text(uint8_t *out, const char *text) {
  uint32_t len = (uint32_t)strlen(text);
  memcpy(out, &len, 4);
  memcpy(out + 4, text, len);
  return 4 + len;
}

/* A step of the decision trace: rule, citation, one input, and whether it was met (docs/src/formats/entry.md). */
static void trace_distance(uint32_t metres, int met) {
  static uint8_t step[160];
  uint32_t len = text(step, "the school is beyond walking distance");
  len += text(step + len, "Education Act 1996, s. 444(5)");
  const uint32_t inputs = 1;
  memcpy(step + len, &inputs, 4);
  len += 4;
  len += text(step + len, "metres");
  step[len++] = 1; /* an integer of 64 bits */
  const int64_t value = metres;
  memcpy(step + len, &value, 8);
  len += 8;
  step[len++] = met ? 0 : 1;
  chancery_trace(step, len);
}

static int32_t refuse(enum error code, const void *fields, uint32_t len) {
  chancery_fault(code, fields, len);
  return CHANCERY_REFUSED;
}

static int32_t register_school(void) {
  uint32_t school = u32();
  int32_t position[2] = {(int32_t)u32(), (int32_t)u32()};
  if (!is_position(position[0], position[1])) return refuse(NO_POSITION, 0, 0);
  uint8_t key[32];
  chancery_state_set(key, key_of(key, "schools", school), (const uint8_t *)position, 8);
  return CHANCERY_DONE;
}

static int32_t decide(void) {
  uint32_t pupil = u32(), school = u32();
  int32_t home[2] = {(int32_t)u32(), (int32_t)u32()}, place[2];
  uint8_t age = arguments[at], key[32];
  if (!is_position(home[0], home[1])) return refuse(NO_POSITION, 0, 0);
  if (chancery_state_get(key, key_of(key, "schools", school), (uint8_t *)place, 8) != 8)
    return refuse(UNKNOWN_SCHOOL, &school, 4);
  uint32_t len = key_of(key, "entitlements", pupil);
  if (chancery_state_get(key, len, 0, 0) >= 0) return refuse(DECIDED_BEFORE, 0, 0);

  uint32_t metres = metres_between(home, place), required = required_metres(age);
  time_t now = time(0);
  struct tm *day = gmtime(&now);
  printf("pupil %u, %d-%02d-%02d: %.3f km\n", pupil, day->tm_year + 1900, day->tm_mon + 1, day->tm_mday, metres / 1000.0);
  trace_distance(metres, metres >= required);
  if (metres < required) {
    uint32_t fields[2] = {metres, required};
    return refuse(TOO_NEAR, fields, 8);
  }
  chancery_state_set(key, len, (const uint8_t *)&metres, 4);
  uint32_t event[3] = {pupil, school, metres};
  chancery_event(0, (const uint8_t *)event, 12);
  chancery_result((const uint8_t *)&metres, 4);
  return CHANCERY_DONE;
}

/* Takes the arguments if there are as many bytes as the method has. */
static int take(uint32_t len, uint32_t expected) {
  if (len != expected) return 0;
  chancery_arguments(arguments);
  return 1;
}

CHANCERY_ENTRY(call)(uint32_t selector, uint32_t len) {
  switch (selector) {
    case REGISTER_SCHOOL: return take(len, 12) ? register_school() : CHANCERY_BAD_ARGUMENTS;
    case DECIDE: return take(len, 17) ? decide() : CHANCERY_BAD_ARGUMENTS;
    default: __builtin_trap();
  }
}

CHANCERY_ENTRY(query)(uint32_t selector, uint32_t len) {
  if (selector != ENTITLEMENT) __builtin_trap();
  if (!take(len, 4)) return CHANCERY_BAD_ARGUMENTS;
  uint8_t key[32];
  uint32_t metres = 0;
  chancery_state_get(key, key_of(key, "entitlements", u32()), (uint8_t *)&metres, 4);
  chancery_result((const uint8_t *)&metres, 4);
  return CHANCERY_DONE;
}
