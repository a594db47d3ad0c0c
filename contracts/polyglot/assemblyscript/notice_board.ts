// A notice board: whoever publishes gets a number, and a notice once published is never changed.
//
// AssemblyScript without its runtime, whose heap would need a start function: pieces of one buffer are handed out and never taken back, since an
// instance lives for one call. No WASI, no floating point: this is a contract of the standard profile. What it takes, gives and
// stores is described by notice_board.json.

@external("chancery_v1", "arguments") declare function hostArguments(out: usize): void;
@external("chancery_v1", "result") declare function hostResult(ptr: usize, len: u32): void;
@external("chancery_v1", "fault") declare function hostFault(code: u32, ptr: usize, len: u32): void;
@external("chancery_v1", "event") declare function hostEvent(kind: u32, ptr: usize, len: u32): void;
@external("chancery_v1", "state_get") declare function hostGet(key: usize, keyLen: u32, out: usize, cap: u32): i64;
@external("chancery_v1", "state_set") declare function hostSet(key: usize, keyLen: u32, value: usize, valueLen: u32): void;

const DONE: i32 = 0;
const REFUSED: i32 = 1;
const BAD_ARGUMENTS: i32 = 2;

const PUBLISH: u32 = 0;
const NOTICE: u32 = 1;

const EMPTY: u32 = 0;
const UNKNOWN: u32 = 1;
const TOO_LONG: u32 = 2;

// The most that a result may have, a notice being one.
const NOTICE_BYTES_MAX: u32 = 8192;

// Arguments have at most 32 KiB; all else is small.
const BUFFER: usize = memory.data(40000);
let used: usize = 0;

function alloc(len: usize): usize {
  const place = BUFFER + used;
  used += (len + 7) & ~7;
  return place;
}

// The compiler's own assertions end here.
export function abort(message: usize, file: usize, line: u32, column: u32): void {
  unreachable();
}

// Storage key of the item `count`: length of the name, name.
function countKey(): usize {
  const key = alloc(6);
  store<u8>(key, 5);
  store<u32>(key, 0x6e756f63, 1); // "coun"
  store<u8>(key, 0x74, 5); // "t"
  return key;
}

// Storage key of the map `notices`: length of the name, name, number big-endian.
function noticeKey(number: u32): usize {
  const key = alloc(12);
  store<u8>(key, 7);
  store<u32>(key, 0x69746f6e, 1); // "noti"
  store<u32>(key, 0x00736563, 5); // "ces"
  store<u32>(key, bswap<u32>(number), 8);
  return key;
}

function refuse(code: u32): i32 {
  hostFault(code, 0, 0);
  return REFUSED;
}

// publish(text): the text's encoding is its length, u32, and its bytes, and is stored as it came.
function publish(len: u32): i32 {
  if (len < 4) return BAD_ARGUMENTS;
  const text = alloc(len);
  hostArguments(text);
  if (load<u32>(text) != len - 4) return BAD_ARGUMENTS;
  if (!isText(text + 4, len - 4)) return BAD_ARGUMENTS;
  if (len == 4) return refuse(EMPTY);
  if (len > NOTICE_BYTES_MAX) return refuse(TOO_LONG);

  const number = alloc(4);
  store<u32>(number, 0);
  hostGet(countKey(), 6, number, 4);
  store<u32>(number, load<u32>(number) + 1);
  hostSet(countKey(), 6, number, 4);
  hostSet(noticeKey(load<u32>(number)), 12, text, len);
  hostEvent(0, number, 4);
  hostResult(number, 4);
  return DONE;
}

// Whether the bytes are UTF-8, as every text is: no overlong forms, no surrogates, nothing beyond U+10FFFF.
function isText(start: usize, len: u32): bool {
  let at: u32 = 0;
  while (at < len) {
    const first = load<u8>(start + at);
    const more: u32 = first < 0x80 ? 0 : first < 0xc2 ? 4 : first < 0xe0 ? 1 : first < 0xf0 ? 2 : first < 0xf5 ? 3 : 4;
    if (more == 4 || at + more >= len) return false;
    for (let index: u32 = 1; index <= more; index++) {
      const next = load<u8>(start + at + index);
      let least: u8 = 0x80;
      let most: u8 = 0xbf;
      if (index == 1) {
        if (first == 0xe0) least = 0xa0;
        if (first == 0xed) most = 0x9f;
        if (first == 0xf0) least = 0x90;
        if (first == 0xf4) most = 0x8f;
      }
      if (next < least || next > most) return false;
    }
    at += more + 1;
  }
  return true;
}

// notice(number)
function notice(len: u32): i32 {
  if (len != 4) return BAD_ARGUMENTS;
  const number = alloc(4);
  hostArguments(number);
  const key = noticeKey(load<u32>(number));
  const length = hostGet(key, 12, 0, 0);
  if (length < 0) return refuse(UNKNOWN);
  const text = alloc(<usize>length);
  hostGet(key, 12, text, <u32>length);
  hostResult(text, <u32>length);
  return DONE;
}

export function call(selector: u32, argumentsLen: u32): i32 {
  if (selector == PUBLISH) return publish(argumentsLen);
  unreachable();
  return BAD_ARGUMENTS;
}

export function query(selector: u32, argumentsLen: u32): i32 {
  if (selector == NOTICE) return notice(argumentsLen);
  unreachable();
  return BAD_ARGUMENTS;
}
