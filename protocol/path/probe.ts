/**
 * Payload of path MTU probes: control packets to port 0 that every daemon answers (docs/protocol/paths.md §3,
 * docs/protocol/streams.md §10). Older peers echo the whole payload; peers that know the prefix answer with the first
 * {@linkcode PATH_ANSWER_BYTES} only.
 *
 * @module
 */

/** Begins as the probe of newer peers does, in case they look at the beginning only. */
const PREFIX = new TextEncoder().encode("pathprobe.v1 mtu");
const ID_BYTES = 6;

/** Bytes of an answer, and of the smallest probe. */
export const PATH_ANSWER_BYTES: number = PREFIX.length + ID_BYTES;

/**
 * Makes the payload of a probe.
 *
 * @param id Six random bytes.
 * @param bytes Size of the payload, at least {@linkcode PATH_ANSWER_BYTES}.
 * @returns Prefix, id, zeros.
 */
export function encodePathProbe(id: Uint8Array, bytes: number): Uint8Array {
  const payload = new Uint8Array(Math.max(bytes, PATH_ANSWER_BYTES));
  payload.set(PREFIX);
  payload.set(id.subarray(0, ID_BYTES), PREFIX.length);
  return payload;
}

/** Whether a payload is that of a path MTU probe or of an answer to one. */
export function isPathProbe(payload: Uint8Array): boolean {
  return payload.length >= PATH_ANSWER_BYTES && PREFIX.every((byte, i) => payload[i] === byte);
}

/** The id in a payload that {@linkcode isPathProbe}, as a number. */
export function pathProbeId(payload: Uint8Array): number {
  let id = 0;
  for (let i = PREFIX.length; i < PATH_ANSWER_BYTES; i++) id = id * 256 + payload[i]!;
  return id;
}
