/**
 * Cost of datagrams over loopback, both ends in this process, by kind of socket.
 *
 * Run: deno bench -A tests/bench/udp_bench.ts
 */

import { openUdpSocket } from "../../platform/net/open_udp_socket.ts";

const BURST = 64;

for (const kind of ["linux", "portable"] as const) {
  const open = () => openUdpSocket({ host: "127.0.0.1", port: 0, kind });
  const [sender, receiver, echo] = [await open(), await open(), await open()];
  let wanted = 0;
  let done = () => {};
  const count = () => {
    if (--wanted === 0) done();
  };
  receiver.start(count);
  sender.start(count);
  echo.start((data, from) => {
    const buffer = echo.acquire(data.length);
    buffer.set(data);
    echo.send(buffer, data.length, from);
  });
  const send = (to: typeof receiver, size: number, datagrams: number): Promise<void> => {
    wanted = datagrams;
    const { promise, resolve } = Promise.withResolvers<void>();
    done = resolve;
    for (let i = 0; i < datagrams; i++) sender.send(sender.acquire(size), size, to.local);
    return promise;
  };
  const baseline = kind === "linux";
  for (const size of [64, 1188, 8228]) {
    // Within the kernel's default receive buffer, which the portable form cannot enlarge. (Deno.bench waits for async functions only.)
    const burst = size > 2000 ? 8 : BURST;
    Deno.bench(
      `${burst} datagrams of ${size} B, ${kind}`,
      { group: `burst ${size}`, baseline },
      async () => await send(receiver, size, burst),
    );
  }
  Deno.bench(
    `one datagram there and back, ${kind}`,
    { group: "echo", baseline },
    async () => await send(echo, 64, 1),
  );
}
