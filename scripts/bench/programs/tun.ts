/**
 * A TUN device through the C library: packets of a router, one a call. Linux only; struct layouts and numbers are those
 * that x86-64 and aarch64 share.
 *
 * @module
 */

/** A TUN device, and this program's stdin, which is waited for along with it. */
export interface Tun {
  /**
   * Waits for a packet or for input.
   *
   * @param ms How long at most, milliseconds; fractions count.
   * @returns What there is.
   */
  wait(ms: number): { readonly packets: boolean; readonly input: boolean };
  /** Reads one packet; its length, 0 when there is none. */
  read(buffer: Uint8Array<ArrayBuffer>): number;
  /** Hands a packet to the router. */
  write(packet: Uint8Array<ArrayBuffer>): void;
  /** Lines that came on stdin; undefined at its end. */
  readInput(): number | undefined;
}

const O_RDWR_NONBLOCK_CLOEXEC = 0x2 | 0x800 | 0x80000;
const TUNSETIFF = 0x4004_54can;
/** Bare IP packets. */
const IFF_TUN_NO_PI = 0x1001;
const IFREQ_BYTES = 40;
const IFREQ_FLAGS_AT = 16;
const POLLIN = 1;
const EAGAIN = 11;
const EINTR = 4;
const NEW_LINE = 10;

/**
 * Attaches to a device that `ip tuntap` has made.
 *
 * @param device Its name.
 * @returns The device.
 * @throws {Error} When it is not there or not allowed.
 */
export function attachTun(device: string): Tun {
  const { symbols: libc } = Deno.dlopen(
    "libc.so.6",
    {
      __errno_location: { parameters: [], result: "pointer" },
      open: { parameters: ["buffer", "i32"], result: "i32" },
      ioctl: { parameters: ["i32", "u64", "buffer"], result: "i32" },
      read: { parameters: ["i32", "buffer", "usize"], result: "isize" },
      write: { parameters: ["i32", "buffer", "usize"], result: "isize" },
      ppoll: { parameters: ["buffer", "usize", "buffer", "usize"], result: "i32" },
    } as const,
  );
  const errno = () => new Deno.UnsafePointerView(libc.__errno_location()!).getInt32();
  const text = new TextEncoder();
  const fd = libc.open(text.encode("/dev/net/tun\0"), O_RDWR_NONBLOCK_CLOEXEC);
  if (fd < 0) throw new Error(`/dev/net/tun cannot be opened: errno ${errno()}`);
  const request = new Uint8Array(IFREQ_BYTES);
  request.set(text.encode(device));
  new DataView(request.buffer).setUint16(IFREQ_FLAGS_AT, IFF_TUN_NO_PI, true);
  if (libc.ioctl(fd, TUNSETIFF, request) < 0) {
    throw new Error(`The TUN device ${device} cannot be attached to: errno ${errno()}`);
  }
  // Two of struct pollfd: fd, events, revents; and a struct timespec.
  const polled = new Uint8Array(16);
  const view = new DataView(polled.buffer);
  for (const [i, file] of [fd, 0].entries()) {
    view.setInt32(8 * i, file, true);
    view.setUint16(8 * i + 4, POLLIN, true);
  }
  const time = new Uint8Array(16);
  const timeView = new DataView(time.buffer);
  const input = new Uint8Array(4_096);
  return {
    wait(ms) {
      const ns = Math.max(0, Math.round(ms * 1e6));
      timeView.setBigInt64(0, BigInt(Math.floor(ns / 1e9)), true);
      timeView.setBigInt64(8, BigInt(ns % 1e9), true);
      const count = libc.ppoll(polled, 2n, time, 0n);
      if (count < 0 && errno() !== EINTR) throw new Error(`ppoll: errno ${errno()}`);
      const ready = (i: number) => count > 0 && view.getUint16(8 * i + 6, true) !== 0;
      return { packets: ready(0), input: ready(1) };
    },
    read(buffer) {
      const length = Number(libc.read(fd, buffer, BigInt(buffer.length)));
      if (length < 0 && errno() !== EAGAIN) throw new Error(`read of ${device}: errno ${errno()}`);
      return Math.max(0, length);
    },
    write(packet) {
      // A packet that the router does not take is a lost packet, as on any wire.
      libc.write(fd, packet, BigInt(packet.length));
    },
    readInput() {
      const length = Number(libc.read(0, input, BigInt(input.length)));
      if (length <= 0) return undefined;
      return input.subarray(0, length).reduce((n, byte) => n + (byte === NEW_LINE ? 1 : 0), 0);
    },
  };
}
