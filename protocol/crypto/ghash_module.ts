/**
 * The WebAssembly module behind {@linkcode ./ghash.ts}, assembled from the expressions below when it is first needed: no
 * binary in the source, and nothing to build.
 *
 * GHASH (NIST SP 800-38D §6.4) multiplies in GF(2^128) by a secret. Without carry-less multiplication, which WebAssembly
 * lacks, the usual methods are slow, or look tables up at secret places in memory, which other programs can see in the
 * caches. Here the tables have 16 bytes and lie in vector registers: `i8x16.swizzle` looks 16 nibbles up at once and takes
 * the same time whatever they are.
 *
 * @module
 */

/** Blocks multiplied side by side, each by its own power of the hash key, so that shifting and reducing is paid once. */
export const GHASH_LANES = 4;
/** Bytes of one block. */
export const GHASH_BLOCK_BYTES = 16;
/** Bytes of the table of one power: 16 rows for high nibbles and 16 for low ones. */
export const GHASH_TABLE_BYTES: number = 2 * 16 * 16;
/** Where the tables begin, of the highest power first. */
export const GHASH_TABLES_AT = 0;
/** Where the 16 bytes of the result come to lie. */
export const GHASH_RESULT_AT: number = GHASH_LANES * GHASH_TABLE_BYTES;

/** What the module exports. */
export interface GhashExports {
  /** Memory of {@linkcode GHASH_MEMORY_BYTES}. */
  readonly memory: WebAssembly.Memory;
  /**
   * Hashes blocks from zero on.
   *
   * @param at Address of the first.
   * @param end Address behind the last; a multiple of {@linkcode GHASH_LANES} blocks above `at`, at least one.
   */
  ghash(at: number, end: number): void;
  /**
   * Adds two strings of blocks.
   *
   * @param at Address of the first, which becomes the sum.
   * @param end Address behind its last block; at least one block above `at`.
   * @param other Address of the second.
   */
  xor(at: number, end: number, other: number): void;
}

/** Bytes of the module's memory. */
export const GHASH_MEMORY_BYTES: number = 4 * 65_536;

type Code = readonly number[];

const I32 = 0x7f;
const V128 = 0x7b;
const FUNCTION = 0x60;

/** Unsigned LEB128. */
function u32(value: number): number[] {
  const out: number[] = [];
  for (; value > 0x7f; value >>>= 7) out.push(value & 0x7f | 0x80);
  return [...out, value];
}

/** Signed LEB128 of a number that is not negative. */
function i32(value: number): number[] {
  const out: number[] = [];
  for (; value > 0x3f; value >>>= 7) out.push(value & 0x7f | 0x80);
  return [...out, value];
}

const sized = (code: Code): Code => [...u32(code.length), ...code];
const section = (id: number, entries: readonly Code[]): Code => [
  id,
  ...sized([...u32(entries.length), ...entries.flat()]),
];
const text = (value: string): Code => sized([...new TextEncoder().encode(value)]);

// Names are those of the instructions in the WebAssembly specification.
const get = (local: number): Code => [0x20, ...u32(local)];
const set = (local: number, value: Code): Code => [...value, 0x21, ...u32(local)];
const constant = (value: number): Code => [0x41, ...i32(value)];
const add = (a: Code, b: Code): Code => [...a, ...b, 0x6a];
const lessThan = (a: Code, b: Code): Code => [...a, ...b, 0x49];
/** Runs once, and again as long as the condition holds. */
const repeat = (body: readonly Code[], condition: Code): Code => [
  ...[0x03, 0x40],
  ...body.flat(),
  ...condition,
  ...[0x0d, 0x00],
  0x0b,
];
const load = (at: Code, offset: number): Code => [...at, 0xfd, 0x00, 4, ...u32(offset)];
const store = (at: Code, value: Code): Code => [...at, ...value, 0xfd, 0x0b, 4, 0];
const splat = (byte: number): Code => [0xfd, 0x0c, ...Array<number>(16).fill(byte)];
const swizzle = (table: Code, indices: Code): Code => [...table, ...indices, 0xfd, 0x0e];
const and = (a: Code, b: Code): Code => [...a, ...b, 0xfd, 0x4e];
const xor = (a: Code, b: Code): Code => [...a, ...b, 0xfd, 0x51];
const shiftBytesLeft = (a: Code, bits: number): Code => [...a, ...constant(bits), 0xfd, 0x6b];
const shiftBytesRight = (a: Code, bits: number): Code => [...a, ...constant(bits), 0xfd, 0x6d];
/** The vector one byte further, with the last byte of `before` at its start. */
const advance = (before: Code, vector: Code): Code => [
  ...before,
  ...vector,
  ...[0xfd, 0x0d],
  ...Array.from({ length: 16 }, (_, lane) => 15 + lane),
];
/** As a tree, so that the processor can add side by side. */
function sum(terms: readonly Code[]): Code {
  if (terms.length === 1) return terms[0]!;
  const half = terms.length >> 1;
  return xor(sum(terms.slice(0, half)), sum(terms.slice(half)));
}

const AT = 0;
const END = 1;

/**
 * One round: the sum so far is added to the first of the blocks, and each block is multiplied by its power.
 *
 * A product is the sum over bytes k of (table entry of byte k) * x^(8k). Row i of a table holds byte i of all entries, so
 * looking up row i for all 16 bytes gives the bytes that go to the places i + k: the sum over i, one byte further each
 * time, is the product, 31 bytes long.
 */
function ghashBody(): Code {
  const [low, high, total, zero] = [2, 3, 4, 5];
  const [highNibbles, lowNibbles] = [6, 6 + GHASH_LANES];
  const body: Code[] = [];
  for (let lane = 0; lane < GHASH_LANES; lane++) {
    const read = load(get(AT), lane * GHASH_BLOCK_BYTES);
    const block = lane === 0 ? xor(read, get(total)) : read;
    body.push(set(lowNibbles + lane, block));
    body.push(set(highNibbles + lane, shiftBytesRight(get(lowNibbles + lane), 4)));
    body.push(set(lowNibbles + lane, and(get(lowNibbles + lane), splat(0x0f))));
  }
  body.push(set(low, get(zero)), set(high, get(zero)));
  for (let row = 15; row >= 0; row--) {
    const terms: Code[] = [advance(get(zero), get(low))];
    body.push(set(high, advance(get(low), get(high))));
    for (let lane = 0; lane < GHASH_LANES; lane++) {
      const at = GHASH_TABLES_AT + lane * GHASH_TABLE_BYTES + row * 16;
      terms.push(swizzle(load(constant(0), at), get(highNibbles + lane)));
      terms.push(swizzle(load(constant(0), at + 256), get(lowNibbles + lane)));
    }
    body.push(set(low, sum(terms)));
  }
  // x^128 = 1 + x + x^2 + x^7. The bits of a byte come in falling order, so times x is a shift to the right; what leaves
  // a byte enters the next. The high part has 15 bytes: x^7 times it still fits in 16.
  const next = highNibbles;
  body.push(
    set(next, advance(get(zero), get(high))),
    set(
      total,
      sum([
        get(low),
        get(high),
        ...[1, 2, 7].map((bits) => shiftBytesRight(get(high), bits)),
        ...[1, 2, 7].map((bits) => shiftBytesLeft(get(next), 8 - bits)),
      ]),
    ),
    set(AT, add(get(AT), constant(GHASH_LANES * GHASH_BLOCK_BYTES))),
  );
  return [
    ...repeat(body, lessThan(get(AT), get(END))),
    ...store(constant(GHASH_RESULT_AT), get(total)),
  ];
}

function xorBody(): Code {
  const other = 2;
  return repeat(
    [
      store(get(AT), xor(load(get(AT), 0), load(get(other), 0))),
      set(AT, add(get(AT), constant(GHASH_BLOCK_BYTES))),
      set(other, add(get(other), constant(GHASH_BLOCK_BYTES))),
    ],
    lessThan(get(AT), get(END)),
  );
}

/**
 * Assembles the module.
 *
 * @returns A WebAssembly binary with the exports of {@linkcode GhashExports}; it needs fixed-width SIMD.
 */
export function ghashModule(): Uint8Array<ArrayBuffer> {
  const code = (vectors: number, body: Code): Code =>
    sized([...(vectors === 0 ? [0] : [1, ...u32(vectors), V128]), ...body, 0x0b]);
  return new Uint8Array([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, [[FUNCTION, 2, I32, I32, 0], [FUNCTION, 3, I32, I32, I32, 0]]),
    ...section(3, [[0], [1]]),
    ...section(5, [[1, ...u32(GHASH_MEMORY_BYTES / 65_536), ...u32(GHASH_MEMORY_BYTES / 65_536)]]),
    ...section(7, [
      [...text("memory"), 2, 0],
      [...text("ghash"), 0, 0],
      [...text("xor"), 0, 1],
    ]),
    ...section(10, [code(4 + 2 * GHASH_LANES, ghashBody()), code(0, xorBody())]),
  ]);
}
