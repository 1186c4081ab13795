/**
 * Datagrams on their way out, gathered into messages: a run of equal sizes to one destination becomes one GSO
 * message that the kernel cuts up (UDP_SEGMENT), and all messages leave by one `sendmmsg`.
 *
 * @module
 */

import { countError, type UdpStats } from "../udp.ts";
import {
  CONTROL_HEADER_BYTES,
  EAGAIN,
  ECONNREFUSED,
  EINTR,
  EINVAL,
  EIO,
  EMSGSIZE,
  ENETUNREACH,
  EOPNOTSUPP,
  errnoName,
  type Libc,
  MSG_DONTWAIT,
  SOL_UDP,
  UDP_SEGMENT,
} from "./libc.ts";
import {
  CONTROL_BYTES,
  CONTROL_LENGTH,
  CONTROL_WORDS,
  HEADER_WORDS,
  INTEGER_CONTROL,
  IOV_COUNT,
  IOV_WORDS,
  Messages,
  NAME_LENGTH,
} from "./message_headers.ts";
import type { SendSlots } from "./slots.ts";
import { SOCKADDR_BYTES, type SocketAddress } from "./sockaddr.ts";

/** Datagrams of one batch: as many as fill a few GSO messages, and the most that wait when the kernel is full. */
export const BATCH_DATAGRAMS = 256;
/** Segments of one GSO message that every kernel with UDP_SEGMENT takes. */
export const GSO_SEGMENTS = 64;
/** Bytes of one GSO message: below the largest UDP payload with room for IPv6 and options. */
export const GSO_BYTES = 65_000;
/** Word of the iovec length. */
const IOV_LENGTH = 2;

/** Queues and sends. */
export class SendBatch {
  readonly #libc: Libc;
  readonly #fd: number;
  readonly #stats: UdpStats;
  readonly #slots: SendSlots;
  readonly #hasGso: boolean;
  readonly #onSourceRefused: () => void;
  /** One entry more than a batch has, for sending the parts of a refused GSO message. */
  readonly #messages = new Messages(BATCH_DATAGRAMS + 1);
  readonly #buffers: Uint8Array<ArrayBuffer>[] = [];
  readonly #to: SocketAddress[] = [];
  /** Address last written as the name of each entry; consecutive batches usually go to the same place. */
  readonly #named: (SocketAddress | undefined)[] = [];
  readonly #first = new Int32Array(BATCH_DATAGRAMS);
  readonly #segments = new Int32Array(BATCH_DATAGRAMS);
  readonly #bytes = new Int32Array(BATCH_DATAGRAMS);
  /** Bytes of the control message with the source of each entry; 0 for the kernel's choice. */
  readonly #sourceBytes = new Int32Array(BATCH_DATAGRAMS + 1);
  #count = 0;
  #next = 0;
  #segmentSize = 0;
  #isOpen = false;
  #isBlocked = false;

  constructor(
    options: {
      libc: Libc;
      fd: number;
      stats: UdpStats;
      slots: SendSlots;
      hasGso: boolean;
      /** An address of ours that datagrams were to leave from is not ours any more. */
      onSourceRefused: () => void;
    },
  ) {
    this.#libc = options.libc;
    this.#fd = options.fd;
    this.#stats = options.stats;
    this.#slots = options.slots;
    this.#hasGso = options.hasGso;
    this.#onSourceRefused = options.onSourceRefused;
    const { controls } = this.#messages;
    for (let i = 0; i <= BATCH_DATAGRAMS; i++) {
      const at = i * CONTROL_WORDS + INTEGER_CONTROL;
      controls[at] = CONTROL_HEADER_BYTES + 2;
      controls[at + 2] = SOL_UDP;
      controls[at + 3] = UDP_SEGMENT;
    }
  }

  /** Nothing is queued. */
  get isEmpty(): boolean {
    return this.#buffers.length === 0;
  }

  /** No other datagram fits until {@linkcode SendBatch.flush} has sent some. */
  get isFull(): boolean {
    return this.#buffers.length >= BATCH_DATAGRAMS;
  }

  /** The kernel has no room; flush again when the socket is writable. */
  get isBlocked(): boolean {
    return this.#isBlocked;
  }

  /** Queues `length` bytes of a slot. There must be room. */
  add(buffer: Uint8Array<ArrayBuffer>, length: number, to: SocketAddress): void {
    const { iovs, headers, controls } = this.#messages;
    const i = this.#buffers.length;
    this.#buffers.push(buffer);
    const iov = i * IOV_WORDS;
    this.#slots.writeAddress(buffer, iovs, iov);
    iovs[iov + IOV_LENGTH] = length;
    const m = this.#count - 1;
    if (
      this.#isOpen && this.#to[m] === to && length <= this.#segmentSize && length > 0 &&
      this.#segments[m]! < GSO_SEGMENTS && this.#bytes[m]! + length <= GSO_BYTES
    ) {
      const at = m * HEADER_WORDS;
      headers[at + IOV_COUNT] = ++this.#segments[m]!;
      headers[at + CONTROL_LENGTH] = this.#sourceBytes[m]! + CONTROL_BYTES;
      controls[m * CONTROL_WORDS + INTEGER_CONTROL + 4] = this.#segmentSize;
      this.#bytes[m]! += length;
      // Only the last segment may be shorter.
      this.#isOpen = length === this.#segmentSize;
      return;
    }
    this.#begin(i, length, to);
  }

  /** Sends what is queued, unless the kernel has no room. */
  flush(): void {
    this.#isBlocked = false;
    let isRetry = false;
    while (this.#next < this.#count) {
      const sent = this.#call(this.#next, this.#count - this.#next);
      if (sent > 0) {
        for (const end = this.#next + sent; this.#next < end; this.#next++) {
          this.#stats.sent += this.#segments[this.#next]!;
          this.#stats.sentBytes += this.#bytes[this.#next]!;
        }
        isRetry = false;
        continue;
      }
      const errno = this.#libc.errno();
      if (errno === EAGAIN) {
        this.#isBlocked = true;
        return;
      }
      if (this.#sourceBytes[this.#next]! > 0 && isSourceRefusal(errno)) {
        if (this.#sendUnsourced()) continue;
        if (this.#libc.errno() === EAGAIN) {
          this.#isBlocked = true;
          return;
        }
      }
      countError(this.#stats, errnoName(errno));
      // An ICMP error of an earlier datagram is reported once and says nothing about this one.
      if ((errno === EINTR || errno === ECONNREFUSED) && !isRetry) {
        isRetry = true;
        continue;
      }
      if (this.#segments[this.#next]! > 1 && isGsoRefusal(errno)) this.#sendSingly(errno);
      else this.#stats.dropped += this.#segments[this.#next]!;
      this.#next++;
      isRetry = false;
    }
    this.#reset();
  }

  /** Gives up what is queued. */
  drop(): void {
    for (; this.#next < this.#count; this.#next++) {
      this.#stats.dropped += this.#segments[this.#next]!;
    }
    this.#reset();
  }

  #begin(i: number, length: number, to: SocketAddress): void {
    const m = this.#count++;
    const { headers } = this.#messages;
    this.#name(m, to);
    this.#messages.setIovs(m, i, 1);
    headers[m * HEADER_WORDS + CONTROL_LENGTH] = this.#sourceBytes[m]!;
    this.#to[m] = to;
    this.#first[m] = i;
    this.#segments[m] = 1;
    this.#bytes[m] = length;
    this.#segmentSize = length;
    this.#isOpen = this.#hasGso && length > 0 && length <= to.gsoLimit;
  }

  #name(m: number, to: SocketAddress): void {
    if (this.#named[m] === to) return;
    this.#messages.nameBytes.set(to.bytes, m * SOCKADDR_BYTES);
    this.#messages.headers[m * HEADER_WORDS + NAME_LENGTH] = to.length;
    this.#setSource(m, to);
    this.#named[m] = to;
  }

  #setSource(m: number, { source }: Pick<SocketAddress, "source">): void {
    const words = source?.length ?? 0;
    const at = INTEGER_CONTROL - words;
    if (source !== undefined) this.#messages.controls.set(source, m * CONTROL_WORDS + at);
    this.#messages.setControl(m, at);
    this.#sourceBytes[m] = words * 4;
  }

  /**
   * Sends the next message from whichever address the kernel chooses: the one it was to leave from may not be ours any
   * more. Whether it was that; if not, it is as before.
   */
  #sendUnsourced(): boolean {
    const m = this.#next;
    const to = this.#to[m]!;
    const length = m * HEADER_WORDS + CONTROL_LENGTH;
    const { headers } = this.#messages;
    const sourceBytes = this.#sourceBytes[m]!;
    headers[length] = headers[length]! - sourceBytes;
    this.#setSource(m, { source: undefined });
    if (this.#call(m, 1) !== 1) {
      this.#setSource(m, to);
      headers[length] = headers[length]! + sourceBytes;
      return false;
    }
    this.#stats.sent += this.#segments[m]!;
    this.#stats.sentBytes += this.#bytes[m]!;
    this.#next++;
    to.source = undefined;
    this.#named.fill(undefined);
    this.#onSourceRefused();
    return true;
  }

  #call(first: number, count: number): number {
    this.#stats.sendCalls++;
    const address = this.#messages.address + BigInt(first * HEADER_WORDS * 4);
    return this.#libc.sendmmsg(this.#fd, address, count, MSG_DONTWAIT);
  }

  /** GSO does not work on this path for this size: each datagram for itself, and no GSO there from now on. */
  #sendSingly(errno: number): void {
    const m = this.#next;
    const to = this.#to[m]!;
    const { iovs } = this.#messages;
    const size = iovs[this.#first[m]! * IOV_WORDS + IOV_LENGTH]!;
    const isTooBig = errno === EMSGSIZE || errno === EINVAL;
    to.gsoLimit = Math.min(to.gsoLimit, isTooBig ? size - 1 : 0);
    this.#isOpen = false;
    this.#name(BATCH_DATAGRAMS, to);
    this.#messages.headers[BATCH_DATAGRAMS * HEADER_WORDS + CONTROL_LENGTH] = this
      .#sourceBytes[BATCH_DATAGRAMS]!;
    for (let k = 0; k < this.#segments[m]!; k++) {
      const i = this.#first[m]! + k;
      this.#messages.setIovs(BATCH_DATAGRAMS, i, 1);
      if (this.#call(BATCH_DATAGRAMS, 1) === 1) {
        this.#stats.sent++;
        this.#stats.sentBytes += iovs[i * IOV_WORDS + IOV_LENGTH]!;
      } else {
        countError(this.#stats, errnoName(this.#libc.errno()));
        this.#stats.dropped++;
      }
    }
  }

  #reset(): void {
    for (let i = this.#buffers.length - 1; i >= 0; i--) this.#slots.give(this.#buffers[i]!);
    this.#buffers.length = 0;
    this.#count = 0;
    this.#next = 0;
    this.#isOpen = false;
    this.#isBlocked = false;
  }
}

function isGsoRefusal(errno: number): boolean {
  return errno === EIO || errno === EINVAL || errno === EMSGSIZE || errno === EOPNOTSUPP;
}

/** Kernels differ in what they say of a source that is not ours. */
function isSourceRefusal(errno: number): boolean {
  return errno === EINVAL || errno === ENETUNREACH;
}
