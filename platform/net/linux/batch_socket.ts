/**
 * The batch socket of Linux: `sendmmsg` with UDP_SEGMENT, `recvmmsg` with UDP_GRO, large kernel buffers.
 *
 * @module
 */

import { setImmediate } from "node:timers";
import { type Endpoint, isUnspecified } from "../../../protocol/ip.ts";
import { PilotError } from "../../../protocol/errors.ts";
import {
  type BatchEndHandler,
  bindError,
  bufferClass,
  countError,
  type DatagramHandler,
  newUdpStats,
  SEND_BUFFER_BYTES,
  type UdpSocket,
  type UdpStats,
} from "../udp.ts";
import {
  AF_INET,
  AF_INET6,
  EADDRINUSE,
  EAGAIN,
  EINTR,
  errnoName,
  EVENTFD_FLAGS,
  IP_MTU_DISCOVER,
  IP_PKTINFO,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPV6_MTU,
  IPV6_MTU_DISCOVER,
  IPV6_RECVPKTINFO,
  IPV6_V6ONLY,
  type Libc,
  PMTUDISC_DONT,
  PMTUDISC_PROBE,
  POLLIN,
  POLLOUT,
  setOption,
  SO_RCVBUF,
  SO_RCVBUFFORCE,
  SO_SNDBUF,
  SO_SNDBUFFORCE,
  SOL_SOCKET,
  SOL_UDP,
  UDP_GRO,
  UDP_SEGMENT,
  UDP_SOCKET_TYPE,
} from "./libc.ts";
import { Moderation, MODERATION_MS } from "../moderation.ts";
import { ReceiveRing } from "./receive_ring.ts";
import { SendBatch } from "./send_batch.ts";
import { SendSlots } from "./slots.ts";
import { AddressBook, decodeSockaddr, encodeSockaddr, SOCKADDR_BYTES } from "./sockaddr.ts";
import { plainClock } from "../../clock.ts";
import { pause } from "../../waiting.ts";

/** Kernel buffers, bytes: 80 ms at 100 MB/s, so that a busy event loop loses nothing. */
export const KERNEL_BUFFER_BYTES: number = 8 << 20;
/** Datagrams handled before timers, IPC and everything else get their turn: about 1 ms of work. */
export const DATAGRAMS_PER_TURN = 512;
/** Turns of the event loop that find nothing before the socket is waited for on a pool thread (about 20 us). */
const IDLE_TURNS = 1;
/** Receive errors in a row after which there is a pause, so that a persistent one cannot spin. */
const ERRORS_BEFORE_PAUSE = 16;
const ERROR_PAUSE_MS = 10;
/** A wait ends at the latest then, milliseconds; nothing depends on it. */
const WAIT_MS = 60_000;
const POLL_ENTRY_BYTES = 8;
/** What every IPv6 path carries (RFC 8200 §5). */
const IPV6_MIN_MTU = 1280;

/** {@linkcode UdpSocket} over libc. */
export class LinuxUdpSocket implements UdpSocket {
  readonly kind = "linux";
  readonly forbidsFragments: boolean;
  readonly local: Endpoint;
  readonly stats: UdpStats = newUdpStats();
  readonly #libc: Libc;
  readonly #fd: number;
  readonly #wakeFd: number;
  readonly #isV6: boolean;
  readonly #slots = new SendSlots();
  readonly #book: AddressBook;
  readonly #batch: SendBatch;
  readonly #ring: ReceiveRing;
  readonly #flushSoon = (): void => {
    this.#isFlushDue = false;
    this.#flush();
  };
  readonly #moderation = new Moderation();
  #isFlushDue = false;
  #overflow: Uint8Array<ArrayBuffer> | undefined;
  #isClosed = false;
  #closing: Promise<void> | undefined;
  #receiving: Promise<void> | undefined;
  #draining: Promise<void> | undefined;

  /** @ignore Use {@linkcode LinuxUdpSocket.bind}. */
  constructor(parts: { libc: Libc; fd: number; wakeFd: number; isV6: boolean; local: Endpoint }) {
    const { libc, fd } = parts;
    this.#libc = libc;
    this.#fd = fd;
    this.#wakeFd = parts.wakeFd;
    this.local = parts.local;
    this.#isV6 = parts.isV6;
    this.forbidsFragments = this.#forbidFragments(true);
    this.#book = new AddressBook(parts.isV6);
    const { stats } = this;
    // Size 0 means "none by default"; what counts is whether the kernel knows the option.
    const hasGso = setOption(libc, fd, { level: SOL_UDP, name: UDP_SEGMENT, value: 0 });
    setOption(libc, fd, { level: SOL_UDP, name: UDP_GRO, value: 1 });
    if (isUnspecified(parts.local.host)) {
      // Without it answers leave from the address that the kernel prefers, which need not be the one that was asked.
      const [level, name] = parts.isV6
        ? [IPPROTO_IPV6, IPV6_RECVPKTINFO]
        : [IPPROTO_IP, IP_PKTINFO];
      setOption(libc, fd, { level, name, value: 1 });
    }
    const onSourceRefused = () => this.#book.forgetSources();
    this.#batch = new SendBatch({ libc, fd, stats, slots: this.#slots, hasGso, onSourceRefused });
    this.#ring = new ReceiveRing({ libc, fd, stats, book: this.#book });
  }

  /**
   * Binds a socket, which from then on owns `libc`.
   *
   * @param libc Freshly loaded.
   * @param host IP literal; `0.0.0.0` for all IPv4 interfaces, `::` for all of both kinds.
   * @param port UDP port, 0 for a free one.
   * @returns The socket.
   * @throws {PilotError} `already_exists` when the port is taken, `io_error` otherwise; `libc` stays loaded then.
   */
  static bind(libc: Libc, host: string, port: number): LinuxUdpSocket {
    const isV6 = host.includes(":");
    const address = encodeSockaddr({ host, port }, isV6);
    if (address === undefined) {
      throw bindError(host, port, { taken: false, reason: "not an IP address" });
    }
    const fds: number[] = [];
    const check = (result: number): number => {
      if (result !== -1) return result;
      const errno = libc.errno();
      for (const fd of fds) libc.close(fd);
      throw bindError(host, port, { taken: errno === EADDRINUSE, reason: errnoName(errno) });
    };
    const fd = check(libc.socket(isV6 ? AF_INET6 : AF_INET, UDP_SOCKET_TYPE, 0));
    fds.push(fd);
    if (isV6) setOption(libc, fd, { level: IPPROTO_IPV6, name: IPV6_V6ONLY, value: 0 });
    for (const [force, plain] of [[SO_RCVBUFFORCE, SO_RCVBUF], [SO_SNDBUFFORCE, SO_SNDBUF]]) {
      const option = { level: SOL_SOCKET, value: KERNEL_BUFFER_BYTES };
      // Without the privilege the kernel caps the size, which is as good as it gets.
      if (!setOption(libc, fd, { ...option, name: force! })) {
        setOption(libc, fd, { ...option, name: plain! });
      }
    }
    check(libc.bind(fd, address.bytes, address.length));
    const bound = new Uint8Array(SOCKADDR_BYTES);
    check(libc.getsockname(fd, bound, new Uint8Array(new Uint32Array([SOCKADDR_BYTES]).buffer)));
    const wakeFd = check(libc.eventfd(0, EVENTFD_FLAGS));
    return new LinuxUdpSocket({ libc, fd, wakeFd, isV6, local: decodeSockaddr(bound) });
  }

  acquire(bytes: number = SEND_BUFFER_BYTES): Uint8Array<ArrayBuffer> {
    const size = bufferClass(bytes);
    const slot = this.#slots.take(size);
    if (slot !== undefined) return slot;
    this.#flush();
    // Nothing free even so: the kernel is full. What is built in this one is dropped by send().
    return this.#slots.take(size) ?? (this.#overflow ??= new Uint8Array(SEND_BUFFER_BYTES));
  }

  send(
    buffer: Uint8Array<ArrayBuffer>,
    length: number,
    to: Endpoint,
    mayFragment: boolean = false,
  ): void {
    // The option is one of the socket, not of the datagram, so such a datagram leaves alone.
    const isAlone = mayFragment && this.forbidsFragments;
    if (isAlone) this.#flush();
    if (buffer === this.#overflow) {
      this.stats.dropped++;
      return;
    }
    if (!this.#slots.owns(buffer)) {
      throw new PilotError("internal", "send() was given a buffer that is not from acquire()");
    }
    const address = this.#isClosed ? undefined : this.#book.destination(to);
    if (address !== undefined && this.#batch.isFull) this.#flush();
    if (address === undefined || this.#batch.isFull) {
      this.stats.dropped++;
      this.#slots.give(buffer);
      return;
    }
    this.#batch.add(buffer, length, address);
    if (isAlone) {
      // When the kernel has no room it is sent with the rest later, and arrives if the interface carries its size.
      this.#forbidFragments(false);
      this.#flush();
      this.#forbidFragments(true);
    }
    if (this.#isFlushDue) return;
    this.#isFlushDue = true;
    queueMicrotask(this.#flushSoon);
  }

  start(onDatagram: DatagramHandler, onBatchEnd: BatchEndHandler = () => {}): void {
    if (this.#isClosed) return;
    this.#receiving ??= this.#receive(onDatagram, onBatchEnd);
  }

  close(): Promise<void> {
    return this.#closing ??= this.#close();
  }

  /**
   * Receives once, blocking this thread for up to `timeoutMs`; for trying out a socket that is not started.
   *
   * @returns Datagrams handed over.
   */
  receiveNow(onDatagram: DatagramHandler, timeoutMs: number): number {
    this.#flush();
    const entries = pollEntries(this.#fd, POLLIN, this.#wakeFd);
    this.#libc.poll(entries, 1n, timeoutMs);
    return this.#ring.receive() > 0
      ? this.#ring.dispatch(onDatagram, () => this.#isClosed, () => {})
      : 0;
  }

  /** Closes a socket that was never started, at once. */
  closeNow(): void {
    if (this.#closing !== undefined) return;
    this.#closing = Promise.resolve();
    this.#flush();
    this.#isClosed = true;
    this.#release();
  }

  async #close(): Promise<void> {
    this.#flush();
    this.#isClosed = true;
    // Stays readable, so that every wait under way and to come ends at once.
    this.#libc.write(this.#wakeFd, new Uint8Array(new BigUint64Array([1n]).buffer), 8n);
    await this.#receiving;
    await this.#draining;
    this.#release();
  }

  #release(): void {
    this.#batch.drop();
    this.#libc.close(this.#fd);
    this.#libc.close(this.#wakeFd);
    this.#libc.unload();
  }

  /** Whether it worked. */
  #forbidFragments(isForbidden: boolean): boolean {
    const value = isForbidden ? PMTUDISC_PROBE : PMTUDISC_DONT;
    const set = (level: number, name: number, to: number) =>
      setOption(this.#libc, this.#fd, { level, name, value: to });
    const isSet = set(IPPROTO_IP, IP_MTU_DISCOVER, value);
    if (!this.#isV6) return isSet;
    // No router fragments IPv6, so its fragments are made as small as every path carries.
    set(IPPROTO_IPV6, IPV6_MTU, isForbidden ? 0 : IPV6_MIN_MTU);
    return set(IPPROTO_IPV6, IPV6_MTU_DISCOVER, value) && isSet;
  }

  #flush(): void {
    if (this.#isClosed || this.#batch.isEmpty || this.#draining !== undefined) return;
    this.#batch.flush();
    if (this.#batch.isBlocked) this.#draining = this.#drain();
  }

  /** Waits until the kernel has room for what is queued. */
  async #drain(): Promise<void> {
    const entries = pollEntries(this.#fd, POLLOUT, this.#wakeFd);
    while (!this.#isClosed && this.#batch.isBlocked) {
      await this.#wait(entries);
      if (!this.#isClosed) this.#batch.flush();
    }
    this.#draining = undefined;
  }

  async #receive(onDatagram: DatagramHandler, onBatchEnd: BatchEndHandler): Promise<void> {
    const entries = pollEntries(this.#fd, POLLIN, this.#wakeFd);
    const wake = entries.slice(POLL_ENTRY_BYTES);
    const isEnded = () => this.#isClosed;
    let datagrams = 0;
    let idleTurns = 0;
    let errors = 0;
    while (!this.#isClosed) {
      const messages = this.#ring.receive();
      if (messages > 0) {
        errors = 0;
        idleTurns = 0;
        datagrams += this.#ring.dispatch(onDatagram, isEnded, onBatchEnd);
        // Answers must not wait for the end of the turn.
        this.#flush();
        if (datagrams < DATAGRAMS_PER_TURN) continue;
        datagrams = 0;
        await nextTurn();
        continue;
      }
      datagrams = 0;
      const errno = messages < 0 ? this.#libc.errno() : EAGAIN;
      if (errno !== EAGAIN && errno !== EINTR) {
        // Such as the ICMP error of an earlier send; reading it has cleared it.
        countError(this.stats, errnoName(errno));
        if (++errors >= ERRORS_BEFORE_PAUSE) await pause(plainClock, ERROR_PAUSE_MS);
        continue;
      }
      if (idleTurns++ === 0 && this.#moderation.drained(performance.now(), this.stats)) {
        await this.#wait(wake, MODERATION_MS);
      } else if (idleTurns <= IDLE_TURNS) await nextTurn();
      else await this.#wait(entries);
    }
  }

  async #wait(entries: Uint8Array<ArrayBuffer>, timeoutMs: number = WAIT_MS): Promise<void> {
    const entryCount = BigInt(entries.length / POLL_ENTRY_BYTES);
    const result = await this.#libc.pollAside(entries, entryCount, timeoutMs);
    if (result !== -1) return;
    // The reason lies in another thread; whatever it is, it must not become a loop without a pause.
    countError(this.stats, "poll");
    await pause(plainClock, ERROR_PAUSE_MS);
  }
}

/** `struct pollfd` twice: the socket for `events`, and the wake-up for reading. */
function pollEntries(fd: number, events: number, wakeFd: number): Uint8Array<ArrayBuffer> {
  const entries = new Uint8Array(2 * POLL_ENTRY_BYTES);
  const view = new DataView(entries.buffer);
  view.setInt32(0, fd, true);
  view.setInt16(4, events, true);
  view.setInt32(POLL_ENTRY_BYTES, wakeFd, true);
  view.setInt16(POLL_ENTRY_BYTES + 4, POLLIN, true);
  return entries;
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
