/**
 * The few calls of glibc that the batch socket needs, through FFI, and the Linux numbers that go with them.
 *
 * All numbers and struct layouts are those that x86-64 and aarch64 share (both little-endian, 64-bit).
 *
 * @module
 */

/** Address family of IPv4. */
export const AF_INET = 2;
/** Address family of IPv6. */
export const AF_INET6 = 10;
const SOCK_DGRAM = 2;
const SOCK_NONBLOCK = 0x800;
const SOCK_CLOEXEC = 0x80000;
/** Type argument of `socket`: datagrams, never blocking, not inherited by child processes. */
export const UDP_SOCKET_TYPE: number = SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
/** Flags of `eventfd`. */
export const EVENTFD_FLAGS: number = SOCK_NONBLOCK | SOCK_CLOEXEC;
/** Level of socket options. */
export const SOL_SOCKET = 1;
/** Level of IPv4 options. */
export const IPPROTO_IP = 0;
/** Option of IPv4: whether datagrams may become fragments. */
export const IP_MTU_DISCOVER = 10;
/** The same of IPv6. */
export const IPV6_MTU_DISCOVER = 23;
/** Option of IPv6: largest fragment, bytes; 0 for what the interface carries. */
export const IPV6_MTU = 24;
/** Option and control message of IPv4: which address of ours a datagram came to, or leaves from. */
export const IP_PKTINFO = 8;
/** Option of IPv6: datagrams come with {@linkcode IPV6_PKTINFO}. */
export const IPV6_RECVPKTINFO = 49;
/** Control message of IPv6 sockets, for mapped IPv4 as well: which address of ours it came to, or leaves from. */
export const IPV6_PKTINFO = 50;
/** Fragments where needed, also on the path (IPv4). */
export const PMTUDISC_DONT = 0;
/** Never fragments, and what the kernel believes of the path does not matter: for probing (RFC 8899 §4.1). */
export const PMTUDISC_PROBE = 3;
/** Level of UDP options and control messages. */
export const SOL_UDP = 17;
/** Level of IPv6 options. */
export const IPPROTO_IPV6 = 41;
/** Send buffer, bytes; capped by `net.core.wmem_max`. */
export const SO_SNDBUF = 7;
/** Receive buffer, bytes; capped by `net.core.rmem_max`. */
export const SO_RCVBUF = 8;
/** As {@linkcode SO_SNDBUF} without the cap; needs CAP_NET_ADMIN. */
export const SO_SNDBUFFORCE = 32;
/** As {@linkcode SO_RCVBUF} without the cap; needs CAP_NET_ADMIN. */
export const SO_RCVBUFFORCE = 33;
/** 0: an IPv6 socket takes IPv4 too. */
export const IPV6_V6ONLY = 26;
/** Control message: size of the segments that a buffer is to be cut into (Linux 4.18). */
export const UDP_SEGMENT = 103;
/** Option and control message: segments of one size from one source arrive as one buffer (Linux 5.0). */
export const UDP_GRO = 104;
/** Bytes of a control message's header. */
export const CONTROL_HEADER_BYTES = 16;
/** Do not block. */
export const MSG_DONTWAIT = 0x40;
/** Readable. */
export const POLLIN = 1;
/** Writable. */
export const POLLOUT = 4;

/** Interrupted by a signal. */
export const EINTR = 4;
/** Input or output error; of a GSO send: the device cannot compute checksums. */
export const EIO = 5;
/** Nothing there, or no room. */
export const EAGAIN = 11;
/** Invalid argument; also: GSO segments larger than the path carries, a source address that is not ours. */
export const EINVAL = 22;
/** The datagram is too big. */
export const EMSGSIZE = 90;
/** Not supported. */
export const EOPNOTSUPP = 95;
/** The address is in use. */
export const EADDRINUSE = 98;
/** No route there; also: from a source address that is not ours (any more). */
export const ENETUNREACH = 101;
/** Out of buffers. */
export const ENOBUFS = 105;
/** An earlier datagram met a closed port. */
export const ECONNREFUSED = 111;

const ERRNO_NAMES: Readonly<Record<number, string>> = {
  1: "EPERM",
  [EINTR]: "EINTR",
  [EIO]: "EIO",
  9: "EBADF",
  [EAGAIN]: "EAGAIN",
  12: "ENOMEM",
  13: "EACCES",
  [EINVAL]: "EINVAL",
  24: "EMFILE",
  [EMSGSIZE]: "EMSGSIZE",
  [EOPNOTSUPP]: "EOPNOTSUPP",
  97: "EAFNOSUPPORT",
  [EADDRINUSE]: "EADDRINUSE",
  99: "EADDRNOTAVAIL",
  100: "ENETDOWN",
  [ENETUNREACH]: "ENETUNREACH",
  [ENOBUFS]: "ENOBUFS",
  110: "ETIMEDOUT",
  [ECONNREFUSED]: "ECONNREFUSED",
  112: "EHOSTDOWN",
  113: "EHOSTUNREACH",
};

/** Symbolic name of an error number. */
export function errnoName(errno: number): string {
  return ERRNO_NAMES[errno] ?? `errno ${errno}`;
}

/** The calls, as in the manual pages; -1 means that {@linkcode Libc.errno} has the reason. Pointers are `bigint`. */
export interface Libc {
  socket(family: number, type: number, protocol: number): number;
  bind(fd: number, address: Uint8Array<ArrayBuffer>, length: number): number;
  getsockname(
    fd: number,
    address: Uint8Array<ArrayBuffer>,
    length: Uint8Array<ArrayBuffer>,
  ): number;
  setsockopt(
    fd: number,
    level: number,
    name: number,
    value: Uint8Array<ArrayBuffer>,
    length: number,
  ): number;
  sendmmsg(fd: number, messages: bigint, count: number, flags: number): number;
  recvmmsg(fd: number, messages: bigint, count: number, flags: number, timeout: bigint): number;
  /** Blocks this thread. */
  poll(fds: Uint8Array<ArrayBuffer>, count: bigint, timeoutMs: number): number;
  /** Blocks a thread of the runtime's pool; `fds` must be kept until it ends. */
  pollAside(fds: Uint8Array<ArrayBuffer>, count: bigint, timeoutMs: number): Promise<number>;
  eventfd(initial: number, flags: number): number;
  write(fd: number, data: Uint8Array<ArrayBuffer>, count: bigint): bigint;
  close(fd: number): number;
  /** Error number of this thread's last failed call. */
  errno(): number;
  /** Unloads the library; no call may follow or be under way. */
  unload(): void;
}

/**
 * Loads the C library.
 *
 * @returns Its calls.
 * @throws When FFI is not permitted or the library is not there.
 */
export function loadLibc(): Libc {
  const library = Deno.dlopen(
    "libc.so.6",
    {
      __errno_location: { parameters: [], result: "pointer" },
      socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
      bind: { parameters: ["i32", "buffer", "u32"], result: "i32" },
      getsockname: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
      setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
      // 64-bit integers instead of pointers: given as bigint these stay V8 fast calls (8 ns), pointer objects
      // would have to be created again for every offset (400 ns).
      sendmmsg: { parameters: ["i32", "usize", "u32", "i32"], result: "i32" },
      recvmmsg: { parameters: ["i32", "usize", "u32", "i32", "usize"], result: "i32" },
      poll: { parameters: ["buffer", "usize", "i32"], result: "i32" },
      pollAside: {
        name: "poll",
        parameters: ["buffer", "usize", "i32"],
        result: "i32",
        nonblocking: true,
      },
      eventfd: { parameters: ["u32", "i32"], result: "i32" },
      write: { parameters: ["i32", "buffer", "usize"], result: "isize" },
      close: { parameters: ["i32"], result: "i32" },
    } as const,
  );
  const calls = library.symbols;
  const location = calls.__errno_location();
  if (location === null) {
    library.close();
    throw new Error("libc.so.6 tells no errno location");
  }
  const errnoView = new Deno.UnsafePointerView(location);
  return {
    socket: calls.socket,
    bind: calls.bind,
    getsockname: calls.getsockname,
    setsockopt: calls.setsockopt,
    sendmmsg: calls.sendmmsg,
    recvmmsg: calls.recvmmsg,
    poll: calls.poll,
    pollAside: calls.pollAside,
    eventfd: calls.eventfd,
    write: calls.write,
    close: calls.close,
    errno: () => errnoView.getInt32(),
    unload: () => library.close(),
  };
}

/**
 * Address of a view's first byte. The memory does not move as long as its `ArrayBuffer` is referenced and not
 * transferred.
 */
export function addressOf(view: Uint8Array<ArrayBuffer> | Uint32Array<ArrayBuffer>): bigint {
  // Small arrays may lie in V8's heap, where they move, until their ArrayBuffer has been asked for.
  const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
  return BigInt(Deno.UnsafePointer.value(Deno.UnsafePointer.of(bytes)));
}

/** Sets an integer option; false when the kernel refuses. */
export function setOption(
  libc: Libc,
  fd: number,
  option: { level: number; name: number; value: number },
): boolean {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setInt32(0, option.value, true);
  return libc.setsockopt(fd, option.level, option.name, bytes, 4) === 0;
}
