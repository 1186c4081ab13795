/** Run by open_test.ts as a process without the permission for FFI. */

import { openUdpSocket } from "../../../platform/net/open_udp_socket.ts";

const socket = await openUdpSocket({ host: "127.0.0.1", port: 0 });
const linux = await openUdpSocket({ host: "127.0.0.1", port: 0, kind: "linux" }).then(
  (opened) => opened.kind,
  (error) => `${error.code}: ${error.message}`,
);
console.log(JSON.stringify({ kind: socket.kind, linux }));
await socket.close();
