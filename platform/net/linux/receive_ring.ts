/**
 * Buffers that `recvmmsg` fills, and how single datagrams are taken from them.
 *
 * @module
 */

import {
  BATCH_END_DATAGRAMS,
  type BatchEndHandler,
  type DatagramHandler,
  SEND_BUFFER_BYTES,
  type UdpStats,
} from "../udp.ts";
import {
  addressOf,
  CONTROL_HEADER_BYTES,
  IP_PKTINFO,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPV6_PKTINFO,
  type Libc,
  MSG_DONTWAIT,
  SOL_UDP,
  UDP_GRO,
} from "./libc.ts";
import {
  CONTROL_LENGTH,
  CONTROL_WORDS,
  HEADER_WORDS,
  IOV_WORDS,
  Messages,
  NAME_LENGTH,
  NAME_WORDS,
  RESULT_LENGTH,
  writePointer,
} from "./message_headers.ts";
import { type AddressBook, SOCKADDR_BYTES } from "./sockaddr.ts";

/**
 * Messages of one `recvmmsg`. Each has room for the largest GRO buffer (2 MiB in all); single datagrams touch
 * only the first pages of theirs.
 */
export const RECEIVE_MESSAGES = 32;

/** Receives. */
export class ReceiveRing {
  readonly #libc: Libc;
  readonly #fd: number;
  readonly #stats: UdpStats;
  readonly #book: AddressBook;
  readonly #messages = new Messages(RECEIVE_MESSAGES);
  readonly #data = new Uint8Array(RECEIVE_MESSAGES * SEND_BUFFER_BYTES);
  /** Entries the kernel has written since they were set up. */
  #used = RECEIVE_MESSAGES;
  /** Of the message looked at last: size of the segments that GRO has put together, 0 for a single datagram. */
  #segment = 0;
  /** And the word where the address of ours begins to which it came; 0 when the kernel does not say. */
  #localAt = 0;

  constructor(options: { libc: Libc; fd: number; stats: UdpStats; book: AddressBook }) {
    this.#libc = options.libc;
    this.#fd = options.fd;
    this.#stats = options.stats;
    this.#book = options.book;
    const data = addressOf(this.#data);
    for (let i = 0; i < RECEIVE_MESSAGES; i++) {
      writePointer(this.#messages.iovs, i * IOV_WORDS, data + BigInt(i * SEND_BUFFER_BYTES));
      this.#messages.iovs[i * IOV_WORDS + 2] = SEND_BUFFER_BYTES;
      this.#messages.setIovs(i, i, 1);
    }
  }

  /** Takes what the kernel has, without waiting; the number of messages, or -1 (see `errno`). */
  receive(): number {
    const { headers } = this.#messages;
    for (let i = 0; i < this.#used; i++) {
      const at = i * HEADER_WORDS;
      headers[at + NAME_LENGTH] = SOCKADDR_BYTES;
      headers[at + CONTROL_LENGTH] = CONTROL_WORDS * 4;
    }
    this.#used = 0;
    const count = this.#libc.recvmmsg(
      this.#fd,
      this.#messages.address,
      RECEIVE_MESSAGES,
      MSG_DONTWAIT,
      0n,
    );
    if (count > 0) {
      this.#used = count;
      this.#stats.receiveCalls++;
    }
    return count;
  }

  /**
   * Hands over the datagrams of the last {@linkcode ReceiveRing.receive}, until `isEnded` says otherwise.
   *
   * @returns How many.
   */
  dispatch(
    onDatagram: DatagramHandler,
    isEnded: () => boolean,
    onBatchEnd: BatchEndHandler,
  ): number {
    const { headers, names } = this.#messages;
    let datagrams = 0;
    for (let i = 0; i < this.#used; i++) {
      const start = i * SEND_BUFFER_BYTES;
      const end = start + headers[i * HEADER_WORDS + RESULT_LENGTH]!;
      this.#readControls(i);
      const segment = this.#segment || SEND_BUFFER_BYTES;
      const from = this.#book.source(names, i * NAME_WORDS, this.#messages.controls, this.#localAt);
      let at = start;
      do {
        if (isEnded()) return datagrams;
        const next = Math.min(at + segment, end);
        datagrams++;
        this.#stats.received++;
        this.#stats.receivedBytes += next - at;
        onDatagram(this.#data.subarray(at, next), from);
        if (datagrams % BATCH_END_DATAGRAMS === 0) onBatchEnd();
        at = next;
      } while (at < end);
    }
    if (datagrams % BATCH_END_DATAGRAMS !== 0) onBatchEnd();
    return datagrams;
  }

  #readControls(i: number): void {
    this.#segment = this.#localAt = 0;
    const { controls, headers } = this.#messages;
    let at = i * CONTROL_WORDS;
    let left = Math.min(headers[i * HEADER_WORDS + CONTROL_LENGTH]!, CONTROL_WORDS * 4);
    while (left > CONTROL_HEADER_BYTES) {
      const length = controls[at]!;
      if (length <= CONTROL_HEADER_BYTES || length > left) return;
      const level = controls[at + 2]!;
      const type = controls[at + 3]!;
      const value = at + CONTROL_HEADER_BYTES / 4;
      if (level === SOL_UDP && type === UDP_GRO) this.#segment = controls[value]!;
      else if (level === IPPROTO_IPV6 && type === IPV6_PKTINFO) this.#localAt = value;
      // Before it the index of the interface.
      else if (level === IPPROTO_IP && type === IP_PKTINFO) this.#localAt = value + 1;
      const padded = (length + 7) & ~7;
      at += padded / 4;
      left -= padded;
    }
  }
}
